"""Everything that Xero adds to the product, in one list."""

from connections import panels
from connections.integrations import registry
from connections.models import Connection
from connections.providers import providers
from connections.writes import orphans, reconciliation, writers
from taskjuice.queue import sweeping
from taskjuice.workspaces import holdings
from xero import checks, invariants
from xero.actions import (
    CreateContact,
    CreateInvoice,
    CreatePayment,
    GetContact,
    GetInvoice,
    ListAccounts,
    ListContacts,
    ListInvoices,
    ListItems,
)
from xero.actions.statuses import ApproveInvoice, VoidInvoice
from xero.models import (
    Account,
    Change,
    Contact,
    Invoice,
    Item,
    Ledger,
    Part,
    Payment,
    Stale,
    Tally,
    TrackingCategory,
)
from xero.panels import build_ledger_panel
from xero.provider import XeroProvider
from xero.sync import changes, freshness, overdue, recovery
from xero.sync import reconciliation as sync_reconciliation
from xero.sync import schedule as sync_schedule
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
            GetContact(),
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
        writers.add_writer(action.writer)
    providers.when_usable(_read_ledger)
    providers.tell_freshness(freshness.describe_connections)
    panels.add(build_ledger_panel)
    sweeping.add_sweep("calls nobody came back to", seconds=5, run=orphans.wake_orphans)
    sweeping.add_sweep("waiting ledgers", seconds=2, run=sync_schedule.rewake_waiting)
    sweeping.add_sweep("changes of invoices", seconds=1, run=changes.announce_changes)
    sweeping.add_sweep("overdue invoices", seconds=120, run=overdue.announce_overdue)
    sweeping.add_sweep("webhook sequence", seconds=20, run=recovery.follow_sequence)
    reconciliation.on_begun(sync_schedule.catch_up)
    reconciliation.add_release_check(sync_reconciliation.open_points)
    invariants.register()
    checks.register()
    _add_holdings()


def _add_holdings() -> None:
    holdings.add(Ledger, hidden=("lease_token", "lease_holder"))
    holdings.add(Part, "ledger__workspace", exported=False)
    for aside in (Tally, Stale, Change):
        holdings.add(aside, "connection__workspace", exported=False)
    for record in (Contact, Invoice, Payment, Account, Item, TrackingCategory):
        holdings.add(record)


def _read_ledger(connection: Connection) -> None:
    if connection.provider == XeroProvider.key:
        sync_schedule.start_reading(connection)
