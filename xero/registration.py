"""What Xero brings: the explicit list."""

from connections import journal, panels, writers
from connections.integrations import registry
from connections.models import Connection
from connections.providers import providers
from taskjuice.queue import sweeping
from xero import changes, freshness, ledgers, overdue, recovery
from xero.actions import (
    CreateContact,
    CreateInvoice,
    CreatePayment,
    GetInvoice,
    ListAccounts,
    ListContacts,
    ListInvoices,
    ListItems,
)
from xero.actions.statuses import ApproveInvoice, VoidInvoice
from xero.panels import of_ledger
from xero.provider import XeroProvider
from xero.triggers import (
    AmountDueChanged,
    ContactEvent,
    InvoiceApproved,
    InvoiceEvent,
    InvoiceOverdue,
    InvoicePaid,
    InvoiceStatus,
)
from xero.webhooks import XeroWebhooks


def register() -> None:
    providers.add(XeroProvider())
    registry.add(
        actions=[
            ListInvoices(),
            GetInvoice(),
            CreateInvoice(),
            ListContacts(),
            CreateContact(),
            ListAccounts(),
            CreatePayment(),
            ListItems(),
        ],
        triggers=[
            InvoiceEvent(),
            ContactEvent(),
            InvoicePaid(),
            InvoiceApproved(),
            InvoiceOverdue(),
            InvoiceStatus(),
            AmountDueChanged(),
        ],
        webhooks={"xero": XeroWebhooks()},
        listener=recovery.note_events,
    )
    for action in (CreateInvoice, CreateContact, CreatePayment, ApproveInvoice, VoidInvoice):
        writers.add(action.writer)
    providers.when_usable(_read_ledger)
    providers.tell_freshness(freshness.of_connections)
    panels.add(of_ledger)
    sweeping.add("calls nobody came back to", seconds=20, run=journal.wake_orphans)
    sweeping.add("waiting ledgers", seconds=2, run=ledgers.rewake_waiting)
    sweeping.add("changes of invoices", seconds=1, run=changes.announce)
    sweeping.add("overdue invoices", seconds=120, run=overdue.announce)
    sweeping.add("webhook sequence", seconds=20, run=recovery.watch)


def _read_ledger(connection: Connection) -> None:
    if connection.provider == XeroProvider.key:
        ledgers.begin(connection)
