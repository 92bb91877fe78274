"""The organisations of a workflow, and pauses at some of them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from taskjuice.workspaces import gate
from taskjuice.workspaces.forms import first_error
from workflows.builder import queries as builder_queries
from workflows.builder.detail_views import build_pause_form, show_detail
from workflows.builder.forms import ConnectionsForm, OrganisationsForm
from workflows.builder.views import Answer, get_workflow, page_url
from workflows.engine import lifecycle, organisation_pauses


@require_POST
def workflow_connections(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> HttpResponse:
    """Set the organisations of this scope that the workflow runs at; none removes it here."""
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    target = get_workflow(scope, workflow)
    within = builder_queries.list_choosable(scope, target)
    form = ConnectionsForm(request.POST, offered=within)
    if not form.is_valid():
        messages.error(request, first_error(form))
    else:
        lifecycle.set_connections(
            workflow=target, connections=form.chosen, within=within, by=scope.user
        )
        names = ", ".join(connection.name for connection in form.chosen[:5]) or "no organisation"
        more = f" and {len(form.chosen) - 5} more" if len(form.chosen) > 5 else ""
        client = f" of {scope.workspace.name}" if scope.workspace else ""
        messages.success(request, f"Saved. From now on it runs at {names}{more}{client}.")
    return redirect(page_url(scope, "workflow-detail", target))


@require_POST
def workflow_pause_here(
    request: HttpRequest, agency: str, workspace: str, *, workflow: int
) -> Answer:
    """Pause the workflow at organisations of one client; it runs on at all others."""
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    target = get_workflow(scope, workflow)
    form = build_pause_form(scope, target, request.POST)
    assert form is not None  # a client's slug was given
    if not form.is_valid():
        return show_detail(request, scope, target, pause=form)
    waits = form.cleaned_data["events"] == form.WAIT
    organisation_pauses.pause_at(
        workflow=target,
        connections=form.chosen,
        until=form.cleaned_data["until"],
        why=form.cleaned_data["why"],
        holds=waits,
        by=scope.user,
    )
    meanwhile = "Events that come now wait." if waits else "Events that come now start nothing."
    names = ", ".join(connection.name for connection in form.chosen)
    messages.success(request, f"Paused at {names}. {meanwhile} Elsewhere it runs on.")
    return redirect(page_url(scope, "workflow-detail", target))


@require_POST
def workflow_resume_here(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> Answer:
    """Resume the workflow at the ticked organisations of this scope."""
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    target = get_workflow(scope, workflow)
    paused = [pause.connection for pause in builder_queries.list_pauses(scope, target)]
    form = OrganisationsForm(request.POST, offered=paused)
    if not form.is_valid():
        messages.error(request, first_error(form))
        return redirect(page_url(scope, "workflow-detail", target))
    done = organisation_pauses.resume_at(workflow=target, connections=form.chosen, by=scope.user)
    organisations = form.chosen[0].name if done == 1 else f"{done:,} organisations"
    messages.success(
        request, f"Resumed at {organisations}. The next event starts it, and what waited goes on."
    )
    return redirect(page_url(scope, "workflow-detail", target))
