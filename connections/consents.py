"""A trip to the provider's consent page and back: begun, taken back once, exchanged, its tenants chosen.

The state is 256 random bits that only the person's browser and the provider see; we keep its hash, bound to the
person, their session and the workspace, good for one use within ten minutes.
"""

import hashlib
import logging
import secrets
import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.http import Http404, HttpRequest

from connections import errors, grants, lifecycle, states, vault
from connections.models import Connection, ConnectionState, Consent
from connections.providers import Consented, ConsentFailed, Tenant, providers
from taskjuice.workspaces import audit, gate
from taskjuice.workspaces.models import User, Workspace

logger = logging.getLogger(__name__)

GOOD_FOR = timedelta(minutes=10)
CHOOSE_WITHIN = timedelta(minutes=30)
WAIT_SECONDS = 10.0  # of a second callback for the first one's exchange
LEVEL = gate.ADMIN  # who may connect, reconnect and disconnect


class Refused(Exception):
    """A callback that must not go on. `code` picks the words of the page; `consent` is known when it is theirs."""

    def __init__(self, code: str, consent: Consent | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.consent = consent


def begin(
    request: HttpRequest,
    *,
    provider: str,
    workspace: Workspace,
    by: User,
    reconnects: Connection | None = None,
) -> str:
    """Note the trip and return where to send the person."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    Consent.objects.create(
        state_hash=_hash(state),
        session_hash=_session_hash(request),
        provider=provider,
        agency_id=workspace.agency_id,
        workspace=workspace,
        user=by,
        reconnects=reconnects,
        nonce=nonce,
        code_verifier=vault.seal(f"consent:{_hash(state)}", {"verifier": verifier}),
    )
    return providers[provider].authorise_url(state=state, nonce=nonce, verifier=verifier)


def take(request: HttpRequest, *, provider: str, by: User) -> Consent:
    """The consent that this callback belongs to, claimed for good. Raises Refused."""
    for name in ("state", "code", "error"):
        if len(request.GET.getlist(name)) > 1:
            raise Refused("repeated")
    if "code" in request.GET and "error" in request.GET:
        raise Refused("both")
    consent = _claim(request, provider, by)
    if "error" in request.GET:
        _fail(consent, "refused-there", f"The provider's error: {request.GET['error'][:60]!a}")
        raise Refused("refused-there" if request.GET["error"] == "access_denied" else "error-there", consent)
    if not 0 < len(request.GET.get("code", "")) <= 2048:
        _fail(consent, "no-code", "The provider sent no code.")
        raise Refused("no-code", consent)
    return consent


def exchange(consent: Consent, code: str, request: HttpRequest) -> None:
    """Trade the code in and keep what it brought. Raises Refused, or RetryLater when the provider is away."""
    require_right(request, consent)
    provider = providers[consent.provider]
    try:
        verifier = vault.unseal(f"consent:{consent.state_hash}", consent.code_verifier)["verifier"]
        consented = provider.exchange(code=code, nonce=consent.nonce, verifier=verifier)
        require_right(request, consent, consented)
        _keep(consent, consented)
    except vault.CannotOpen as error:
        _fail(consent, "too-old", "The key that sealed this consent is gone.")
        raise Refused("too-old", consent) from error
    except ConsentFailed as error:
        if error.consented is not None:
            _give_back(consent, error.consented)
        _fail(consent, error.code, str(error))
        raise Refused(error.code, consent) from error
    except errors.ProviderError as error:
        _fail(consent, "away", str(error))
        raise


def wait_for_exchange(consent: Consent) -> bool:
    """Whether a claimed consent was exchanged well, after waiting a little for whoever is exchanging it."""
    until = time.monotonic() + WAIT_SECONDS
    while consent.exchanged_at is None and time.monotonic() < until:
        time.sleep(0.05)
        consent.refresh_from_db()
    return consent.exchanged_at is not None and consent.grant_id is not None


def require_right(request: HttpRequest, consent: Consent, consented: Consented | None = None) -> None:
    """The person must still be allowed to connect, here and now; else what was granted is given back."""
    try:
        workspace = gate.enter_workspace(request, consent.agency.slug, consent.workspace.slug, level=LEVEL)
        if workspace.archived_at is not None:
            raise PermissionDenied("This client is archived.")
    except (PermissionDenied, Http404) as error:
        if consented is not None:
            _give_back(consent, consented)
        _fail(consent, "no-right", "The right to connect was lost meanwhile.")
        raise PermissionDenied("You may no longer connect organisations of this client.") from error


def offered(consent: Consent) -> list[Tenant]:
    """What the consent brought, by name."""
    found = [Tenant(UUID(row["id"]), UUID(row["tenant_id"]), row["name"]) for row in consent.tenants]
    return sorted(found, key=lambda tenant: tenant.name.lower())


def open_for(workspace: Workspace, consent_id: int, *, by: User) -> Consent | None:
    """A consent of this person here whose organisations are still to be chosen."""
    return (
        Consent.objects.filter(
            pk=consent_id,
            workspace=workspace,
            user=by,
            finished_at=None,
            grant__isnull=False,
            created_at__gt=Now() - CHOOSE_WITHIN,
        )
        .select_related("grant", "reconnects", "workspace", "agency")
        .first()
    )


def pasted(consent: Consent, tenant_id: UUID) -> Tenant | None:
    """A tenant named by its ID, if the person's consent covers it at the provider."""
    token = grants.token(consent.grant_id).text
    for tenant in providers[consent.provider].tenants(token):
        if tenant.tenant_id == tenant_id:
            return tenant
    return None


def same_again(consent: Consent) -> Tenant | None:
    """On a reconnect: the very tenant that is being reconnected, if the person's consent covers it."""
    assert consent.reconnects is not None  # only reconnects ask
    wanted = consent.reconnects.tenant_id
    if not consent.tenants:  # the provider had nothing to add to what it already connects
        return pasted(consent, wanted)
    return next((tenant for tenant in offered(consent) if tenant.tenant_id == wanted), None)


def finish(consent: Consent, tenants: Sequence[Tenant], *, by: User) -> list[Connection]:
    """Connect what was chosen, and let go of what was not. Raises ConnectedElsewhere before anything is made."""
    grant = consent.grant
    assert grant is not None  # open_for() looked
    for other in lifecycle.elsewhere(tenants, consent.workspace, consent.provider).values():
        raise lifecycle.ConnectedElsewhere(other)
    if not Consent.objects.filter(pk=consent.pk, finished_at=None).update(finished_at=Now()):
        raise Refused("used", consent)
    made = [
        lifecycle.connect(
            tenant=tenant, grant=grant, workspace=consent.workspace, provider=consent.provider, by=by
        )
        for tenant in tenants
    ]
    _revive(consent, by=by)
    _let_go(consent, keep={tenant.tenant_id for tenant in tenants})
    return made


def cancel(consent: Consent, *, by: User) -> None:
    """Nothing is chosen: what only this consent brought is given back."""
    Consent.objects.filter(pk=consent.pk).update(finished_at=Now(), failure="Nothing was chosen.")
    audit.record("consent cancelled", by=by, agency=consent.agency, workspace=consent.workspace)
    _let_go(consent, keep=set())


def clear_away() -> None:
    """Give back what a person left unchosen, and forget old trips."""
    left = Consent.objects.filter(
        finished_at=None, grant__isnull=False, created_at__lt=Now() - CHOOSE_WITHIN
    ).select_related("grant", "agency", "workspace")
    for consent in left[:50]:
        Consent.objects.filter(pk=consent.pk).update(finished_at=Now(), failure="Nothing was chosen in time.")
        _let_go(consent, keep=set())
    Consent.objects.filter(created_at__lt=Now() - timedelta(days=30)).delete()


def refused(code: str, request: HttpRequest, *, by: User | None) -> None:
    """Put a refused callback on record, with whoever's consent it named."""
    found = Consent.objects.filter(state_hash=_hash(request.GET.get("state", ""))).select_related(
        "agency", "workspace"
    )
    for consent in found:
        audit.record(
            "consent refused", by=by, agency=consent.agency, workspace=consent.workspace, reason=code
        )


def _claim(request: HttpRequest, provider: str, by: User) -> Consent:
    mine = Consent.objects.filter(
        state_hash=_hash(request.GET.get("state", "")),
        session_hash=_session_hash(request),
        provider=provider,
        user=by,
    )
    claimed = mine.filter(used_at=None, created_at__gt=Now() - GOOD_FOR).update(used_at=Now())
    consent = mine.select_related("agency", "workspace", "reconnects").first()
    if consent is None:
        raise Refused("unknown-state")
    if not claimed:
        raise Refused("used" if consent.used_at else "too-old", consent)
    return consent


def _keep(consent: Consent, consented: Consented) -> None:
    """The tokens first: if the provider is away when asked for tenants, the sweep of unused grants ends them."""
    consent.grant = grants.keep(consented, provider=consent.provider, by=consent.user)
    tenants = providers[consent.provider].tenants(consented.tokens.access_token, consented.event_id)
    consent.tenants = [
        {"id": str(tenant.id), "tenant_id": str(tenant.tenant_id), "name": tenant.name} for tenant in tenants
    ]
    with transaction.atomic():
        consent.save(update_fields=["grant", "tenants"])
        Consent.objects.filter(pk=consent.pk).update(exchanged_at=Now(), code_verifier="")
        audit.record(
            "consent given",
            by=consent.user,
            agency=consent.agency,
            workspace=consent.workspace,
            subject=consented.user_name,
            organisations=[tenant.name for tenant in tenants],
        )
    consent.refresh_from_db(fields=["exchanged_at"])


def _fail(consent: Consent, code: str, why: str) -> None:
    with transaction.atomic():
        Consent.objects.filter(pk=consent.pk).update(
            exchanged_at=Now(), finished_at=Now(), failure=why[:300], code_verifier=""
        )
        audit.record(
            "consent failed",
            by=consent.user,
            agency=consent.agency,
            workspace=consent.workspace,
            reason=code,
            message=why[:300],
        )


def _revive(consent: Consent, *, by: User) -> None:
    """Others under the same grant that broke: those which the provider still lists work again."""
    assert consent.grant is not None  # finish() looked
    broken = Connection.objects.filter(grant=consent.grant, state=ConnectionState.ERROR)
    if not broken.exists():
        return
    token = grants.access_token(consent.grant)
    listed = [tenant.tenant_id for tenant in providers[consent.provider].tenants(token)]
    with transaction.atomic():
        states.mend(
            broken.filter(tenant_id__in=listed)
            .select_related("agency", "workspace")
            .select_for_update(of=("self",)),
            by=by,
        )


def _let_go(consent: Consent, keep: set[UUID]) -> None:
    """End at the provider what this consent brought and nobody uses."""
    grant = consent.grant
    if grant is None:
        return
    used = set(
        Connection.objects.filter(~Q(state=ConnectionState.REVOKED), grant=grant).values_list(
            "tenant_id", flat=True
        )
    )
    unused = [tenant for tenant in offered(consent) if tenant.tenant_id not in used | keep]
    try:
        if not used | keep:
            grants.revoke(grant)
        for tenant in unused if used | keep else ():
            providers[consent.provider].remove(grants.access_token(grant), tenant.id)
    except errors.ProviderError as error:
        logger.warning("consent %s could not be given back: %s", consent.pk, error)


def _give_back(consent: Consent, consented: Consented) -> None:
    """End at the provider what must not be kept: all of it, or what no connection relies on."""
    provider = providers[consent.provider]
    relied_on = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED),
        grant__provider=consent.provider,
        grant__app_id=provider.app_id,
        grant__provider_user_id=consented.user_id,
    )
    used = set(relied_on.values_list("tenant_id", flat=True))
    token = consented.tokens.access_token
    try:
        for tenant in provider.tenants(token, consented.event_id):
            if tenant.tenant_id not in used:
                provider.remove(token, tenant.id)
        if not used and consented.tokens.refresh_token:
            provider.revoke(consented.tokens.refresh_token)
    except errors.ProviderError as error:
        logger.warning("consent %s could not be given back: %s", consent.pk, error)


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()


def _session_hash(request: HttpRequest) -> str:
    return _hash(f"session:{request.session.session_key}")
