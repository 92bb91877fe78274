"""Pages of connecting: the catalogue, the redirect to the provider, the callback, the choice."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
    require_safe,
)

from connections import errors, lifecycle, queries
from connections.forms import ChooseForm, StartForm
from connections.models import Connection, Consent
from connections.oauth import consents, tenant_selection
from connections.oauth.cleanup import list_offered_tenants
from connections.providers import Tenant, providers
from taskjuice.workspaces import branding, gate
from taskjuice.workspaces.gate import Scope

AfterChoice = Callable[[HttpRequest, Consent, list[Connection]], HttpResponse]


@require_safe
def connection_new(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    return _render_catalogue(
        request, scope, StartForm(workspaces=queries.list_workspaces_to_connect(scope.agency))
    )


@require_POST
def consent_start(
    request: HttpRequest, agency: str, provider: str, workspace: str | None = None
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    if provider not in providers.by_key:
        raise Http404("No such provider.")
    place = scope.workspace
    if place is None:
        form = StartForm(request.POST, workspaces=queries.list_workspaces_to_connect(scope.agency))
        if not form.is_valid():
            return _render_catalogue(request, scope, form, status=422)
        place = form.cleaned_data["workspace"]
    return redirect(
        consents.begin_consent(request, provider=provider, workspace=place, by=scope.user)
    )


@require_POST
def connection_reconnect(
    request: HttpRequest, agency: str, workspace: str, connection: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    found = queries.find_connection(scope.workspace, connection) if scope.workspace else None
    if found is None:
        raise Http404("No such connection here.")
    url = consents.begin_consent(
        request, provider=found.provider, workspace=found.workspace, by=scope.user, reconnects=found
    )
    return redirect(url)


@require_GET
def consent_callback(request: HttpRequest, provider: str) -> HttpResponse:
    """Handle the provider's callback. The gate is in consents.exchange_code: the state names the
    scope.

    It never redirects to a sign-in page, whose address would carry the code on.
    """
    if provider not in providers.by_key:
        raise Http404("No such provider.")
    user = None if isinstance(request.user, AnonymousUser) else request.user
    consent = None
    try:
        consent = consents.claim_consent(request, provider=provider, by=user)
        consents.exchange_code(consent, request.GET["code"], request)
        return _redirect_after_exchange(request, consent)
    except consents.ConsentRefused as refusal:
        running = (
            refusal.code == "used"
            and refusal.consent is not None
            and refusal.consent.exchanged_at is None
        )
        if running and refusal.consent and consents.wait_for_exchange(refusal.consent):
            return redirect(_choose_url(refusal.consent))
        consents.record_refusal(refusal.code, request, by=user)
        return _render_refusal(request, refusal.code, refusal.consent)
    except errors.ProviderError as error:
        return _render_refusal(request, "away", consent, message=str(error), status=503)


@require_http_methods(["GET", "HEAD", "POST"])
def consent_choose(request: HttpRequest, agency: str, workspace: str, consent: int) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    found = _find_open(scope, consent)
    if found is None:
        messages.info(request, "This choice has been made, or waited too long.")
        return redirect(reverse("connections:connection-list", args=[agency, workspace]))
    try:
        return choose_tenants(request, found, _report_connected)
    except consents.ConsentRefused:  # a second click; the first one connects
        return redirect(reverse("connections:connection-list", args=[agency, workspace]))


def choose_tenants(request: HttpRequest, consent: Consent, after: AfterChoice) -> HttpResponse:
    """Show the choice of organisations, and answer with `after` once it is made.

    Raises ConsentRefused when it was made before.
    """
    tenants = list_offered_tenants(consent)
    elsewhere = lifecycle.find_connected_elsewhere(tenants, consent.workspace, consent.provider)
    free = [tenant for tenant in tenants if tenant.tenant_id not in elsewhere]
    form = ChooseForm(request.POST if request.method == "POST" else None, free=free)
    if request.method == "POST" and consent.reconnects is None and form.is_valid():
        made = _connect_chosen(form, consent, free)
        if made:
            return after(request, consent, made)
    context = {
        "consent": consent,
        "form": form,
        "offers": tenant_selection.build_offers(consent, tenants, elsewhere),
        "provider": providers[consent.provider],
        **_build_layout(consent),
    }
    return render(request, "connections/choose.html", context, status=422 if form.errors else 200)


@require_POST
def consent_cancel(request: HttpRequest, agency: str, workspace: str, consent: int) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    found = _find_open(scope, consent)
    if found is not None:
        tenant_selection.cancel_consent(found)
        messages.info(request, "Nothing was connected.")
    return redirect(reverse("connections:connection-list", args=[agency, workspace]))


def _redirect_after_exchange(request: HttpRequest, consent: Consent) -> HttpResponse:
    """Redirect to the choice, which a transfer does not need, nor a reconnect of the same
    organisation.
    """
    if consent.takes_over is not None:
        return _report_transfer(request, consent, tenant_selection.transfer_grant(consent))
    same = tenant_selection.find_reconnected_tenant(consent) if consent.reconnects else None
    if same is None:
        return redirect(_choose_url(consent))
    made = tenant_selection.connect_chosen(consent, [same])
    if consent.link is not None:
        return redirect("connections:link-done", consent.pk)
    return _report_connected(request, consent, made)


def _report_transfer(
    request: HttpRequest, consent: Consent, moved: list[Connection]
) -> HttpResponse:
    holder = consent.grant.provider_user_name if consent.grant else ""
    if moved:
        names = ", ".join(connection.name for connection in moved)
        messages.success(request, f"Handed over to {holder}: {names}.")
    elif consent.takes_over == consent.grant:
        messages.warning(
            request,
            f"You consented as {holder} again. Sign in to Xero as the person who takes over.",
        )
    else:
        messages.warning(
            request, f"{holder} allowed none of these organisations at Xero. Nothing was changed."
        )
    assert consent.takes_over is not None  # _exchanged() looked
    if tenant_selection.list_held_by(consent.takes_over, consent.agency).exists():
        return redirect("connections:grant-hand-over", consent.agency.slug, consent.takes_over.pk)
    return redirect("connections:grant-list", consent.agency.slug)


def _connect_chosen(form: ChooseForm, consent: Consent, free: list[Tenant]) -> list[Connection]:
    """Connect what was ticked and pasted; return nothing, with the reason in the form, on an error."""
    ticked = set(form.cleaned_data["tenants"])
    chosen = [tenant for tenant in free if str(tenant.tenant_id) in ticked]
    try:
        chosen += _find_pasted(form, consent, chosen)
        return tenant_selection.connect_chosen(consent, chosen) if not form.errors else []
    except lifecycle.ConnectedElsewhere as error:
        where = (
            ""
            if consent.link
            else f" in {error.connection.workspace}. Disconnect it there first, or leave it out"
        )
        form.add_error(None, f"{error.connection.name} is already connected{where}.")
    except errors.ProviderError as error:
        form.add_error(None, str(error))
    return []


def _find_pasted(form: ChooseForm, consent: Consent, chosen: list[Tenant]) -> list[Tenant]:
    tenant_id = form.cleaned_data["tenant_id"]
    if tenant_id is None or tenant_id in {tenant.tenant_id for tenant in chosen}:
        return []
    tenant = tenant_selection.find_pasted_tenant(consent, tenant_id)
    if tenant is None:
        form.add_error(
            "tenant_id", "Your consent does not cover an organisation with this tenant ID."
        )
        return []
    return [tenant]


def _report_connected(
    request: HttpRequest, consent: Consent, made: list[Connection]
) -> HttpResponse:
    names = ", ".join(connection.name for connection in made)
    messages.success(request, f"Connected: {names}.")
    place = [consent.agency.slug, consent.workspace.slug]
    if len(made) > 1:
        return redirect(reverse("connections:connection-list", args=place))
    return redirect(reverse("connections:connection-detail", args=[*place, made[0].pk]))


def _find_open(scope: Scope, consent_id: int) -> Consent | None:
    """Return the consent, None when it has ended; raise 404 when it is not this person's."""
    assert scope.workspace is not None  # the address names one
    mine = Consent.objects.filter(pk=consent_id, workspace=scope.workspace, user=scope.user)
    if not mine.exists():
        raise Http404("No such consent here.")
    return consents.find_open_consent(consent_id, workspace=scope.workspace, by=scope.user)


