"""Pages of deliveries: did Xero send it, what did it say, what came of it."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from connections import delivery_queries as queries
from connections import inbox
from connections.forms import DeliveryFilterForm
from taskjuice.workspaces import gate


@require_safe
def delivery_list(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    form = DeliveryFilterForm(request.GET)
    form.is_valid()
    verdict = form.cleaned_data.get("verdict", "")
    context = {
        "page": queries.page(scope, verdict=verdict, before=form.cleaned_data.get("before")),
        "verdict": verdict,
        "verdicts": queries.VERDICTS,
        "refused": queries.refused_lately(),
        "newest": "before" not in request.GET,
    }
    partial = request.headers.get("HX-Request") and request.headers.get("HX-Target") == "deliveries"
    return render(request, "deliveries/_table.html" if partial else "deliveries/list.html", context)


@require_safe
def delivery_detail(
    request: HttpRequest, agency: str, delivery: int, workspace: str | None = None
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = queries.detail(scope, delivery)
    if found is None:
        raise Http404("No such delivery.")
    return render(request, "deliveries/detail.html", {"detail": found, "delivery": found.delivery})


@require_POST
def delivery_replay(
    request: HttpRequest, agency: str, delivery: int, workspace: str | None = None
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=gate.WORK)
    found = queries.visible(scope).filter(pk=delivery).first()
    if found is None:
        raise Http404("No such delivery.")
    started = inbox.replay(queries.events_to_replay(scope, found), scope=scope, delivery=found)
    if started:
        messages.success(request, f"Started {started} activation{'s' if started > 1 else ''}.")
    else:
        messages.info(request, "Nothing to start: whatever listens to these events has run for them already.")
    return redirect(f"{scope.path}deliveries/{found.pk}/")
