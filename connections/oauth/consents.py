"""A trip to the provider's consent page and back: begun, taken back once, exchanged, its tenants
chosen.

The state is 256 random bits that only the person's browser and the provider see; we keep its hash,
bound to the person, their session and the workspace, good for one use within ten minutes. Who came
by a connect link has no account: there the session alone is the person.
"""

import hashlib
import secrets
import time
from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import Http404, HttpRequest

from connections import errors
from connections.models import Connection, ConnectLink, Consent, Grant
from connections.oauth import encryption, grants, link_progress
from connections.oauth.cleanup import CHOOSE_WITHIN, give_back
from connections.providers import Consented, ConsentFailed, providers
from taskjuice.workspaces import audit, gate
from taskjuice.workspaces.models import User, Workspace

GOOD_FOR = timedelta(minutes=10)
WAIT_SECONDS = 10.0  # of a second callback for the first one's exchange
LEVEL = gate.ADMIN  # who may connect, reconnect and disconnect
WITH = ("agency", "workspace", "user", "link", "grant", "reconnects", "takes_over")


class Refused(Exception):
    """A callback that must not go on. `code` picks the words of the page; `consent` is known when
    it is theirs.
    """

    def __init__(self, code: str, consent: Consent | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.consent = consent


def begin(
    request: HttpRequest,
    *,
    provider: str,
    workspace: Workspace,
    by: User | ConnectLink,
    reconnects: Connection | None = None,
    takes_over: Grant | None = None,
) -> str:
    """Note the trip and return where to send the person."""
    if request.session.session_key is None:
        request.session.create()
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    Consent.objects.create(
        state_hash=_hash(state),
        session_hash=_session_hash(request),
        provider=provider,
        agency_id=workspace.agency_id,
        workspace=workspace,
        user=by if isinstance(by, User) else None,
        link=by if isinstance(by, ConnectLink) else None,
        reconnects=reconnects,
        takes_over=takes_over,
        nonce=nonce,
        code_verifier=encryption.seal(f"consent:{_hash(state)}", {"verifier": verifier}),
    )
    return providers[provider].authorise_url(state=state, nonce=nonce, verifier=verifier)


def take(request: HttpRequest, *, provider: str, by: User | None) -> Consent:
    """The consent that this callback belongs to, claimed for good. Raises Refused."""
    for name in ("state", "code", "error"):
        if len(request.GET.getlist(name)) > 1:
            raise Refused("repeated")
    if "code" in request.GET and "error" in request.GET:
        raise Refused("both")
    consent = _claim(request, provider, by)
    if "error" in request.GET:
        refused = request.GET["error"] == "access_denied"
        why = (
            "Consent was refused."
            if refused
            else f"The provider's error: {request.GET['error'][:60]!a}"
        )
        _fail(consent, "refused-there", why)
        raise Refused("refused-there" if refused else "error-there", consent)
    if not 0 < len(request.GET.get("code", "")) <= 2048:
        _fail(consent, "no-code", "The provider sent no code.")
        raise Refused("no-code", consent)
    return consent


def exchange(consent: Consent, code: str, request: HttpRequest) -> None:
    """Trade the code in and keep what it brought. Raises Refused, or RetryLater when the provider
    is away.
    """
    provider = providers[consent.provider]
    # Also where the right was lost meanwhile: what was granted can only be given back with the
    # tokens in hand.
    try:
        verifier = encryption.unseal(f"consent:{consent.state_hash}", consent.code_verifier)[
            "verifier"
        ]
        consented = provider.exchange(code=code, nonce=consent.nonce, verifier=verifier)
        require_right(request, consent, consented)
        _keep(consent, consented)
    except encryption.CannotOpen as error:
        _fail(consent, "too-old", "The key that sealed this consent is gone.")
        raise Refused("too-old", consent) from error
    except ConsentFailed as error:
        if error.consented is not None:
            give_back(consent, error.consented)
        _fail(consent, error.code, str(error))
        raise Refused(error.code, consent) from error
    except errors.ProviderError as error:
        _fail(consent, "away", str(error))
        raise


def wait_for_exchange(consent: Consent) -> bool:
    """Whether a claimed consent was exchanged well, after waiting a little for whoever is
    exchanging it.
    """
    until = time.monotonic() + WAIT_SECONDS
    while consent.exchanged_at is None and time.monotonic() < until:
        time.sleep(0.05)
        consent.refresh_from_db()
    return consent.exchanged_at is not None and consent.grant_id is not None


def require_right(
    request: HttpRequest, consent: Consent, consented: Consented | None = None
) -> None:
    """The person must still be allowed to connect, here and now; else what was granted is given
    back.
    """
    try:
        _check_right(request, consent)
    except (PermissionDenied, Http404, Refused) as error:
        if consented is not None:
            give_back(consent, consented)
        _fail(consent, "no-right", "The right to connect was lost meanwhile.")
        if isinstance(error, Refused):
            raise
        raise PermissionDenied("You may no longer connect organisations of this client.") from error


def _check_right(request: HttpRequest, consent: Consent) -> None:
    if consent.link is None:
        workspace = gate.enter_workspace(
            request, consent.agency.slug, consent.workspace.slug, level=LEVEL
        )
    else:
        consent.link.refresh_from_db()
        workspace = Workspace.objects.get(pk=consent.workspace_id)
        if not consent.link.is_open or workspace.archived_at is not None:
            raise Refused("link-over", consent)
    if workspace.archived_at is not None:
        raise PermissionDenied("This client is archived.")


def open_for(consent_id: int, *, workspace: Workspace, by: User) -> Consent | None:
    """A consent of this person here whose organisations are still to be chosen."""
    return _to_choose().filter(pk=consent_id, workspace=workspace, user=by).first()


def open_for_visitor(request: HttpRequest, consent_id: int) -> Consent | None:
    """The same for whoever came by a connect link, in the session in which they started."""
    mine = _to_choose().filter(
        pk=consent_id, session_hash=_session_hash(request), link__isnull=False
    )
    return mine.filter(
        link__chosen_at=None,
        link__declined_at=None,
        link__revoked_at=None,
        workspace__archived_at=None,
    ).first()


def of_visitor(request: HttpRequest, consent_id: int) -> Consent | None:
    """A consent that began in this session from a connect link, open or over."""
    mine = Consent.objects.filter(
        pk=consent_id, session_hash=_session_hash(request), link__isnull=False
    )
    return mine.select_related(*WITH).first()


def _to_choose() -> "QuerySet[Consent]":
    return Consent.objects.filter(
        finished_at=None, grant__isnull=False, created_at__gt=Now() - CHOOSE_WITHIN
    ).select_related(*WITH)


def refused(code: str, request: HttpRequest, *, by: User | None) -> None:
    """Put a refused callback on record, with whoever's consent it named."""
    found = Consent.objects.filter(state_hash=_hash(request.GET.get("state", ""))).select_related(
        "agency", "workspace", "link"
    )
    for consent in found:
        who = by or (consent.actor if consent.link else None)
        audit.record(
            "consent refused",
            by=who,
            agency=consent.agency,
            workspace=consent.workspace,
            reason=code,
        )


def _claim(request: HttpRequest, provider: str, by: User | None) -> Consent:
    mine = Consent.objects.filter(
        Q(link__isnull=False) | Q(user=by, user__isnull=False),
        state_hash=_hash(request.GET.get("state", "")),
        session_hash=_session_hash(request),
        provider=provider,
    )
    claimed = mine.filter(used_at=None, created_at__gt=Now() - GOOD_FOR).update(used_at=Now())
    consent = mine.select_related(*WITH).first()
    if consent is None:
        raise Refused("unknown-state")
    if not claimed:
        raise Refused("used" if consent.used_at else "too-old", consent)
    return consent


def _keep(consent: Consent, consented: Consented) -> None:
    """The tokens first: if the provider is away when asked for tenants, the sweep of unused grants
    ends them.
    """
    consent.grant = grants.keep(consented, provider=consent.provider, by=consent.user)
    tenants = providers[consent.provider].tenants(consented.tokens.access_token, consented.event_id)
    consent.tenants = [
        {"id": str(tenant.id), "tenant_id": str(tenant.tenant_id), "name": tenant.name}
        for tenant in tenants
    ]
    with transaction.atomic():
        consent.save(update_fields=["grant", "tenants"])
        Consent.objects.filter(pk=consent.pk).update(exchanged_at=Now(), code_verifier="")
        link_progress.consented(consent.link)
        audit.record(
            "consent given",
            by=consent.actor,
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
        link_progress.cancelled(consent.link, why)
        audit.record(
            "consent failed",
            by=consent.actor,
            agency=consent.agency,
            workspace=consent.workspace,
            reason=code,
            message=why[:300],
        )


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()


def _session_hash(request: HttpRequest) -> str:
    return _hash(f"session:{request.session.session_key}")
