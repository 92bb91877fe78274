"""Pages of activations: the list, one activation, and actions on them."""

from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from connections.models import Connection
from taskjuice.workspaces import gate
from taskjuice.workspaces.gate import Scope
from workflows.activations import blocked, replay, replay_effects, timeline
from workflows.activations import queries as activation_queries
from workflows.activations.forms import ActivationFilter, BulkForm, ReplayForm
from workflows.engine.lifecycle import NotAllowedNow
from workflows.models import Activation

VERBS = {
    "replay": replay.replay_where_it_ended,
    "cancel": replay.cancel_activation,
    "resume": replay.resume_activation,
    "done": replay.mark_done,
}
DONE = {
    "replay": "replayed from the step they ended at",
    "cancel": "cancelled",
    "resume": "resumed",
}
UNCHANGED = 204  # htmx leaves the page as it is


@require_safe
def activation_list(
    request: HttpRequest, agency: str, workspace: str | None = None
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    chosen = ActivationFilter(request.GET)
    page = activation_queries.build_page(scope, chosen)
    is_poll = request.headers.get("HX-Target") == "live"
    if is_poll and request.headers.get("X-Seen") == page.digest:
        return HttpResponse(status=UNCHANGED)
    shows_causes = chosen.text("state") == "failed" and not chosen.text("cause")
    context = {
        "list": page,
        "chosen": chosen,
        "state": chosen.text("state"),
        "causes": activation_queries.group_failures(
            scope, chosen, every=bool(chosen.cleaned_data.get("every_cause"))
        )
        if shows_causes
        else None,
        "of_workflow": activation_queries.get_workflow_name(scope, chosen),
        "here": _url(scope, "activation-list"),
        "bulk": _url(scope, "activation-bulk"),
    }
    return render(
        request, "workflows/_activations.html" if is_poll else "workflows/activations.html", context
    )


@require_POST
def activation_bulk(
    request: HttpRequest, agency: str, workspace: str | None = None
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    shown = {name: value for name, value in request.GET.items() if name not in {"first", "last"}}
    following = f"{_url(scope, 'activation-list')}?{urlencode(shown)}"
    form = BulkForm(request.POST)
    if not form.is_valid():
        messages.warning(request, "Choose what to do.")
        return redirect(following)
    verb = form.cleaned_data["do"]
    if form.cleaned_data["all"]:
        selection = activation_queries.list_matching(scope, ActivationFilter(request.GET))
    else:
        ticked = activation_queries.list_picked(scope, form.ids)
        selection = activation_queries.BulkSelection(ticked[: activation_queries.BULK], len(ticked))
    if not selection.activations:
        messages.warning(request, "Tick at least one activation.")
        return redirect(following)
    if not form.cleaned_data["sure"] and (verb == "replay" or form.cleaned_data["all"]):
        return _confirm_bulk(request, scope, selection, verb, following)
    return _run_bulk(request, scope, selection.activations, verb, following)


def _confirm_bulk(
    request: HttpRequest,
    scope: Scope,
    selection: activation_queries.BulkSelection,
    verb: str,
    following: str,
) -> HttpResponse:
    """Show exactly the activations that the action would affect.

    The form names each of them, so that no others are affected.
    """
    context = {
        "found": selection,
        "outlook": replay_effects.predict_effects(selection.activations),
        "verb": verb,
        "following": following,
        "here": _url(scope, "activation-list"),
        "bulk": f"{_url(scope, 'activation-bulk')}?{request.GET.urlencode()}",
    }
    return render(request, "workflows/bulk.html", context)


def _run_bulk(
    request: HttpRequest, scope: Scope, activations: list[Activation], verb: str, following: str
) -> HttpResponse:
    done, refused = replay.apply_to_each(activations, VERBS[verb], by=scope.user)
    if done:
        messages.success(request, f"{_count_in_words(done)} {DONE[verb]}.")
    if refused:
        messages.warning(
            request, f"{_count_in_words(len(activations) - done)} left as they were: {refused}"
        )
    return redirect(following)


@require_safe
def activation_detail(
    request: HttpRequest, agency: str, workspace: str | None = None, *, activation: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.READ)
    story = timeline.build_story(_get_activation(scope, activation))
    is_poll = request.headers.get("HX-Target") == "live"
    if is_poll and request.headers.get("X-Seen") == story.digest:
        return HttpResponse(status=UNCHANGED)
    context = {
        "story": story,
        "activation": story.activation,
        "shared": timeline.count_shared_steps(story.activation, story.current),
        "here": _url(scope, "activation-detail", story.activation),
        "list": _url(scope, "activation-list"),
    }
    return render(
        request, "workflows/_activation.html" if is_poll else "workflows/activation.html", context
    )


@require_POST
def activation_replay(
    request: HttpRequest, agency: str, workspace: str | None = None, *, activation: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    target = _get_activation(scope, activation)
    form = ReplayForm(request.POST)
    if not form.is_valid():
        messages.warning(request, "Choose the step to begin at, and the version.")
        return redirect(_url(scope, "activation-detail", target))
    position, on = form.cleaned_data["position"], form.cleaned_data["on"] or replay.ORIGINAL
    try:
        if position is None:
            replay.replay_where_it_ended(activation=target, by=scope.user)
        else:
            replay.replay_activation(activation=target, position=position, on=on, by=scope.user)
    except NotAllowedNow as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, "It runs again. Steps that had finished before are not repeated.")
    return redirect(_url(scope, "activation-detail", target))


@require_POST
def activation_cancel(
    request: HttpRequest, agency: str, workspace: str | None = None, *, activation: int
) -> HttpResponse:
    return _run_verb(
        request, agency, workspace, activation, "cancel", "Cancelled. No further step is taken."
    )


@require_POST
def activation_resume(
    request: HttpRequest, agency: str, workspace: str | None = None, *, activation: int
) -> HttpResponse:
    return _run_verb(request, agency, workspace, activation, "resume", "It is due now.")


@require_POST
def lane_resume(
    request: HttpRequest, agency: str, connection: int, workspace: str | None = None
) -> HttpResponse:
    """Try everything again that waits for a connection."""
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    rows = Connection.objects.filter(workspace__in=scope.workspaces, workspace__archived_at=None)
    target = rows.select_related("agency", "workspace").filter(pk=connection).first()
    if target is None:
        raise Http404("No such connection here.")
    blocked.resume_all(connection=target, by=scope.user)
    messages.success(request, "What waits tries again now.")
    arguments = [scope.agency.slug, target.workspace.slug, target.pk]
    return redirect(reverse("connections:connection-detail", args=arguments))


@require_POST
def activation_done(
    request: HttpRequest, agency: str, workspace: str | None = None, *, activation: int
) -> HttpResponse:
    done = "The step counts as done; the activation goes on behind it."
    return _run_verb(request, agency, workspace, activation, "done", done)


def _run_verb(
    request: HttpRequest, agency: str, workspace: str | None, pk: int, verb: str, done: str
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    activation = _get_activation(scope, pk)
    try:
        VERBS[verb](activation=activation, by=scope.user)
    except NotAllowedNow as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, done)
    return redirect(_url(scope, "activation-detail", activation))


def _get_activation(scope: Scope, pk: int) -> Activation:
    activation = activation_queries.find_activation(scope, pk)
    if activation is None:
        raise Http404("No such activation here.")
    return activation


def _count_in_words(count: int) -> str:
    return "1 activation" if count == 1 else f"{count:,} activations"


def _url(scope: Scope, name: str, activation: Activation | None = None) -> str:
    kwargs: dict[str, str | int] = {"agency": scope.agency.slug}
    if scope.workspace is not None:
        kwargs["workspace"] = scope.workspace.slug
    if activation is not None:
        kwargs["activation"] = activation.pk
    return reverse(f"workflows:{name}", kwargs=kwargs)
