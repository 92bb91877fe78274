"""Pages of receivables and payables by age: of an agency or one client, down to the invoice."""

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
from xero.ageing.forms import AgeingForm
from xero.ageing.queries import Aged, AgeingTable
from xero.ageing.scope import AgeingOrganisations, list_organisations
from xero.ageing.statements import AGES, DEFAULT_ORDERS, AgeingCriteria


@dataclass(frozen=True, slots=True)
class AgeingRequest:
    """The validated query of an ageing page."""

    form: AgeingForm
    organisations: AgeingOrganisations
    criteria: AgeingCriteria
    side: str
    by: str
    sort: str
    page: int | None

    @property
    def on(self) -> date:
        return self.criteria.on


@require_safe
def receivables(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    ageing = _read_request(request, scope)
    table = queries.read_table(
        ageing.organisations,
        ageing.criteria,
        ageing.by,
        currency=ageing.form.cleaned_data.get("currency", ""),
        sort=ageing.sort,
        page=ageing.page,
    )
    context = {"ageing": ageing, "ages": AGES, **_build_rows_context(ageing, table)}
    return render(request, "xero_ageing/receivables.html", context)


@require_safe
def receivables_export(
    request: HttpRequest, agency: str, workspace: str | None = None
) -> HttpResponseBase:
    """Export what the page shows, in all currencies and with the rows of all pages."""
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    ageing = _read_request(request, scope)
    rows = queries.read_all_rows(ageing.organisations, ageing.criteria, ageing.by, ageing.sort)
    return files.stream_ageing_csv(scope, ageing.side, ageing.by, ageing.on, rows)


def _read_request(request: HttpRequest, scope: Scope) -> AgeingRequest:
    organisations = list_organisations(scope).narrow_to(request.GET.get("organisation", ""))
    form = AgeingForm(request.GET, today=organisations.today)
    filters = form.read_filters()
    side = filters.get("side") or "sales"
    contact = filters.get("contact")
    by = filters.get("by") or (
        "client" if scope.workspace is None else "invoice" if contact else "contact"
    )
    if by == "client" and scope.workspace is not None:
        by = "contact"
    on = filters.get("on") or organisations.today
    return AgeingRequest(
        form=form,
        organisations=organisations,
        criteria=AgeingCriteria(queries.SIDES[side], on, contact, today=on == organisations.today),
        side=side,
        by=by,
        sort=filters.get("sort", ""),
        page=filters.get("page"),
    )


def _build_rows_context(ageing: AgeingRequest, table: AgeingTable) -> dict[str, Any]:
    rows: list[Aged] = list(table.window.rows)
    invoices = queries.read_invoices(rows)
    return {
        "totals": table.totals,
        "chosen": table.chosen,
        "listing": {"window": table.window},
        "rows": [(row, invoices.get(row.invoice_id or 0)) for row in rows],
        "highest": max((row.total for row in rows), default=Decimal(0)),
        "contact": rows[0] if ageing.criteria.contact and rows else None,
        "default_sort": DEFAULT_ORDERS[ageing.by],
    }
