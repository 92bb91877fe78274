"""What was written to Xero, what came back, and the decision about what nobody can confirm."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from connections import errors
from connections.models import Call, CallState
from connections.writes import decisions
from taskjuice.workspaces import gate
from xero.calls import queries
from xero.calls.forms import FilterForm, ThereForm

ON_A_PAGE = 50


@require_safe
def call_list(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    form = FilterForm(request.GET)
    form.is_valid()
    state = form.cleaned_data.get("state", "")
    rows = queries.calls(scope.workspaces, state)
    page = Paginator(rows, ON_A_PAGE).get_page(form.cleaned_data.get("page"))
    context = {"page": page, "counts": queries.counts(scope.workspaces), "state": state}
    return render(request, "xero_calls/list.html", context)


@require_safe
def call_detail(request: HttpRequest, agency: str, workspace: str, call: UUID) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    found = _found(scope, call)
    template = (
        "xero_calls/_state.html" if request.headers.get("HX-Request") else "xero_calls/detail.html"
    )
    return render(request, template, _context(found, scope))


@require_POST
def call_there(request: HttpRequest, agency: str, workspace: str, call: UUID) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = _found(scope, call)
    form = ThereForm(request.POST)
    if form.is_valid():
        try:
            decided = decisions.it_is_there(
                call=found, named=form.cleaned_data["named"], by=scope.user
            )
        except (decisions.NotAllowed, errors.ProviderError) as error:
            form.add_error("named", str(error))
        else:
            messages.success(request, f"{decided.record_name} is what this made.")
            return redirect(address(decided))
    return render(request, "xero_calls/detail.html", _context(found, scope, form), status=422)


@require_POST
def call_again(request: HttpRequest, agency: str, workspace: str, call: UUID) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = _found(scope, call)
    try:
        successor = decisions.send_again(call=found, by=scope.user)
    except decisions.NotAllowed as error:
        messages.error(request, str(error))
        return redirect(address(found))
    messages.success(request, "It is sent again under a new key.")
    return redirect(address(successor))


@require_POST
def call_abandon(request: HttpRequest, agency: str, workspace: str, call: UUID) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = _found(scope, call)
    try:
        decisions.abandon(call=found, by=scope.user)
    except decisions.NotAllowed as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "It is abandoned: TaskJuice does nothing more about it.")
    return redirect(address(found))


def address(call: Call) -> str:
    place = {"agency": call.workspace.agency.slug, "workspace": call.workspace.slug}
    return reverse("xero:call-detail", kwargs={**place, "call": call.pk})


def to_call(request: HttpRequest, call: Call) -> HttpResponse:
    """Away from a form whose write is still on its way."""
    messages.warning(request, "Xero has not confirmed it yet. This page says how it goes on.")
    return redirect(address(call))


def show_warnings(request: HttpRequest, warnings: Iterable[str]) -> None:
    """Tell on the next page what Xero warned of when it wrote what was asked."""
    for warning in warnings:
        messages.warning(request, f"Xero warns: {warning}")


def _found(scope: gate.Scope, pk: UUID) -> Call:
    found = queries.one(scope.workspace, pk) if scope.workspace else None
    if found is None:
        raise Http404("No such call here.")
    return found


def _context(call: Call, scope: gate.Scope, form: ThereForm | None = None) -> dict[str, Any]:
    return {
        "detail": queries.detail(call),
        "call": call,
        "there_form": form or ThereForm(),
        "may_decide": scope.may(gate.WORK) and call.state == CallState.UNKNOWN,
        "moving": call.state in queries.UNSETTLED,
    }
