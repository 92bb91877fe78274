"""CSV exports of the lists: every row that passes the filter, in the order of the list, with codes
as Xero spells them.
"""

from decimal import Decimal
from operator import attrgetter
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from taskjuice.workspaces.exports import csv_response
from xero.ledger.scope import LedgerScope

CHUNK = 2000
# The heading of each column and, after a colon, the field of the row where its name differs.
DOCUMENTS = (
    "number reference contact:contact_name date due_date status currency"
    " subtotal:sub_total tax:total_tax total"
    " paid:amount_paid credited:amount_credited due:amount_due sent xero_id"
)
PAYMENTS = (
    "date type direction:kind.direction status document:kind.document invoice:invoice_number"
    " contact:contact_name account:account_code reference currency amount reconciled xero_id"
)
CONTACTS = (
    "name email status customer:is_customer supplier:is_supplier receivable payable overdue xero_id"
)
ACCOUNTS = "code name class:class_name type tax_type currency status takes_payments xero_id"
ITEMS = (
    "code name sold:is_sold sale_price bought:is_purchased purchase_price"
    " tracked:is_tracked quantity xero_id"
)


def stream_csv(
    scope: LedgerScope, noun: str, columns: str, rows: "QuerySet[Any]"
) -> StreamingHttpResponse:
    """Stream the rows as `<noun>-<workspace>.csv`; `columns` is one of the constants above."""
    pairs = [column.partition(":") for column in columns.split()]
    fields = [field or heading for heading, _, field in pairs]
    # A server-side cursor: the rows are read as they are sent, never all of them into memory.
    lines = (
        [format_cell(attrgetter(field)(row)) for field in fields] for row in rows.iterator(CHUNK)
    )
    return csv_response(
        f"{noun}-{scope.workspace.slug}.csv", [heading for heading, *_ in pairs], lines
    )


def format_cell(value: object) -> object:
    """Return amounts with at least two decimals, booleans as "yes" or blank."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if not isinstance(value, Decimal):
        return value
    cents = value.quantize(Decimal("0.01"))
    return cents if cents == value else value
