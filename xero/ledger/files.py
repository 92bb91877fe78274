"""The lists as CSV files: every row that the filter leaves, in the list's order, with codes as Xero
spells them.
"""

from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from taskjuice.workspaces.exports import csv_response
from xero.ledger.scope import Place

CHUNK = 2000
# A column's heading, and behind the colon the row's field where that is called otherwise.
DOCUMENTS = (
    "number reference contact:contact_name date due_date status currency subtotal:sub_total tax:total_tax total"
    " paid:amount_paid credited:amount_credited due:amount_due sent xero_id"
)
PAYMENTS = (
    "date type direction:kind.direction status document:kind.document invoice:invoice_number contact:contact_name"
    " account:account_code reference currency amount reconciled xero_id"
)
CONTACTS = (
    "name email status customer:is_customer supplier:is_supplier receivable payable overdue xero_id"
)
ACCOUNTS = "code name class:class_name type tax_type currency status takes_payments xero_id"
ITEMS = "code name sold:is_sold sale_price bought:is_purchased purchase_price tracked:is_tracked quantity xero_id"


def response(place: Place, noun: str, columns: str, rows: "QuerySet[Any]") -> StreamingHttpResponse:
    """The rows as a file of this name; they are read as they are sent."""
    named = [column.partition(":") for column in columns.split()]
    fields = [field or heading for heading, _, field in named]
    lines = (_line(row, fields) for row in rows.iterator(CHUNK))
    return csv_response(
        f"{noun}-{place.workspace.slug}.csv", [heading for heading, *_ in named], lines
    )


def _line(row: Any, fields: Sequence[str]) -> list[object]:
    return [cell(attrgetter(field)(row)) for field in fields]


def cell(value: object) -> object:
    """Amounts with two decimals at least, and more where there are more."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if not isinstance(value, Decimal):
        return value
    cents = value.quantize(Decimal("0.01"))
    return cents if cents == value else value
