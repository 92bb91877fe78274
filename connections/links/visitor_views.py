"""What somebody without an account sees who was sent a connect link.

Looking changes nothing: scanners of mail open every link. From Start on, the browser's session
stands for the person.
"""

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connections.links import lifecycle
from connections.links.forms import DeclineForm
from connections.models import Connection, ConnectLink, Consent
from connections.oauth import consents, link_progress, tenant_selection
from connections.oauth.views import choose
from connections.providers import providers
from taskjuice.workspaces import branding

GONE, TOO_MANY = 410, 429


@require_safe
def link(request: HttpRequest, token: str) -> HttpResponse:
    found = lifecycle.find(token)
    if found is None or lifecycle.dead(found):
        return _over(request, found)
    return _offer(request, found, token, DeclineForm())


@require_POST
def link_start(request: HttpRequest, token: str) -> HttpResponse:
    found = lifecycle.find(token)
    if found is None or lifecycle.dead(found) or not link_progress.opened(found):
        return _over(request, found)
    return _to_the_provider(request, found)


@require_POST
def link_decline(request: HttpRequest, token: str) -> HttpResponse:
    found = lifecycle.find(token)
    if found is None or lifecycle.dead(found):
        return _over(request, found)
    form = DeclineForm(request.POST)
    if not form.is_valid():
        return _offer(request, found, token, form)
    link_progress.declined(found, form.cleaned_data["reason"])
    found.refresh_from_db()
    return _over(request, found, status=200)


@require_http_methods(["GET", "POST"])
def link_choose(request: HttpRequest, consent: int) -> HttpResponse:
    found = consents.open_for_visitor(request, consent)
    if found is None:
        return redirect("connections:link-done", _mine(request, consent).pk)
    try:
        return choose(request, found, _done)
    except consents.Refused:  # a second click, or another browser was first
        return redirect("connections:link-done", found.pk)


@require_POST
def link_cancel(request: HttpRequest, consent: int) -> HttpResponse:
    found = consents.open_for_visitor(request, consent)
    if found is not None:
        tenant_selection.cancel(found)
    return redirect("connections:link-done", _mine(request, consent).pk)


@require_POST
def link_again(request: HttpRequest, consent: int) -> HttpResponse:
    """From a page that says why nothing was connected: the same way once more."""
    found = _mine(request, consent)
    assert found.link is not None  # _mine() looked
    if lifecycle.dead(found.link) or not link_progress.opened(found.link):
        return _over(request, found.link)
    return _to_the_provider(request, found.link)


@require_safe
def link_done(request: HttpRequest, consent: int) -> HttpResponse:
    """How it ended, for who began in this browser."""
    found = _mine(request, consent)
    assert found.link is not None  # _mine() looked
    if (
        not found.link.chosen_at or not found.finished_at or found.failure
    ):  # or another browser chose
        return _over(request, found.link, consent=found, status=200)
    made = found.link.connections.order_by("name", "pk")
    return render(request, "connections/links/done.html", {"made": made, **_look(found.link)})


def _done(request: HttpRequest, consent: Consent, made: list[Connection]) -> HttpResponse:
    return redirect("connections:link-done", consent.pk)


def _mine(request: HttpRequest, consent: int) -> Consent:
    found = consents.of_visitor(request, consent)
    if found is None or found.link is None:
        raise Http404("Nothing here.")
    return found


@transaction.atomic  # so that many at once are counted one after the other
def _to_the_provider(request: HttpRequest, found: ConnectLink) -> HttpResponse:
    if not link_progress.may_start(found):
        context = {"reason": "often", **_look(found)}
        return render(request, "connections/links/over.html", context, status=TOO_MANY)
    url = consents.begin(
        request,
        provider=found.provider,
        workspace=found.workspace,
        by=found,
        reconnects=found.reconnects,
    )
    return redirect(url)


def _offer(request: HttpRequest, found: ConnectLink, token: str, form: DeclineForm) -> HttpResponse:
    context = {"token": token, "form": form, "provider": providers[found.provider], **_look(found)}
    return render(
        request, "connections/links/link.html", context, status=422 if form.errors else 200
    )


def _over(
    request: HttpRequest,
    found: ConnectLink | None,
    *,
    consent: Consent | None = None,
    status: int = GONE,
) -> HttpResponse:
    """The page that says why this link leads nowhere."""
    if found is None:
        return render(request, "connections/links/over.html", {"reason": "unknown"}, status=404)
    reason = lifecycle.dead(found) or ("cancelled" if found.cancelled_at else "open")
    context = {"reason": reason, "consent": consent, **_look(found)}
    return render(request, "connections/links/over.html", context, status=status)


def _look(found: ConnectLink) -> dict[str, object]:
    return {"link": found, "agency": found.agency, "branding": branding.of(found.agency)}
