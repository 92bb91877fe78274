"""Receivables and payables: what is owed across an agency's clients or in one of them, by age, down
to the invoice.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from taskjuice.workspaces import gate
from taskjuice.workspaces.gate import Scope
from xero.ageing import files, queries
from xero.ageing import scope as ageing_scope
from xero.ageing.forms import AgeingForm
from xero.ageing.queries import Aged, Owing, Table
from xero.ageing.scope import Books


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page's address asks for, once understood."""

    form: AgeingForm
    books: Books
    owing: Owing
    side: str
    by: str
    sort: str
    page: int | None

    @property
    def on(self) -> date:
        return self.owing.on


@require_safe
def receivables(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    asked = _asked(request, scope)
    table = queries.table(
        asked.books,
        asked.owing,
        asked.by,
        currency=asked.form.cleaned_data.get("currency", ""),
        sort=asked.sort,
        page=asked.page,
    )
    context = {"asked": asked, "ages": queries.AGES, **_rows(asked, table)}
    return render(request, "xero_ageing/receivables.html", context)


@require_safe
def receivables_export(
    request: HttpRequest, agency: str, workspace: str | None = None
) -> HttpResponseBase:
    """What the page shows, in all currencies and on all its pages."""
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    asked = _asked(request, scope)
    found = queries.every(asked.books, asked.owing, asked.by, asked.sort)
    return files.of_ageing(scope, asked.side, asked.by, asked.on, found)


def _asked(request: HttpRequest, scope: Scope) -> Asked:
    there = ageing_scope.of(scope).narrowed(request.GET.get("organisation", ""))
    form = AgeingForm(request.GET, today=there.today)
    wanted = form.wanted()
    side = wanted.get("side") or "sales"
    contact = wanted.get("contact")
    by = wanted.get("by") or (
        "client" if scope.workspace is None else "invoice" if contact else "contact"
    )
    if by == "client" and scope.workspace is not None:
        by = "contact"
    on = wanted.get("on") or there.today
    return Asked(
        form=form,
        books=there,
        owing=Owing(queries.SIDES[side], on, contact, today=on == there.today),
        side=side,
        by=by,
        sort=wanted.get("sort", ""),
        page=wanted.get("page"),
    )


def _rows(asked: Asked, table: Table) -> dict[str, Any]:
    found: list[Aged] = list(table.window.rows)
    documents = queries.invoices(found)
    return {
        "totals": table.totals,
        "chosen": table.chosen,
        "listing": {"window": table.window},
        "rows": [(row, documents.get(row.invoice_id or 0)) for row in found],
        "highest": max((row.total for row in found), default=Decimal(0)),
        "contact": found[0] if asked.owing.contact and found else None,
        "default_sort": queries.DEFAULT_ORDERS[asked.by],
    }
