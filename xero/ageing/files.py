"""The CSV export of an ageing page: one row per client, contact or invoice and currency, with the
ages as columns.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from django.http import StreamingHttpResponse

from taskjuice.workspaces.exports import csv_response
from taskjuice.workspaces.gate import Scope
from xero.ageing.queries import Aged
from xero.ledger.files import format_cell
from xero.models import Invoice

AMOUNTS = "not_due 1_to_30 31_to_60 61_to_90 over_90 overdue total".split()
NAMES = {
    "client": "client".split(),
    "contact": "client organisation contact".split(),
    "invoice": (
        "client organisation contact number reference date due_date days_overdue invoice_total"
    ).split(),
}
NOUNS = {"sales": "receivables", "bills": "payables"}


def stream_ageing_csv(
    scope: Scope, side: str, by: str, on: date, rows: Iterable[tuple[Aged, Invoice | None]]
) -> StreamingHttpResponse:
    slug = (scope.workspace or scope.agency).slug
    header = ["as_of", *NAMES[by], "currency", *AMOUNTS, *(["xero_id"] if by == "invoice" else [])]
    name = f"{NOUNS[side]}-{slug}-{on.isoformat()}.csv"
    return csv_response(name, header, (_build_row(by, on, aged, invoice) for aged, invoice in rows))


def _build_row(by: str, on: date, aged: Aged, invoice: Invoice | None) -> Sequence[object]:
    amounts = map(format_cell, (*aged.amounts, aged.overdue, aged.total))
    organisation = aged.organisation
    names = [organisation.client if organisation else ""]
    if by != "client":
        names += [organisation.name if organisation else "", aged.contact_name]
    if invoice is None:
        return (on, *names, aged.currency, *amounts)
    facts = (invoice.number, invoice.reference, invoice.date, invoice.due_date, aged.late_days)
    return (
        on,
        *names,
        *facts,
        format_cell(invoice.total),
        aged.currency,
        *amounts,
        invoice.xero_id,
    )
