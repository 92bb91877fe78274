"""What Xero brings: the explicit list."""

from connections.integrations import registry
from connections.providers import providers
from xero.actions import GetInvoice
from xero.provider import XeroProvider
from xero.triggers import ContactEvent, InvoiceEvent
from xero.webhooks import XeroWebhooks


def register() -> None:
    providers.add(XeroProvider())
    registry.add(
        actions=[GetInvoice()],
        triggers=[InvoiceEvent(), ContactEvent()],
        webhooks={"xero": XeroWebhooks()},
    )
