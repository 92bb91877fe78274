"""Running a workflow by hand on a chosen event: first a preview, then the run."""

from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from taskjuice.workspaces import gate
from taskjuice.workspaces.gate import Scope
from workflows.builder import manual_runs
from workflows.builder.forms import RunForm
from workflows.builder.step_test_runner import NotTested
from workflows.builder.step_tests import StepTestResult
from workflows.builder.views import get_workflow, page_url
from workflows.engine.lifecycle import NotAllowedNow
from workflows.models import Workflow


@require_http_methods(["GET", "HEAD", "POST"])
def workflow_run(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> HttpResponse:
    """Preview the live version on the chosen event; run it on a POST that confirms."""
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    target = get_workflow(scope, workflow)
    form = RunForm(request.POST if request.method == "POST" else request.GET)
    form.is_valid()
    try:
        chosen = manual_runs.check_run(
            target,
            manual_runs.list_runnable(scope, target),
            str(form.cleaned_data.get("event") or ""),
        )
        if request.method != "POST":
            return _render_preview(request, scope, target, chosen)
        if not form.cleaned_data.get("sure"):
            raise NotAllowedNow("Look at what it would do first, then run it.")
        key: UUID | None = form.cleaned_data.get("key")
        started = manual_runs.run_now(workflow=target, chosen=chosen, key=key, by=scope.user)
    except NotAllowedNow as error:
        messages.warning(request, str(error))
        return redirect(page_url(scope, "workflow-detail", target))
    messages.success(request, f"Started by hand for {chosen.event.connection.name}.")
    return redirect(f"{page_url(scope, 'activation-list')}{started}/")


def _render_preview(
    request: HttpRequest, scope: Scope, workflow: Workflow, chosen: manual_runs.ChosenEvent
) -> HttpResponse:
    steps: list[manual_runs.PlannedStep] = []
    not_tested: StepTestResult | None = None
    try:
        steps = manual_runs.plan_steps(chosen, scope.user)
    except NotTested as error:
        not_tested = error.trial
    context = {
        "workflow": workflow,
        "chosen": chosen,
        "steps": steps,
        "not_tested": not_tested,
        "missing": len(chosen.version.steps),
        "key": uuid4(),
        "here": page_url(scope, "workflow-detail", workflow),
        "list": page_url(scope, "workflow-list"),
    }
    return render(request, "workflows/run.html", context)
