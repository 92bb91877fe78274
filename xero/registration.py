"""What Xero brings: the explicit list."""

from connections.integrations import registry
from connections.models import Connection
from connections.providers import providers
from taskjuice.queue import sweeping
from xero import ledgers, recovery
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
        listener=recovery.note_events,
    )
    providers.when_usable(_read_ledger)
    sweeping.add("waiting ledgers", seconds=2, run=ledgers.rewake_waiting)
    sweeping.add("webhook sequence", seconds=20, run=recovery.watch)


def _read_ledger(connection: Connection) -> None:
    if connection.provider == XeroProvider.key:
        ledgers.begin(connection)
