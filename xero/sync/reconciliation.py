"""What is compared with Xero after a restore from a backup (connections/writes/reconciliation.py)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from connections.models import Connection, ConnectionState, Reconciliation
from connections.writes import reconciliation
from taskjuice import currencies
from xero.forms import ACCPAY
from xero.models import Contact, Invoice, Ledger, Payment
from xero.records.documents import CALL_IN_URL

CLOCKS_DIFFER = timedelta(
    minutes=1
)  # Xero's, by which records are dated, and the one that dated the backup


@dataclass(frozen=True, slots=True)
class UnknownRecord:
    """A record that Xero has since the backup and that no write of this database made.

    `is_ours`: it carries our mark. Payments and contacts can carry none, so those may be a person's
    or another app's.
    """

    organisation: str
    kind: str  # invoice, bill, payment, contact
    name: str
    xero_id: UUID
    is_ours: bool = False


def open_points(row: Reconciliation) -> Iterator[str]:
    """Ledgers that were not read since the restore. Broken connections cannot be, and write nothing
    either.
    """
    unread = Ledger.objects.filter(
        Q(finished_at=None) | Q(finished_at__lt=row.begun_at) | Q(recover_since__isnull=False),
        connection__state=ConnectionState.ACTIVE,
    )
    for name in unread.order_by("pk").values_list("connection__name", flat=True):
        yield f"the ledger of {name} has not been read since"


def list_unknown_records(row: Reconciliation) -> Iterator[UnknownRecord]:
    """Yield what may have been written after the backup, as far as the ledgers have been read, by
    organisation.
    """
    since = row.since - CLOCKS_DIFFER
    with_ledger = Connection.objects.filter(ledger__isnull=False).select_related("workspace")
    for connection in with_ledger.order_by("workspace__name", "name", "pk"):
        organisation = f"{connection.workspace.name}, {connection.name}"
        yield from _invoices(connection, organisation, since)
        yield from _unmarked(connection, _payments(connection, organisation, since))
        yield from _unmarked(connection, _contacts(connection, organisation, since))


def _invoices(
    connection: Connection, organisation: str, since: datetime
) -> Iterator[UnknownRecord]:
    """Invoices and bills that carry the address of a call which is not here. What carries none is
    not ours.
    """
    marked = Invoice.objects.filter(
        connection=connection, updated_utc__gte=since, body__Url__startswith=settings.BASE_URL
    )
    found: dict[UUID, UnknownRecord] = {}
    for xero_id, type_, number, url in marked.values_list(
        "xero_id", "type", "number", "body__Url"
    ).order_by("pk"):
        if mark := CALL_IN_URL.search(str(url)):
            kind = "bill" if type_ == ACCPAY else "invoice"
            found[UUID(mark[1])] = UnknownRecord(organisation, kind, number, xero_id, is_ours=True)
    unknown = reconciliation.unknown_calls(found)
    yield from (record for call, record in found.items() if call in unknown)


def _payments(
    connection: Connection, organisation: str, since: datetime
) -> Iterator[UnknownRecord]:
    new = Payment.objects.filter(
        connection=connection, updated_utc__gte=since, first_updated_utc__gte=since
    )
    for payment in new.exclude(status="DELETED").defer("body").order_by("pk"):
        decimals = currencies.count_shown_decimals(payment.amount, payment.currency)
        amount = f"{payment.amount:,.{decimals}f} {payment.currency}"
        name = f"of {amount} on {payment.invoice_number or payment.contact_name}, {payment.date}"
        yield UnknownRecord(organisation, "payment", name, payment.xero_id)


def _contacts(
    connection: Connection, organisation: str, since: datetime
) -> Iterator[UnknownRecord]:
    new = Contact.objects.filter(
        connection=connection, updated_utc__gte=since, first_updated_utc__gte=since
    )
    for name, xero_id in new.order_by("name", "pk").values_list("name", "xero_id"):
        yield UnknownRecord(organisation, "contact", name, xero_id)


def _unmarked(connection: Connection, records: Iterator[UnknownRecord]) -> Iterator[UnknownRecord]:
    """Those that no confirmed write of this database made."""
    found = {record.xero_id: record for record in records}
    unknown = reconciliation.unknown_records(connection, found)
    yield from (record for xero_id, record in found.items() if xero_id in unknown)