def _choose_url(consent: Consent) -> str:
    if consent.link is not None:
        return reverse("connections:link-choose", args=[consent.pk])
    place = [consent.agency.slug, consent.workspace.slug]
    return reverse("connections:consent-choose", args=[*place, consent.pk])


def _build_layout(consent: Consent | None) -> dict[str, Any]:
    """Return the layout of the page: the agency's branding for recipients of a connect link."""
    if consent is None or consent.link is None:
        return {"layout": "narrow.html"}
    return {
        "layout": "branded.html",
        "agency": consent.agency,
        "branding": branding.of(consent.agency),
    }


def _render_catalogue(
    request: HttpRequest, scope: Scope, form: StartForm, status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "providers": list(providers.by_key.values()),
        "form": form,
        "workspace": scope.workspace,
        "counts": queries.count_connections(scope),
        "unreturned": queries.find_unreturned_providers(scope.agency, scope.user),
        "clients": queries.list_workspaces_to_connect(scope.agency).exists(),
    }
    return render(request, "connections/new.html", context, status=status)


def _render_refusal(
    request: HttpRequest,
    code: str,
    consent: Consent | None,
    *,
    message: str = "",
    status: int = 400,
) -> HttpResponse:
    open_still = (
        consent is not None and consent.finished_at is None and consent.grant_id is not None
    )
    context = {
        "code": code,
        "message": message,
        "consent": consent,
        "choose": _choose_url(consent) if consent and open_still else None,
        **_build_layout(consent),
    }
    found = 200 if code == "refused-there" else status
    return render(request, "connections/consent_refused.html", context, status=found)
