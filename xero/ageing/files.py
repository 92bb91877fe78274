"""What is owed, as a CSV file: the ages as columns, one row for each client, contact or invoice and
currency.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from django.http import StreamingHttpResponse

from taskjuice.workspaces.exports import csv_response
from taskjuice.workspaces.gate import Scope
from xero.ageing.queries import Aged
from xero.ledger.files import cell
from xero.models import Invoice

AMOUNTS = "not_due 1_to_30 31_to_60 61_to_90 over_90 overdue total".split()
NAMES = {
    "client": "client".split(),
    "contact": "client organisation contact".split(),
    "invoice": "client organisation contact number reference date due_date days_overdue invoice_total".split(),
}
NOUNS = {"sales": "receivables", "bills": "payables"}


def of_ageing(
    scope: Scope, side: str, by: str, on: date, rows: Iterable[tuple[Aged, Invoice | None]]
) -> StreamingHttpResponse:
    place = (scope.workspace or scope.agency).slug
    header = ["as_of", *NAMES[by], "currency", *AMOUNTS, *(["xero_id"] if by == "invoice" else [])]
    name = f"{NOUNS[side]}-{place}-{on.isoformat()}.csv"
    return csv_response(name, header, (_row(by, on, aged, invoice) for aged, invoice in rows))


def _row(by: str, on: date, aged: Aged, invoice: Invoice | None) -> Sequence[object]:
    amounts = map(cell, (*aged.amounts, aged.overdue, aged.total))
    names = [aged.book.client if aged.book else ""]
    if by != "client":
        names += [aged.book.organisation if aged.book else "", aged.contact_name]
    if invoice is None:
        return (on, *names, aged.currency, *amounts)
    facts = (invoice.number, invoice.reference, invoice.date, invoice.due_date, aged.late_days)
    return (on, *names, *facts, cell(invoice.total), aged.currency, *amounts, invoice.xero_id)
