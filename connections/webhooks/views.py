"""Pages of deliveries: what Xero sent and what resulted from it."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connections.forms import DeliveryFilterForm, ReplayWindowForm
from connections.integrations import registry
from connections.models import Connection
from connections.providers import providers
from connections.webhooks import fan_out, queries
from connections.webhooks import health as webhook_health
from taskjuice.workspaces import gate

MOST_REPLAYED = 10_000  # events at once


@require_safe
def delivery_list(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    form = DeliveryFilterForm(request.GET)
    form.is_valid()
    verdict = form.cleaned_data.get("verdict", "")
    context = {
        "page": queries.get_page(scope, verdict=verdict, before=form.cleaned_data.get("before")),
        "verdict": verdict,
        "verdicts": queries.VERDICTS,
        "newest": "before" not in request.GET,
    }
    partial = request.headers.get("HX-Request") and request.headers.get("HX-Target") == "deliveries"
    if not partial:
        context |= {
            "refused": queries.count_recent_refusals(),
            "health": webhook_health.get_scope_health(scope),
            "recovered": queries.count_recent_recoveries(scope),
            "gaps": registry.webhooks["xero"].gaps(),
        }
    return render(request, "deliveries/_table.html" if partial else "deliveries/list.html", context)


@require_safe
def delivery_detail(
    request: HttpRequest, agency: str, delivery: int, workspace: str | None = None
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = queries.get_detail(scope, delivery)
    if found is None:
        raise Http404("No such delivery.")
    return render(request, "deliveries/detail.html", {"detail": found, "delivery": found.delivery})


@require_POST
def delivery_replay(
    request: HttpRequest, agency: str, delivery: int, workspace: str | None = None
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = queries.list_visible(scope).filter(pk=delivery).first()
    if found is None:
        raise Http404("No such delivery.")
    events, subject = queries.list_events_to_replay(scope, found), f"delivery {found.pk}"
    started = fan_out.replay_events(events, scope=scope, subject=subject, failed=found)
    _report_started(request, started)
    return redirect(f"{scope.path}deliveries/{found.pk}/")


@require_http_methods(["GET", "HEAD", "POST"])
def delivery_replay_window(
    request: HttpRequest, agency: str, workspace: str | None = None
) -> HttpResponse:
    """Replay all that was reported in a period. A GET counts the events; only a POST starts
    anything.
    """
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    form = ReplayWindowForm(request.POST if request.method == "POST" else request.GET or None)
    count = None
    if form.is_valid():
        since, until = form.cleaned_data["since"], form.cleaned_data["until"]
        events = queries.list_events_between(scope, since, until)
        count = events.count()
        if count > MOST_REPLAYED:
            form.add_error(
                None, f"That is {count:,} events, and at most {MOST_REPLAYED:,} go at once."
            )
        elif request.method == "POST":
            subject = f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M %Z}"
            _report_started(
                request, fan_out.replay_events(list(events), scope=scope, subject=subject)
            )
            return redirect(f"{scope.path}deliveries/")
    context = {"form": form, "count": None if form.errors else count}
    return render(request, "deliveries/window.html", context, status=422 if form.errors else 200)


@require_POST
def delivery_catch_up(
    request: HttpRequest, agency: str, workspace: str | None = None
) -> HttpResponse:
    """Read again what changed in the last 24 hours and was not reported."""
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    ids = list(
        Connection.objects.filter(workspace__in=scope.workspaces).values_list("pk", flat=True)
    )
    started = providers["xero"].catch_up(ids, timezone.now() - webhook_health.LOOKED_AT)
    if started:
        messages.success(
            request,
            f"Reading {started} ledger{'s' if started > 1 else ''} for changes of the last 24 hours.",
        )
    else:
        messages.info(
            request,
            "No connected organisation has been read to its end yet, so there is nothing to compare.",
        )
    return redirect(f"{scope.path}deliveries/")


def _report_started(request: HttpRequest, started: int) -> None:
    if started:
        messages.success(request, f"Started {started} activation{'s' if started > 1 else ''}.")
    else:
        messages.info(
            request, "Nothing to start: whatever listens to these events has run for them already."
        )
