"""Pages of connecting: the catalogue, the way to the provider, the way back, the choice of
organisations.
"""

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
from connections.oauth.cleanup import offered
from connections.providers import Tenant, providers
from taskjuice.workspaces import branding, gate
from taskjuice.workspaces.gate import Scope

AfterChoice = Callable[[HttpRequest, Consent, list[Connection]], HttpResponse]


@require_safe
def connection_new(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    return _catalogue(
        request, scope, StartForm(workspaces=queries.workspaces_to_connect(scope.agency))
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
        form = StartForm(request.POST, workspaces=queries.workspaces_to_connect(scope.agency))
        if not form.is_valid():
            return _catalogue(request, scope, form, status=422)
        place = form.cleaned_data["workspace"]
    return redirect(consents.begin(request, provider=provider, workspace=place, by=scope.user))


@require_POST
def connection_reconnect(
    request: HttpRequest, agency: str, workspace: str, connection: int
) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    found = queries.one(scope.workspace, connection) if scope.workspace else None
    if found is None:
        raise Http404("No such connection here.")
    url = consents.begin(
        request, provider=found.provider, workspace=found.workspace, by=scope.user, reconnects=found
    )
    return redirect(url)


@require_GET
def consent_callback(request: HttpRequest, provider: str) -> HttpResponse:
    """The provider sends the person here. The gate stands in consents.exchange: the place is known
    by the state.

    Nobody is sent to a sign-in page: its address would carry the code on.
    """
    if provider not in providers.by_key:
        raise Http404("No such provider.")
    user = None if isinstance(request.user, AnonymousUser) else request.user
    consent = None
    try:
        consent = consents.take(request, provider=provider, by=user)
        consents.exchange(consent, request.GET["code"], request)
        return _exchanged(request, consent)
    except consents.Refused as refusal:
        running = (
            refusal.code == "used"
            and refusal.consent is not None
            and refusal.consent.exchanged_at is None
        )
        if running and refusal.consent and consents.wait_for_exchange(refusal.consent):
            return redirect(_choose_address(refusal.consent))
        consents.refused(refusal.code, request, by=user)
        return _refused(request, refusal.code, refusal.consent)
    except errors.ProviderError as error:
        return _refused(request, "away", consent, message=str(error), status=503)


@require_http_methods(["GET", "HEAD", "POST"])
def consent_choose(request: HttpRequest, agency: str, workspace: str, consent: int) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    found = _open(scope, consent)
    if found is None:
        messages.info(request, "This choice has been made, or waited too long.")
        return redirect(reverse("connections:connection-list", args=[agency, workspace]))
    try:
        return choose(request, found, _connected)
    except consents.Refused:  # a second click; the first one connects
        return redirect(reverse("connections:connection-list", args=[agency, workspace]))


def choose(request: HttpRequest, consent: Consent, after: AfterChoice) -> HttpResponse:
    """The choice of organisations, and what `after` answers once it is made. Raises Refused when it
    was made.
    """
    tenants = offered(consent)
    elsewhere = lifecycle.elsewhere(tenants, consent.workspace, consent.provider)
    free = [tenant for tenant in tenants if tenant.tenant_id not in elsewhere]
    form = ChooseForm(request.POST if request.method == "POST" else None, free=free)
    if request.method == "POST" and consent.reconnects is None and form.is_valid():
        made = _connect(form, consent, free)
        if made:
            return after(request, consent, made)
    context = {
        "consent": consent,
        "form": form,
        "offers": tenant_selection.offers(consent, tenants, elsewhere),
        "provider": providers[consent.provider],
        **_look(consent),
    }
    return render(request, "connections/choose.html", context, status=422 if form.errors else 200)


@require_POST
def consent_cancel(request: HttpRequest, agency: str, workspace: str, consent: int) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    found = _open(scope, consent)
    if found is not None:
        tenant_selection.cancel(found)
        messages.info(request, "Nothing was connected.")
    return redirect(reverse("connections:connection-list", args=[agency, workspace]))


def _exchanged(request: HttpRequest, consent: Consent) -> HttpResponse:
    """On to the choice. A hand-over needs none, nor a reconnect that brought the same organisation."""
    if consent.takes_over is not None:
        return _handed_over(request, consent, tenant_selection.take_over(consent))
    same = tenant_selection.same_again(consent) if consent.reconnects else None
    if same is None:
        return redirect(_choose_address(consent))
    made = tenant_selection.finish(consent, [same])
    if consent.link is not None:
        return redirect("connections:link-done", consent.pk)
    return _connected(request, consent, made)


def _handed_over(request: HttpRequest, consent: Consent, moved: list[Connection]) -> HttpResponse:
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
    if tenant_selection.held_by(consent.takes_over, consent.agency).exists():
        return redirect("connections:grant-hand-over", consent.agency.slug, consent.takes_over.pk)
    return redirect("connections:grant-list", consent.agency.slug)


def _connect(form: ChooseForm, consent: Consent, free: list[Tenant]) -> list[Connection]:
    """What was ticked and pasted, connected; empty with the reason in the form."""
    ticked = set(form.cleaned_data["tenants"])
    chosen = [tenant for tenant in free if str(tenant.tenant_id) in ticked]
    try:
        chosen += _pasted(form, consent, chosen)
        return tenant_selection.finish(consent, chosen) if not form.errors else []
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


def _pasted(form: ChooseForm, consent: Consent, chosen: list[Tenant]) -> list[Tenant]:
    tenant_id = form.cleaned_data["tenant_id"]
    if tenant_id is None or tenant_id in {tenant.tenant_id for tenant in chosen}:
        return []
    tenant = tenant_selection.pasted(consent, tenant_id)
    if tenant is None:
        form.add_error(
            "tenant_id", "Your consent does not cover an organisation with this tenant ID."
        )
        return []
    return [tenant]


def _connected(request: HttpRequest, consent: Consent, made: list[Connection]) -> HttpResponse:
    names = ", ".join(connection.name for connection in made)
    messages.success(request, f"Connected: {names}.")
    place = [consent.agency.slug, consent.workspace.slug]
    if len(made) > 1:
        return redirect(reverse("connections:connection-list", args=place))
    return redirect(reverse("connections:connection-detail", args=[*place, made[0].pk]))


def _open(scope: Scope, consent_id: int) -> Consent | None:
    """The consent, None when it is over, 404 when it is not this person's."""
    assert scope.workspace is not None  # the address names one
    mine = Consent.objects.filter(pk=consent_id, workspace=scope.workspace, user=scope.user)
    if not mine.exists():
        raise Http404("No such consent here.")
    return consents.open_for(consent_id, workspace=scope.workspace, by=scope.user)


def _choose_address(consent: Consent) -> str:
    if consent.link is not None:
        return reverse("connections:link-choose", args=[consent.pk])
    place = [consent.agency.slug, consent.workspace.slug]
    return reverse("connections:consent-choose", args=[*place, consent.pk])


def _look(consent: Consent | None) -> dict[str, Any]:
    """Whoever came by a connect link sees the agency's branding, not ours."""
    if consent is None or consent.link is None:
        return {"layout": "narrow.html"}
    return {
        "layout": "branded.html",
        "agency": consent.agency,
        "branding": branding.of(consent.agency),
    }


def _catalogue(
    request: HttpRequest, scope: Scope, form: StartForm, status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "providers": list(providers.by_key.values()),
        "form": form,
        "workspace": scope.workspace,
        "counts": queries.counts(scope),
        "unreturned": queries.providers_not_back_from(scope.agency, scope.user),
        "clients": queries.workspaces_to_connect(scope.agency).exists(),
    }
    return render(request, "connections/new.html", context, status=status)


def _refused(
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
        "choose": _choose_address(consent) if consent and open_still else None,
        **_look(consent),
    }
    found = 200 if code == "refused-there" else status
    return render(request, "connections/consent_refused.html", context, status=found)
