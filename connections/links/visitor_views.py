"""Pages for a recipient of a connect link, who has no account.

A GET changes nothing: mail scanners open every link. From Start on, the browser's session
identifies the person.
"""

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from connections.links import lifecycle
from connections.links.forms import DeclineForm
from connections.models import Connection, ConnectLink, Consent
from connections.oauth import consents, link_progress, tenant_selection
from connections.oauth.views import choose_tenants
from connections.providers import providers
from taskjuice.workspaces import branding

GONE, TOO_MANY = 410, 429


@require_safe
def link_page(request: HttpRequest, token: str) -> HttpResponse:
    found = lifecycle.find_link(token)
    if found is None or lifecycle.find_end_reason(found):
        return _render_over(request, found)
    return _render_link(request, found, token, DeclineForm())


@require_POST
def link_start(request: HttpRequest, token: str) -> HttpResponse:
    found = lifecycle.find_link(token)
    if found is None or lifecycle.find_end_reason(found) or not link_progress.mark_opened(found):
        return _render_over(request, found)
    return _redirect_to_provider(request, found)


@require_POST
def link_decline(request: HttpRequest, token: str) -> HttpResponse:
    found = lifecycle.find_link(token)
    if found is None or lifecycle.find_end_reason(found):
        return _render_over(request, found)
    form = DeclineForm(request.POST)
    if not form.is_valid():
        return _render_link(request, found, token, form)
    link_progress.mark_declined(found, form.cleaned_data["reason"])
    found.refresh_from_db()
    return _render_over(request, found, status=200)


@require_http_methods(["GET", "POST"])
def link_choose(request: HttpRequest, consent: int) -> HttpResponse:
    found = consents.find_open_visitor_consent(request, consent)
    if found is None:
        return redirect("connections:link-done", _get_own_consent(request, consent).pk)
    try:
        return choose_tenants(request, found, _redirect_to_done)
    except consents.ConsentRefused:  # a second click, or another browser was first
        return redirect("connections:link-done", found.pk)


@require_POST
def link_cancel(request: HttpRequest, consent: int) -> HttpResponse:
    found = consents.find_open_visitor_consent(request, consent)
    if found is not None:
        tenant_selection.cancel_consent(found)
    return redirect("connections:link-done", _get_own_consent(request, consent).pk)


@require_POST
def link_again(request: HttpRequest, consent: int) -> HttpResponse:
    """Start once more, from a page that says why nothing was connected."""
    found = _get_own_consent(request, consent)
    assert found.link is not None  # _mine() looked
    if lifecycle.find_end_reason(found.link) or not link_progress.mark_opened(found.link):
        return _render_over(request, found.link)
    return _redirect_to_provider(request, found.link)


@require_safe
def link_done(request: HttpRequest, consent: int) -> HttpResponse:
    """Show how it ended, in the browser in which it began."""
    found = _get_own_consent(request, consent)
    assert found.link is not None  # _mine() looked
    # Another browser may have made the choice.
    if not found.link.chosen_at or not found.finished_at or found.failure:
        return _render_over(request, found.link, consent=found, status=200)
    made = found.link.connections.order_by("name", "pk")
    return render(
        request, "connections/links/done.html", {"made": made, **_build_branding(found.link)}
    )


def _redirect_to_done(
    request: HttpRequest, consent: Consent, made: list[Connection]
) -> HttpResponse:
    return redirect("connections:link-done", consent.pk)


def _get_own_consent(request: HttpRequest, consent: int) -> Consent:
    found = consents.find_visitor_consent(request, consent)
    if found is None or found.link is None:
        raise Http404("Nothing here.")
    return found


@transaction.atomic  # so that many at once are counted one after the other
def _redirect_to_provider(request: HttpRequest, found: ConnectLink) -> HttpResponse:
    if not link_progress.can_start(found):
        context = {"reason": "often", **_build_branding(found)}
        return render(request, "connections/links/over.html", context, status=TOO_MANY)
    url = consents.begin_consent(
        request,
        provider=found.provider,
        workspace=found.workspace,
        by=found,
        reconnects=found.reconnects,
    )
    return redirect(url)


def _render_link(
    request: HttpRequest, found: ConnectLink, token: str, form: DeclineForm
) -> HttpResponse:
    context = {
        "token": token,
        "form": form,
        "provider": providers[found.provider],
        **_build_branding(found),
    }
    return render(
        request, "connections/links/link.html", context, status=422 if form.errors else 200
    )


def _render_over(
    request: HttpRequest,
    found: ConnectLink | None,
    *,
    consent: Consent | None = None,
    status: int = GONE,
) -> HttpResponse:
    """Render the page that says why this link cannot be used."""
    if found is None:
        return render(request, "connections/links/over.html", {"reason": "unknown"}, status=404)
    reason = lifecycle.find_end_reason(found) or ("cancelled" if found.cancelled_at else "open")
    context = {"reason": reason, "consent": consent, **_build_branding(found)}
    return render(request, "connections/links/over.html", context, status=status)


def _build_branding(found: ConnectLink) -> dict[str, object]:
    return {"link": found, "agency": found.agency, "branding": branding.of(found.agency)}
