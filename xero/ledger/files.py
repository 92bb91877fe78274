"""The lists as CSV files: every row that the filter leaves, in the list's order, with codes as Xero spells them."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from django.http import StreamingHttpResponse

from taskjuice.workspaces.exports import csv_response
from xero.ledger import queries
from xero.ledger.places import Place
from xero.ledger.queries import Wanted
from xero.models import Account, Contact, Invoice, Item, Payment

CHUNK = 2000
DOCUMENT_HEADER = (
    "number reference contact date due_date status currency subtotal tax total paid credited due sent xero_id"
).split()
PAYMENT_HEADER = (
    "date type status invoice contact account reference currency amount reconciled xero_id".split()
)
CONTACT_HEADER = "name email status customer supplier receivable payable overdue xero_id".split()
ACCOUNT_HEADER = "code name class type tax_type currency status takes_payments xero_id".split()
ITEM_HEADER = "code name sold sale_price bought purchase_price tracked quantity xero_id".split()


def of_documents(place: Place, type: str, wanted: Wanted) -> StreamingHttpResponse:
    assert place.connection is not None  # the view looked
    rows = queries.all_documents(place.connection, type, wanted).iterator(CHUNK)
    noun = "invoices" if type == queries.SALE else "bills"
    return _file(place, noun, DOCUMENT_HEADER, map(_document, rows))


def of_payments(place: Place, wanted: Wanted) -> StreamingHttpResponse:
    assert place.connection is not None
    rows = queries.all_payments(place.connection, wanted).iterator(CHUNK)
    return _file(place, "payments", PAYMENT_HEADER, map(_payment, rows))


def of_contacts(place: Place, wanted: Wanted) -> StreamingHttpResponse:
    assert place.connection is not None
    rows = queries.all_contacts(place.connection, wanted).iterator(CHUNK)
    return _file(place, "contacts", CONTACT_HEADER, map(_contact, rows))


def of_accounts(place: Place, wanted: Wanted) -> StreamingHttpResponse:
    assert place.connection is not None
    return _file(
        place, "accounts", ACCOUNT_HEADER, map(_account, queries.all_accounts(place.connection, wanted))
    )


def of_items(place: Place, wanted: Wanted) -> StreamingHttpResponse:
    assert place.connection is not None
    return _file(place, "items", ITEM_HEADER, map(_item, queries.all_items(place.connection, wanted)))


def _file(
    place: Place, noun: str, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    return csv_response(f"{noun}-{place.workspace.slug}.csv", header, rows)


def _document(row: Invoice) -> Sequence[object]:
    amounts = (row.sub_total, row.total_tax, row.total, row.amount_paid, row.amount_credited, row.amount_due)
    return (
        row.number,
        row.reference,
        row.contact_name,
        row.date,
        row.due_date,
        row.status,
        row.currency,
        *map(_plain, amounts),
        _yes(row.sent),
        row.xero_id,
    )


def _payment(row: Payment) -> Sequence[object]:
    return (
        row.date,
        row.type,
        row.status,
        row.invoice_number,
        row.contact_name,
        row.account_code,
        row.reference,
        row.currency,
        _plain(row.amount),
        _yes(row.reconciled),
        row.xero_id,
    )


def _contact(row: Contact) -> Sequence[object]:
    balances = map(_plain, (row.receivable, row.payable, row.overdue))
    return (
        row.name,
        row.email,
        row.status,
        _yes(row.is_customer),
        _yes(row.is_supplier),
        *balances,
        row.xero_id,
    )


def _account(row: Account) -> Sequence[object]:
    return (
        row.code,
        row.name,
        row.class_name,
        row.type,
        row.tax_type,
        row.currency,
        row.status,
        _yes(row.takes_payments),
        row.xero_id,
    )


def _item(row: Item) -> Sequence[object]:
    return (
        row.code,
        row.name,
        _yes(row.is_sold),
        _plain(row.sale_price),
        _yes(row.is_purchased),
        _plain(row.purchase_price),
        _yes(row.is_tracked),
        _plain(row.quantity),
        row.xero_id,
    )


def _plain(amount: Decimal | None) -> Decimal | None:
    """At least two decimals, more where there are more."""
    if amount is None:
        return None
    cents = amount.quantize(Decimal("0.01"))
    return cents if cents == amount else amount


def _yes(flag: bool) -> str:
    return "yes" if flag else ""
