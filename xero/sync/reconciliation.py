"""The comparison with Xero after a restore from a backup (connections/writes/reconciliation.py)."""

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

# Xero's clock dates the records, ours the backup.
CLOCKS_DIFFER = timedelta(minutes=1)


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
    """Yield the ledgers that were not read since the restore, without those of broken
    connections.
    """
    unread = Ledger.objects.filter(
        Q(finished_at=None) | Q(finished_at__lt=row.begun_at) | Q(recover_since__isnull=False),
        connection__state=ConnectionState.ACTIVE,
    )
    for name in unread.order_by("pk").values_list("connection__name", flat=True):
        yield f"the ledger of {name} has not been read since"


def list_unknown_records(row: Reconciliation) -> Iterator[UnknownRecord]:
    """Yield the records that may have been written after the backup, by organisation.

    Only ledgers that have been read can be searched.
    """
    since = row.since - CLOCKS_DIFFER
    with_ledger = Connection.objects.filter(ledger__isnull=False).select_related("workspace")
    for connection in with_ledger.order_by("workspace__name", "name", "pk"):
        organisation = f"{connection.workspace.name}, {connection.name}"
        yield from _list_marked_invoices(connection, organisation, since)
        yield from _without_known(connection, _list_new_payments(connection, organisation, since))
        yield from _without_known(connection, _list_new_contacts(connection, organisation, since))


def _list_marked_invoices(
    connection: Connection, organisation: str, since: datetime
) -> Iterator[UnknownRecord]:
    """Yield invoices and bills that carry the address of a call which this database does
    not have.
    """
    marked = Invoice.objects.filter(
        connection=connection, updated_utc__gte=since, body__Url__startswith=settings.BASE_URL
    )
    records_by_call: dict[UUID, UnknownRecord] = {}
    for xero_id, type_, number, url in marked.values_list(
        "xero_id", "type", "number", "body__Url"
    ).order_by("pk"):
        if mark := CALL_IN_URL.search(str(url)):
            kind = "bill" if type_ == ACCPAY else "invoice"
            records_by_call[UUID(mark[1])] = UnknownRecord(
                organisation, kind, number, xero_id, is_ours=True
            )
    unknown = reconciliation.find_unknown_calls(records_by_call)
    yield from (record for call, record in records_by_call.items() if call in unknown)


def _list_new_payments(
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


def _list_new_contacts(
    connection: Connection, organisation: str, since: datetime
) -> Iterator[UnknownRecord]:
    new = Contact.objects.filter(
        connection=connection, updated_utc__gte=since, first_updated_utc__gte=since
    )
    for name, xero_id in new.order_by("name", "pk").values_list("name", "xero_id"):
        yield UnknownRecord(organisation, "contact", name, xero_id)


def _without_known(
    connection: Connection, records: Iterator[UnknownRecord]
) -> Iterator[UnknownRecord]:
    """Yield the records that no confirmed write of this database made."""
    records_by_id = {record.xero_id: record for record in records}
    unknown = reconciliation.find_unknown_records(connection, records_by_id)
    yield from (record for xero_id, record in records_by_id.items() if xero_id in unknown)
