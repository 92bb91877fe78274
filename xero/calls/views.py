"""Pages of the writes to Xero: what was sent, the answer, and decisions about unknown outcomes."""

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
from xero.calls.forms import CallFilterForm, FoundInXeroForm

ON_A_PAGE = 50


@require_safe
def call_list(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    form = CallFilterForm(request.GET)
    form.is_valid()
    state = form.cleaned_data.get("state", "")
    rows = queries.list_calls(scope.workspaces, state)
    page = Paginator(rows, ON_A_PAGE).get_page(form.cleaned_data.get("page"))
    context = {"page": page, "counts": queries.count_calls(scope.workspaces), "state": state}
    return render(request, "xero_calls/list.html", context)


@require_safe
def call_detail(request: HttpRequest, agency: str, workspace: str, call: UUID) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    shown_call = _get_call(scope, call)
    template = (
        "xero_calls/_state.html" if request.headers.get("HX-Request") else "xero_calls/detail.html"
    )
    return render(request, template, _context(shown_call, scope))


@require_POST
def call_there(request: HttpRequest, agency: str, workspace: str, call: UUID) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    shown_call = _get_call(scope, call)
    form = FoundInXeroForm(request.POST)
    if form.is_valid():
        try:
            decided = decisions.confirm_record(
                call=shown_call, named=form.cleaned_data["named"], by=scope.user
            )
        except (decisions.DecisionRefused, errors.ProviderError) as error:
            form.add_error("named", str(error))
        else:
            messages.success(request, f"{decided.record_name} is what this made.")
            return redirect(build_call_url(decided))
    return render(request, "xero_calls/detail.html", _context(shown_call, scope, form), status=422)


@require_POST
def call_again(request: HttpRequest, agency: str, workspace: str, call: UUID) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    shown_call = _get_call(scope, call)
    try:
        successor = decisions.send_again(call=shown_call, by=scope.user)
    except decisions.DecisionRefused as error:
        messages.error(request, str(error))
        return redirect(build_call_url(shown_call))
    messages.success(request, "It is sent again under a new key.")
    return redirect(build_call_url(successor))


@require_POST
def call_abandon(request: HttpRequest, agency: str, workspace: str, call: UUID) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    shown_call = _get_call(scope, call)
    try:
        decisions.abandon_call(call=shown_call, by=scope.user)
    except decisions.DecisionRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "It is abandoned: TaskJuice does nothing more about it.")
    return redirect(build_call_url(shown_call))


def build_call_url(call: Call) -> str:
    workspace = call.workspace
    return reverse("xero:call-detail", args=(workspace.agency.slug, workspace.slug, call.pk))


def redirect_to_call(request: HttpRequest, call: Call) -> HttpResponse:
    """Redirect from a form to the page of its call while the outcome is not known yet."""
    messages.warning(request, "Xero has not confirmed it yet. This page says how it goes on.")
    return redirect(build_call_url(call))


def show_warnings(request: HttpRequest, warnings: Iterable[str]) -> None:
    """Show the warnings on the next page that Xero gave with a successful write."""
    for warning in warnings:
        messages.warning(request, f"Xero warns: {warning}")


def _get_call(scope: gate.Scope, pk: UUID) -> Call:
    call = queries.find_call(scope.workspace, pk) if scope.workspace else None
    if call is None:
        raise Http404("No such call here.")
    return call


def _context(call: Call, scope: gate.Scope, form: FoundInXeroForm | None = None) -> dict[str, Any]:
    return {
        "detail": queries.read_call_detail(call),
        "call": call,
        "there_form": form or FoundInXeroForm(),
        "may_decide": scope.may(gate.WORK) and call.state == CallState.UNKNOWN,
        "moving": call.state in queries.UNSETTLED,
    }
