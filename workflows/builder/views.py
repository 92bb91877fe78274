"""Pages of workflows: the list and the builder."""

from dataclasses import dataclass, replace

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from connections.models import Connection
from taskjuice.workspaces import gate
from taskjuice.workspaces.forms import whole_ids
from taskjuice.workspaces.gate import Scope
from workflows.builder import manual_runs, step_test_runner
from workflows.builder import queries as builder_queries
from workflows.builder import step_tests as builder_step_tests
from workflows.builder.choices import load_choices
from workflows.builder.forms import WorkflowFilter, WorkflowForm
from workflows.builder.page import Builder
from workflows.builder.step_tests import StepTestResult
from workflows.definition import publish_warnings, validation
from workflows.definition.drafts import Draft, blank_draft
from workflows.definition.templates import STARTING_POINTS
from workflows.engine import lifecycle
from workflows.engine.lifecycle import Content, NotAllowedNow, NotPublishable, StaleDraft
from workflows.models import Version, Workflow, WorkflowState

ON_A_PAGE = 50
TOLD_CAUTIONS = 3  # when it is published; the builder shows all
Answer = HttpResponse | HttpResponseRedirect
NO_EVENT = StepTestResult(
    "failed", "Choose a recent event to test on, at the top where it says what starts the workflow."
)


