"""Pages of connecting: the catalogue, the way to the provider, the way back, the choice of organisations."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST, require_safe

from connections import consents, errors, lifecycle, queries
from connections.forms import ChooseForm, StartForm
from connections.models import Connection, Consent
from connections.providers import Tenant, providers
from taskjuice.workspaces import gate
from taskjuice.workspaces.gate import Scope


@require_safe
def connection_new(request: HttpRequest, agency: str, workspace: str | None = None) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    return _catalogue(request, scope, StartForm(workspaces=queries.workspaces_to_connect(scope.agency)))


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
def connection_reconnect(request: HttpRequest, agency: str, workspace: str, connection: int) -> HttpResponse:
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
    """The provider sends the person here. The gate stands in consents.exchange: the place is known by the state."""
    if provider not in providers.by_key:
        raise Http404("No such provider.")
    user = None if isinstance(request.user, AnonymousUser) else request.user
    try:
        if user is None:  # no sign-in page: its address would carry the code on
            raise consents.Refused("unknown-state")
        consent = consents.take(request, provider=provider, by=user)
        consents.exchange(consent, request.GET["code"], request)
        return _exchanged(request, consent)
    except consents.Refused as refusal:
        running = (
            refusal.code == "used" and refusal.consent is not None and refusal.consent.exchanged_at is None
        )
        if running and refusal.consent and consents.wait_for_exchange(refusal.consent):
            return redirect(_choose_address(refusal.consent))
        consents.refused(refusal.code, request, by=user)
        return _refused(request, refusal.code, refusal.consent)
    except errors.ProviderError as error:
        return render(
            request, "connections/consent_refused.html", {"code": "away", "message": str(error)}, status=503
        )


def consent_choose(request: HttpRequest, agency: str, workspace: str, consent: int) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    found = _open(scope, consent)
    if found is None:
        messages.info(request, "This choice has been made, or waited too long.")
        return redirect(reverse("connections:connection-list", args=[agency, workspace]))
    tenants = consents.offered(found)
    elsewhere = lifecycle.elsewhere(tenants, found.workspace, found.provider)
    free = [tenant for tenant in tenants if tenant.tenant_id not in elsewhere]
    form = ChooseForm(request.POST if request.method == "POST" else None, free=free)
    if request.method == "POST" and found.reconnects is None and form.is_valid():
        try:
            made = _connect(form, found, free, scope)
        except consents.Refused:  # a second click; the first one connects
            return redirect(reverse("connections:connection-list", args=[agency, workspace]))
        if made:
            return _connected(request, made)
    context = {
        "consent": found,
        "form": form,
        "offers": queries.offers(found, tenants, elsewhere),
        "provider": providers[found.provider],
    }
    return render(request, "connections/choose.html", context, status=422 if form.errors else 200)


@require_POST
def consent_cancel(request: HttpRequest, agency: str, workspace: str, consent: int) -> HttpResponse:
    scope = gate.enter(request, agency, workspace, level=consents.LEVEL)
    found = _open(scope, consent)
    if found is not None:
        consents.cancel(found, by=scope.user)
        messages.info(request, "Nothing was connected.")
    return redirect(reverse("connections:connection-list", args=[agency, workspace]))


def _exchanged(request: HttpRequest, consent: Consent) -> HttpResponse:
    """On to the choice; a reconnect that brought the same organisation needs none."""
    same = consents.same_again(consent) if consent.reconnects else None
    if same is None:
        return redirect(_choose_address(consent))
    return _connected(request, consents.finish(consent, [same], by=consent.user))


def _connect(form: ChooseForm, consent: Consent, free: list[Tenant], scope: Scope) -> list[Connection]:
    """What was ticked and pasted, connected; empty with the reason in the form."""
    ticked = set(form.cleaned_data["tenants"])
    chosen = [tenant for tenant in free if str(tenant.tenant_id) in ticked]
    try:
        chosen += _pasted(form, consent, chosen)
        return consents.finish(consent, chosen, by=scope.user) if not form.errors else []
    except lifecycle.ConnectedElsewhere as error:
        form.add_error(None, f"{error} Disconnect it there first, or leave it out.")
    except errors.ProviderError as error:
        form.add_error(None, str(error))
    return []


def _pasted(form: ChooseForm, consent: Consent, chosen: list[Tenant]) -> list[Tenant]:
    tenant_id = form.cleaned_data["tenant_id"]
    if tenant_id is None or tenant_id in {tenant.tenant_id for tenant in chosen}:
        return []
    tenant = consents.pasted(consent, tenant_id)
    if tenant is None:
        form.add_error("tenant_id", "Your consent does not cover an organisation with this tenant ID.")
        return []
    return [tenant]


def _connected(request: HttpRequest, made: list[Connection]) -> HttpResponse:
    names = ", ".join(connection.name for connection in made)
    messages.success(request, f"Connected: {names}.")
    first = made[0]
    place = [first.agency.slug, first.workspace.slug]
    if len(made) > 1:
        return redirect(reverse("connections:connection-list", args=place))
    return redirect(reverse("connections:connection-detail", args=[*place, first.pk]))


def _open(scope: Scope, consent_id: int) -> Consent | None:
    """The consent, None when it is over, 404 when it is not this person's."""
    assert scope.workspace is not None  # the address names one
    mine = Consent.objects.filter(pk=consent_id, workspace=scope.workspace, user=scope.user)
    if not mine.exists():
        raise Http404("No such consent here.")
    return consents.open_for(scope.workspace, consent_id, by=scope.user)


def _choose_address(consent: Consent) -> str:
    place = [consent.agency.slug, consent.workspace.slug]
    return reverse("connections:consent-choose", args=[*place, consent.pk])


def _catalogue(request: HttpRequest, scope: Scope, form: StartForm, status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {
        "providers": list(providers.by_key.values()),
        "form": form,
        "workspace": scope.workspace,
        "counts": queries.counts(scope),
        "clients": queries.workspaces_to_connect(scope.agency).exists(),
    }
    return render(request, "connections/new.html", context, status=status)


def _refused(request: HttpRequest, code: str, consent: Consent | None) -> HttpResponse:
    open_still = consent is not None and consent.finished_at is None and consent.grant_id is not None
    context = {
        "code": code,
        "consent": consent,
        "choose": _choose_address(consent) if consent and open_still else None,
    }
    return render(
        request, "connections/consent_refused.html", context, status=200 if code == "refused-there" else 400
    )
