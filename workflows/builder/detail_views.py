"""The page of a workflow, and actions on it at all of its clients."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from taskjuice.workspaces import gate
from taskjuice.workspaces.gate import Scope
from workflows.builder import manual_runs
from workflows.builder import queries as builder_queries
from workflows.builder.forms import PauseForm, SafetyForm
from workflows.builder.views import (
    Answer,
    get_workflow,
    page_url,
    publish_workflow,
    refuse_beyond,
)
from workflows.engine import lifecycle, organisation_pauses, safety_pause
from workflows.engine.lifecycle import NotAllowedNow
from workflows.models import Workflow

LAST_ACTIVATIONS = 10


@require_safe
def workflow_detail(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    return show_detail(request, scope, get_workflow(scope, workflow))


def show_detail(
    request: HttpRequest,
    scope: Scope,
    workflow: Workflow,
    *,
    limit: SafetyForm | None = None,
    pause: PauseForm | None = None,
) -> HttpResponse:
    """Draw the page; `limit` and `pause` are forms with errors."""
    connectable = builder_queries.list_choosable(scope, workflow) if scope.may(gate.WORK) else []
    detail = builder_queries.build_detail(scope, workflow)
    paused = list(detail.row.paused)
    context = {
        "workflow": workflow,
        "detail": detail,
        "reach": builder_queries.count_reach(workflow),
        "goes_beyond": builder_queries.goes_beyond(scope, workflow),
        "waiting_here": organisation_pauses.count_waiting(workflow, paused) if paused else 0,
        "activations": builder_queries.list_newest_activations(scope, workflow, LAST_ACTIVATIONS),
        "clients": builder_queries.group_by_client(connectable),
        "ticked": {str(pk) for pk in builder_queries.find_applied_ids(scope, workflow)},
        "events": manual_runs.events_to_run(scope, workflow),
        "safety": limit or SafetyForm(initial={"pause_after": workflow.pause_after}),
        "pause": pause or build_pause_form(scope, workflow),
        "held_back": safety_pause.list_waiting(workflow).count() if workflow.held else 0,
        "here": page_url(scope, "workflow-detail", workflow),
        "list": page_url(scope, "workflow-list"),
        "activation_list": page_url(scope, "activation-list"),
        "activations_href": f"{page_url(scope, 'activation-list')}?workflow={workflow.pk}",
    }
    return render(request, "workflows/detail.html", context, status=422 if limit or pause else 200)


def build_pause_form(scope: Scope, workflow: Workflow, posted: object = None) -> PauseForm | None:
    """Return the form that pauses the workflow at the client's organisations; None at the
    agency.
    """
    if scope.workspace is None:
        return None
    connections = [link.connection for link in builder_queries.list_applications(scope, workflow)]
    ticked = [connection.pk for connection in connections]
    return PauseForm(
        posted, offered=connections, zone=scope.workspace.timezone, initial={"connections": ticked}
    )


@require_POST
def workflow_safety(request: HttpRequest, agency: str, *, workflow: int) -> HttpResponse:
    """Set after how many failures in a row the workflow pauses itself at an organisation."""
    scope = gate.enter(request, agency, level=gate.WORK)
    target = get_workflow(scope, workflow)
    form = SafetyForm(request.POST)
    if not form.is_valid():
        return show_detail(request, scope, target, limit=form)
    limit = form.cleaned_data["pause_after"]
    safety_pause.set_limit(workflow=target, pause_after=limit, by=scope.user)
    saved = (
        f"Saved. It pauses at an organisation after {limit} failures in a row there."
        if limit
        else "Saved. It never pauses by itself."
    )
    messages.success(request, saved)
    return redirect(page_url(scope, "workflow-detail", target))


@require_POST
def workflow_publish(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> Answer:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    target = get_workflow(scope, workflow)
    return refuse_beyond(request, scope, target) or publish_workflow(request, scope, target)


@require_POST
def workflow_pause(request: HttpRequest, agency: str, *, workflow: int) -> Answer:
    done = "Paused at {reach}. Events that come now start nothing; what has begun finishes."
    return _run_everywhere(request, agency, workflow, lifecycle.pause_workflow, done)


@require_POST
def workflow_resume(request: HttpRequest, agency: str, *, workflow: int) -> Answer:
    done = "Resumed at {reach}. The next event starts it, and what waited goes on."
    return _run_everywhere(request, agency, workflow, lifecycle.resume_workflow, done)


@require_POST
def workflow_archive(request: HttpRequest, agency: str, *, workflow: int) -> Answer:
    done = "Archived. It starts nothing more at {reach}; its activations stay."
    return _run_everywhere(request, agency, workflow, lifecycle.archive_workflow, done)


@require_POST
def workflow_unarchive(request: HttpRequest, agency: str, *, workflow: int) -> Answer:
    done = "It is back. It starts nothing before you resume or publish it."
    return _run_everywhere(request, agency, workflow, lifecycle.unarchive_workflow, done)


@require_POST
def workflow_discard(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> Answer:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    target = get_workflow(scope, workflow)
    return refuse_beyond(request, scope, target) or _run_verb(
        request, scope, target, lifecycle.discard_draft, "The draft is discarded."
    )


def _run_everywhere(
    request: HttpRequest, agency: str, pk: int, verb: Callable[..., None], done: str
) -> Answer:
    """Do an action on the workflow at all of its clients, from the agency's page."""
    scope = gate.enter(request, agency, level=gate.WORK)
    return _run_verb(request, scope, get_workflow(scope, pk), verb, done)


def _run_verb(
    request: HttpRequest, scope: Scope, workflow: Workflow, verb: Callable[..., None], done: str
) -> Answer:
    try:
        verb(workflow=workflow, by=scope.user)
    except NotAllowedNow as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, done.format(reach=builder_queries.count_reach(workflow)))
    return redirect(page_url(scope, "workflow-detail", workflow))
