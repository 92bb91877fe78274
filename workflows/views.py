"""Pages of workflows: list, builder, one of them, and what can be done to it."""

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from connections.models import Connection
from taskjuice.workspaces import gate
from taskjuice.workspaces.gate import Scope
from workflows import lifecycle, problems, queries, safety, trials
from workflows.builder import Builder
from workflows.drafts import blank
from workflows.forms import ConnectionsForm, SafetyForm, WorkflowFilter, WorkflowForm, first_error
from workflows.lifecycle import Content, NotAllowed, NotPublishable, Stale
from workflows.models import Version, Workflow, WorkflowState
from workflows.offers import offers_of
from workflows.starting_points import STARTING_POINTS

ON_A_PAGE = 50
LAST_ACTIVATIONS = 10
Answer = HttpResponse | HttpResponseRedirect


@require_safe
def workflow_list(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    form = WorkflowFilter(request.GET)
    form.is_valid()
    state, search = form.cleaned_data.get("state", ""), form.cleaned_data.get("q", "")
    found = queries.workflows(scope, state=state, search=search)
    page = Paginator(found, ON_A_PAGE).get_page(form.cleaned_data.get("page"))
    context = {
        "counts": queries.counts(scope),
        "page": page,
        "rows": queries.rows(scope, list(page.object_list)),
        "state": state,
        "q": search,
        "starting_points": STARTING_POINTS.values(),
        "new": page_url(scope, "workflow-new"),
        "import": page_url(scope, "workflow-import"),
    }
    return render(request, "workflows/list.html", context)


@dataclass(frozen=True)
class Edit:
    """The builder's page: a new workflow, or the content of one that exists."""

    scope: Scope
    workflow: Workflow | None
    content: Content | None
    within: list[Connection]

    @property
    def is_published(self) -> bool:
        return (
            self.workflow is not None and self.workflow.versions.filter(published_at__isnull=False).exists()
        )

    @property
    def live(self) -> int | None:
        """The number of the version that is live."""
        live = self.workflow.versions.filter(live=True) if self.workflow else Version.objects.none()
        return live.values_list("number", flat=True).first()

    def listens(self, ticked: list[int]) -> list[int]:
        """The connections whose events can be tried: those that are ticked, or applied where ticking is over."""
        within = {connection.pk for connection in self.within}
        if self.workflow is not None and self.is_published:
            ticked = sorted(queries.applied(self.scope, self.workflow))
        return [pk for pk in ticked if pk in within]

    @property
    def address(self) -> str:
        if self.workflow is None:
            return page_url(self.scope, "workflow-new")
        return page_url(self.scope, "workflow-edit", self.workflow)


@require_http_methods(["GET", "HEAD", "POST"])
def workflow_new(request: HttpRequest, agency: str, workspace: str | None = None) -> Answer:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    edit = Edit(scope, None, None, list(queries.connectable(scope)))
    if request.method == "POST":
        return _take(request, edit)
    point = STARTING_POINTS.get(request.GET.get("template", ""))
    ticked = [edit.within[0].pk] if len(edit.within) == 1 else []
    form = _form(edit, name=point.name if point else "", ticked=ticked)
    draft = point.draft_for(scope.user.email) if point else blank()
    return _page(request, edit, Builder.of(draft, offers_of(scope.agency)), form)


@require_http_methods(["GET", "HEAD", "POST"])
def workflow_edit(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> Answer:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = found_workflow(scope, workflow)
    if found.state == WorkflowState.ARCHIVED:
        messages.warning(request, "The workflow is archived. Bring it back before you change it.")
        return redirect(page_url(scope, "workflow-detail", found))
    edit = Edit(scope, found, lifecycle.current_content(found), queries.choosable(scope, found))
    if request.method == "POST":
        return _take(request, edit)
    assert edit.content is not None  # set above
    wrong = problems.problems(edit.content.draft, lifecycle.place_of(found))
    builder = Builder.of(edit.content.draft, offers_of(scope.agency), wrong)
    ticked = sorted(queries.applied(scope, found))
    return _page(request, edit, builder, _form(edit, name=found.name, ticked=ticked))


def _take(request: HttpRequest, edit: Edit) -> Answer:
    """What was posted from the builder: drawn again after a change of the page, or saved, or published."""
    before = edit.content.draft if edit.content else None
    offers = offers_of(edit.scope.agency)
    builder = Builder.posted(request.POST, offers, before, address=edit.scope.user.email)
    do = request.POST.get("do", "save")
    if do not in {"save", "publish"}:
        ticked = [int(pk) for pk in request.POST.getlist("connections") if pk.isascii() and pk.isdigit()]
        form = _form(edit, name=request.POST.get("name", ""), ticked=ticked)
        verb, _, handle = do.partition(":")
        if verb == "test":
            typed = request.POST.get("event", "")
            event = trials.event_for(edit.listens(ticked), builder.trigger_key, typed)
            return _page(request, edit, builder.tried(handle, event, edit.scope.user), form)
        return _page(request, edit, builder.changed(do), form)
    form = WorkflowForm(_with_name(request), found=edit.within)
    if not form.is_valid():
        return _page(request, edit, builder, form, status=422)
    try:
        saved = _save(request, edit, builder, form)
    except ValidationError as error:
        form.add_error("name", error)
        return _page(request, edit, builder, form, status=422)
    except Stale as stale:
        return _page(request, edit, builder, form, status=409, stale=stale)
    return _publish(request, edit.scope, saved) if do == "publish" else _saved(request, edit.scope, saved)


def _save(request: HttpRequest, edit: Edit, builder: Builder, form: WorkflowForm) -> Workflow:
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


def _saved(request: HttpRequest, scope: Scope, workflow: Workflow) -> Answer:
    draft = lifecycle.current_content(workflow).draft
    left = len(problems.problems(draft, lifecycle.place_of(workflow)))
    if left:
        things = "one thing is" if left == 1 else f"{left} things are"
        messages.info(request, f"Saved. Before it can be published, {things} to be finished.")
    else:
        messages.success(request, "Saved. Nothing runs before it is published.")
    return _go(request, page_url(where_visible(scope, workflow), "workflow-edit", workflow))


def _publish(request: HttpRequest, scope: Scope, workflow: Workflow) -> Answer:
    place = where_visible(scope, workflow)
    try:
        version = lifecycle.publish(workflow=workflow, by=scope.user)
    except NotPublishable as error:
        things = "One thing is" if len(error.found) == 1 else f"{len(error.found)} things are"
        messages.error(request, f"Not published yet. {things} to be finished first.")
        return _go(request, f"{page_url(place, 'workflow-edit', workflow)}#problems")
    except NotAllowed as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, f"Version {version.number} is live: the next event starts it.")
        for name in lifecycle.place_of(workflow).disconnected:
            messages.warning(
                request, f"{name} is disconnected: nothing starts there until it is connected again."
            )
    return _go(request, page_url(place, "workflow-detail", workflow))


def _page(
    request: HttpRequest,
    edit: Edit,
    builder: Builder,
    form: WorkflowForm,
    *,
    status: int = 200,
    stale: Stale | None = None,
) -> HttpResponse:
    stamp = lifecycle.stamp_of(stale.saved) if stale and stale.saved else ""
    ticked = [int(pk) for pk in form["connections"].value() or [] if str(pk).isdecimal()]
    context = {
        "edit": edit,
        "builder": builder,
        "events": trials.recent_events(edit.listens(ticked), builder.trigger_key),
        "event": request.POST.get("event", ""),
        "form": form,
        "name": form["name"].value() or "",
        "ticked": {str(pk) for pk in form["connections"].value() or []},
        "clients": queries.clients(edit.within),
        "stamp": request.POST.get("stamp") or (edit.content.stamp if edit.content else ""),
        "stale": stale,
        "stale_stamp": stamp,
        "starting_points": STARTING_POINTS.values(),
        "workflow": edit.workflow,
        "list": page_url(edit.scope, "workflow-list"),
    }
    # htmx leaves answers alone that are not 200, and this one is to be shown.
    return render(request, "workflows/builder.html", context, status=200 if _is_htmx(request) else status)


@require_safe
def workflow_detail(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    return _detail(request, scope, found_workflow(scope, workflow))


def _detail(
    request: HttpRequest, scope: Scope, found: Workflow, typed: SafetyForm | None = None
) -> HttpResponse:
    """`typed`: what somebody typed into the safety pause's form, with its errors."""
    connectable = queries.choosable(scope, found) if scope.may(gate.WORK) else []
    context = {
        "workflow": found,
        "detail": queries.detail(scope, found),
        "activations": queries.newest_activations(scope, found, LAST_ACTIVATIONS),
        "clients": queries.clients(connectable),
        "ticked": {str(pk) for pk in queries.applied(scope, found)},
        "events": _events_to_run(scope, found),
        "safety": typed or SafetyForm(initial={"pause_after": found.pause_after}),
        "held_back": safety.waiting(found).count() if found.held else 0,
        "here": page_url(scope, "workflow-detail", found),
        "list": page_url(scope, "workflow-list"),
        "activation_list": page_url(scope, "activation-list"),
        "activations_href": f"{page_url(scope, 'activation-list')}?workflow={found.pk}",
    }
    return render(request, "workflows/detail.html", context, status=422 if typed else 200)


@require_POST
def workflow_safety(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> HttpResponse:
    """After how many failures in a row it pauses by itself."""
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = found_workflow(scope, workflow)
    form = SafetyForm(request.POST)
    if not form.is_valid():
        return _detail(request, scope, found, form)
    limit = form.cleaned_data["pause_after"]
    safety.set_limit(workflow=found, pause_after=limit, by=scope.user)
    saved = (
        f"Saved. It pauses after {limit} failures in a row." if limit else "Saved. It never pauses by itself."
    )
    messages.success(request, saved)
    return redirect(page_url(scope, "workflow-detail", found))


@require_POST
def workflow_run(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> HttpResponse:
    """The live version on one recent event, chosen by a person."""
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = found_workflow(scope, workflow)
    event = trials.event_for(_runnable(scope, found), _live_trigger(found), request.POST.get("event", ""))
    try:
        if event is None:
            raise NotAllowed("Choose one of the events.")
        started = trials.run_now(workflow=found, event=event, by=scope.user)
    except NotAllowed as error:
        messages.warning(request, str(error))
        return redirect(page_url(scope, "workflow-detail", found))
    messages.success(request, "Started.")
    return redirect(f"{page_url(scope, 'activation-list')}{started}/")


def _runnable(scope: Scope, workflow: Workflow) -> list[int]:
    """The connections it listens to that this person may use from here."""
    within = set(queries.connectable(scope).values_list("pk", flat=True))
    return sorted(queries.applied(scope, workflow) & within)


def _events_to_run(scope: Scope, workflow: Workflow) -> list[trials.Choice]:
    if not scope.may(gate.WORK) or workflow.state != WorkflowState.PUBLISHED:
        return []
    return trials.recent_events(_runnable(scope, workflow), _live_trigger(workflow))


def _live_trigger(workflow: Workflow) -> str:
    return workflow.versions.filter(live=True).values_list("trigger", flat=True).first() or ""


@require_POST
def workflow_publish(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    return _publish(request, scope, found_workflow(scope, workflow))


@require_POST
def workflow_connections(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = found_workflow(scope, workflow)
    within = queries.choosable(scope, found)
    form = ConnectionsForm(request.POST, found=within)
    if form.is_valid():
        lifecycle.apply_to(workflow=found, connections=form.chosen, within=within, by=scope.user)
        messages.success(request, "Saved. The workflow listens to the ticked organisations from now on.")
    else:
        messages.error(request, first_error(form))
    return redirect(page_url(where_visible(scope, found), "workflow-detail", found))


@require_POST
def workflow_pause(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> Answer:
    done = "Paused. Events that come now start nothing; what has begun finishes."
    return _do(request, agency, workspace, workflow, lifecycle.pause, done)


@require_POST
def workflow_resume(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> Answer:
    done = "Resumed. The next event starts it, and what waited goes on."
    return _do(request, agency, workspace, workflow, lifecycle.resume, done)


@require_POST
def workflow_archive(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> Answer:
    done = "Archived. It starts nothing more; its activations stay."
    return _do(request, agency, workspace, workflow, lifecycle.archive, done)


@require_POST
def workflow_unarchive(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> Answer:
    done = "It is back. It starts nothing before you resume or publish it."
    return _do(request, agency, workspace, workflow, lifecycle.unarchive, done)


@require_POST
def workflow_discard(
    request: HttpRequest, agency: str, workspace: str | None = None, *, workflow: int
) -> Answer:
    return _do(request, agency, workspace, workflow, lifecycle.discard_draft, "The draft is discarded.")


def _do(
    request: HttpRequest, agency: str, workspace: str | None, pk: int, verb: Callable[..., None], done: str
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = found_workflow(scope, pk)
    try:
        verb(workflow=found, by=scope.user)
    except NotAllowed as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, done)
    return redirect(page_url(scope, "workflow-detail", found))


def found_workflow(scope: Scope, pk: int) -> Workflow:
    found = queries.one(scope, pk)
    if found is None:
        raise Http404("No such workflow here.")
    return found


def where_visible(scope: Scope, workflow: Workflow) -> Scope:
    """This scope, or the agency's where the workflow listens to nothing of this client."""
    if scope.workspace is None or queries.one(scope, workflow.pk):
        return scope
    return Scope(scope.user, scope.agency, None, scope.level, is_client=False)


def _form(edit: Edit, *, name: str, ticked: list[int]) -> WorkflowForm:
    return WorkflowForm(initial={"name": name, "connections": ticked}, found=edit.within)


def _with_name(request: HttpRequest) -> "object":
    """The POST, with the name of the starting point where none was typed."""
    point = STARTING_POINTS.get(request.POST.get("template", ""))
    if point is None or "name" in request.POST:
        return request.POST
    data = request.POST.copy()
    data["name"] = point.name
    return data


def _is_htmx(request: HttpRequest) -> bool:
    return "HX-Request" in request.headers


def _go(request: HttpRequest, url: str) -> Answer:
    return HttpResponseClientRedirect(url) if _is_htmx(request) else redirect(url)


def page_url(scope: Scope, name: str, workflow: Workflow | None = None) -> str:
    kwargs: dict[str, str | int] = {"agency": scope.agency.slug}
    if scope.workspace is not None:
        kwargs["workspace"] = scope.workspace.slug
    if workflow is not None:
        kwargs["workflow"] = workflow.pk
    return reverse(f"workflows:{name}", kwargs=kwargs)