@require_safe
def workflow_list(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    form = WorkflowFilter(request.GET)
    form.is_valid()
    state, search = form.cleaned_data.get("state", ""), form.cleaned_data.get("q", "")
    workflows = builder_queries.list_workflows(scope, state=state, search=search)
    page = Paginator(workflows, ON_A_PAGE).get_page(form.cleaned_data.get("page"))
    context = {
        "counts": builder_queries.count_by_filter(scope),
        "page": page,
        "rows": builder_queries.build_rows(scope, list(page.object_list)),
        "state": state,
        "q": search,
        "starting_points": STARTING_POINTS.values(),
        "new": page_url(scope, "workflow-new"),
        "import": page_url(scope, "workflow-import"),
    }
    return render(request, "workflows/list.html", context)


@dataclass(frozen=True)
class Edit:
    """The builder's page: a new workflow, or the content of an existing one."""

    scope: Scope
    workflow: Workflow | None
    content: Content | None
    within: list[Connection]

    @property
    def is_published(self) -> bool:
        return (
            self.workflow is not None
            and self.workflow.versions.filter(published_at__isnull=False).exists()
        )

    @property
    def live(self) -> int | None:
        """Return the number of the live version."""
        live = self.workflow.versions.filter(live=True) if self.workflow else Version.objects.none()
        return live.values_list("number", flat=True).first()

    @property
    def next_number(self) -> int:
        """Return the number of the version that publishing makes live."""
        newest = self.content.version if self.content else None
        return 1 if newest is None else newest.number + (newest.published_at is not None)

    def listens(self, ticked: list[int]) -> list[int]:
        """Return the connections whose events can be tested.

        They are the ticked ones, or the applied ones once the workflow is published.
        """
        within = {connection.pk for connection in self.within}
        if self.workflow is not None and self.is_published:
            ticked = sorted(builder_queries.find_applied_ids(self.scope, self.workflow))
        return [pk for pk in ticked if pk in within]

    @property
    def address(self) -> str:
        if self.workflow is None:
            return page_url(self.scope, "workflow-new")
        return page_url(self.scope, "workflow-edit", self.workflow)


@require_http_methods(["GET", "HEAD", "POST"])
def workflow_new(request: HttpRequest, agency: str, workspace: str | None = None) -> Answer:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    edit = Edit(scope, None, None, list(builder_queries.list_connectable(scope)))
    if request.method == "POST":
        return _process_post(request, edit)
    point = STARTING_POINTS.get(request.GET.get("template", ""))
    ticked = [edit.within[0].pk] if len(edit.within) == 1 else []
    form = _build_form(edit, name=point.name if point else "", ticked=ticked)
    draft = point.draft_for(scope.user.email) if point else blank_draft()
    return _render_builder(request, edit, Builder.of(draft, load_choices(scope.agency)), form)


@require_http_methods(["GET", "HEAD", "POST"])
def workflow_edit(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> Answer:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    target = get_workflow(scope, workflow)
    if beyond := refuse_beyond(request, scope, target):
        return beyond
    if target.state == WorkflowState.ARCHIVED:
        messages.warning(request, "The workflow is archived. Bring it back before you change it.")
        return redirect(page_url(scope, "workflow-detail", target))
    edit = Edit(
        scope,
        target,
        lifecycle.current_content(target),
        builder_queries.list_choosable(scope, target),
    )
    if request.method == "POST":
        return _process_post(request, edit)
    assert edit.content is not None  # set above
    wrong = validation.list_problems(edit.content.draft, lifecycle.get_run_scope(target))
    builder = Builder.of(edit.content.draft, load_choices(scope.agency), wrong)
    builder = builder.with_cautions(publish_warnings.list_cautions(edit.content.draft))
    ticked = sorted(builder_queries.find_applied_ids(scope, target))
    return _render_builder(
        request, edit, builder, _build_form(edit, name=target.name, ticked=ticked)
    )


def _process_post(request: HttpRequest, edit: Edit) -> Answer:
    """Process a POST of the builder: change the page, save the draft, or publish it."""
    before = edit.content.draft if edit.content else None
    choices = load_choices(edit.scope.agency)
    builder = Builder.posted(request.POST, choices, before, address=edit.scope.user.email)
    do = request.POST.get("do", "save")
    if do not in {"save", "publish"}:
        ticked = whole_ids(request.POST.getlist("connections"))
        form = _build_form(edit, name=request.POST.get("name", ""), ticked=ticked)
        verb, _, handle = do.partition(":")
        if verb == "test":
            return _render_builder(
                request, edit, _run_test(request, edit, builder, handle, ticked), form
            )
        return _render_builder(request, edit, builder.changed(do), form)
    form = WorkflowForm(_add_template_name(request), offered=edit.within)
    if not form.is_valid():
        return _render_builder(request, edit, builder, form, status=422)
    try:
        saved = _save_workflow(request, edit, builder, form)
    except ValidationError as error:
        form.add_error("name", error)
        return _render_builder(request, edit, builder, form, status=422)
    except StaleDraft as stale:
        return _render_builder(request, edit, builder, form, status=409, stale=stale)
    return (
        publish_workflow(request, edit.scope, saved)
        if do == "publish"
        else _report_saved(request, edit.scope, saved)
    )


def _run_test(
    request: HttpRequest, edit: Edit, builder: Builder, handle: str, ticked: list[int]
) -> Builder:
    """Return the page with the result of a step test, which runs in a process of its own."""
    typed, within, scope = request.POST.get("event", ""), edit.listens(ticked), edit.scope

    def test(draft: Draft, position: int) -> StepTestResult:
        if builder_step_tests.find_event(within, draft.trigger, typed) is None:
            return NO_EVENT
        return step_test_runner.run_step_test(
            draft, position, typed, within, agency=scope.agency, user=scope.user
        )

    return builder.tested(handle, test)


def _save_workflow(
    request: HttpRequest, edit: Edit, builder: Builder, form: WorkflowForm
) -> Workflow:
    name, by = form.cleaned_data["name"], edit.scope.user
    if edit.workflow is None:
        return lifecycle.create_workflow(
            agency=edit.scope.agency, name=name, draft=builder.draft, connections=form.chosen, by=by
        )
    lifecycle.save_workflow(
        workflow=edit.workflow,
        name=name,
        draft=builder.draft,
        stamp=request.POST.get("stamp", ""),
        connections=form.chosen,
        within=edit.within,
        by=by,
    )
    return edit.workflow


def _report_saved(request: HttpRequest, scope: Scope, workflow: Workflow) -> Answer:
    draft = lifecycle.current_content(workflow).draft
    count = len(validation.list_problems(draft, lifecycle.get_run_scope(workflow)))
    if count:
        things = "one thing is" if count == 1 else f"{count} things are"
        messages.info(request, f"Saved. Before it can be published, {things} to be finished.")
    else:
        messages.success(request, "Saved. Nothing runs before it is published.")
    return _redirect(request, page_url(scope, "workflow-edit", workflow))


def publish_workflow(request: HttpRequest, scope: Scope, workflow: Workflow) -> Answer:
    try:
        version = lifecycle.publish_draft(workflow=workflow, by=scope.user)
    except NotPublishable as error:
        things = "One thing is" if len(error.problems) == 1 else f"{len(error.problems)} things are"
        messages.error(request, f"Not published yet. {things} to be finished first.")
        return _redirect(request, f"{page_url(scope, 'workflow-edit', workflow)}#problems")
    except NotAllowedNow as error:
        messages.warning(request, str(error))
    else:
        messages.success(
            request, f"Version {version.number} is live at {builder_queries.count_reach(workflow)}."
        )
        for caution in publish_warnings.list_cautions(Draft.of(version))[:TOLD_CAUTIONS]:
            where = f"Step {caution.where + 1}: " if isinstance(caution.where, int) else ""
            messages.warning(request, f"{where}{caution.message}")
        for name in lifecycle.get_run_scope(workflow).disconnected:
            messages.warning(
                request,
                f"{name} is disconnected: nothing starts there until it is connected again.",
            )
    return _redirect(request, page_url(scope, "workflow-detail", workflow))


def _render_builder(
    request: HttpRequest,
    edit: Edit,
    builder: Builder,
    form: WorkflowForm,
    *,
    status: int = 200,
    stale: StaleDraft | None = None,
) -> HttpResponse:
    stamp = lifecycle.stamp_of(stale.saved) if stale and stale.saved else ""
    ticked = whole_ids(form["connections"].value() or [])
    context = {
        "edit": edit,
        "builder": builder,
        "events": manual_runs.mark_refusals(
            builder_step_tests.recent_events(edit.listens(ticked), builder.trigger_key),
            builder.draft,
        ),
        "reach": builder_queries.count_reach(edit.workflow) if edit.workflow else None,
        "event": request.POST.get("event", ""),
        "form": form,
        "name": form["name"].value() or "",
        "ticked": {str(pk) for pk in form["connections"].value() or []},
        "clients": builder_queries.group_by_client(edit.within),
        "stamp": request.POST.get("stamp") or (edit.content.stamp if edit.content else ""),
        "stale": stale,
        "stale_stamp": stamp,
        "starting_points": STARTING_POINTS.values(),
        "workflow": edit.workflow,
        "list": page_url(edit.scope, "workflow-list"),
    }
    # htmx leaves answers alone that are not 200, and this one is to be shown.
    return render(
        request, "workflows/builder.html", context, status=200 if _is_htmx(request) else status
    )


def get_workflow(scope: Scope, pk: int) -> Workflow:
    workflow = builder_queries.find_workflow(scope, pk)
    if workflow is None:
        raise Http404("No such workflow here.")
    return workflow


def refuse_beyond(request: HttpRequest, scope: Scope, workflow: Workflow) -> Answer | None:
    """Redirect to the agency's page where a change from this client would affect other clients."""
    if not builder_queries.goes_beyond(scope, workflow):
        return None
    messages.warning(
        request,
        f"{workflow.name} runs at {builder_queries.count_reach(workflow)}. It is changed here, at all of them at once.",
    )
    return _redirect(request, page_url(replace(scope, workspace=None), "workflow-detail", workflow))


def _build_form(edit: Edit, *, name: str, ticked: list[int]) -> WorkflowForm:
    return WorkflowForm(initial={"name": name, "connections": ticked}, offered=edit.within)


def _add_template_name(request: HttpRequest) -> "object":
    """Return the POST, with the template's name where none was typed."""
    point = STARTING_POINTS.get(request.POST.get("template", ""))
    if point is None or "name" in request.POST:
        return request.POST
    data = request.POST.copy()
    data["name"] = point.name
    return data


def _is_htmx(request: HttpRequest) -> bool:
    return "HX-Request" in request.headers


def _redirect(request: HttpRequest, url: str) -> Answer:
    return HttpResponseClientRedirect(url) if _is_htmx(request) else redirect(url)


def page_url(scope: Scope, name: str, workflow: Workflow | None = None) -> str:
    kwargs: dict[str, str | int] = {"agency": scope.agency.slug}
    if scope.workspace is not None:
        kwargs["workspace"] = scope.workspace.slug
    if workflow is not None:
        kwargs["workflow"] = workflow.pk
    return reverse(f"workflows:{name}", kwargs=kwargs)
