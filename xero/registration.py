"""What Xero brings: the explicit list."""

from connections.integrations import registry
from xero.actions import GetInvoice
from xero.triggers import ContactEvent, InvoiceEvent
from xero.webhooks import XeroWebhooks


def register() -> None:
    registry.add(
        actions=[GetInvoice()],
        triggers=[InvoiceEvent(), ContactEvent()],
        webhooks={"xero": XeroWebhooks()},
    )
