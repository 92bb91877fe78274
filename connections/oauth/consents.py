"""Consents: begun here, given at the provider, claimed once on return, exchanged for tokens.

The state is 256 random bits that only the person's browser and the provider see; we keep its hash,
bound to the person, their session and the workspace, good for one use within ten minutes. The
recipient of a connect link has no account: there the session alone identifies the person.
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
from connections.oauth.cleanup import CHOOSE_WITHIN, give_back_consent
from connections.providers import ConsentFailed, ConsentResult, providers
from taskjuice.workspaces import audit, gate
from taskjuice.workspaces.models import User, Workspace

GOOD_FOR = timedelta(minutes=10)
WAIT_SECONDS = 10.0  # of a second callback for the first one's exchange
LEVEL = gate.ADMIN  # who may connect, reconnect and disconnect
RELATED = ("agency", "workspace", "user", "link", "grant", "reconnects", "takes_over")


class ConsentRefused(Exception):
    """A callback that must not go on. `code` picks the text of the page.

    `consent` is set when it is the person's own.
    """

    def __init__(self, code: str, consent: Consent | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.consent = consent


def begin_consent(
    request: HttpRequest,
    *,
    provider: str,
    workspace: Workspace,
    by: User | ConnectLink,
    reconnects: Connection | None = None,
    takes_over: Grant | None = None,
) -> str:
    """Store the consent as begun and return the provider's address to redirect to."""
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


def claim_consent(request: HttpRequest, *, provider: str, by: User | None) -> Consent:
    """Claim the consent that this callback belongs to, for good. Raises ConsentRefused."""
    for name in ("state", "code", "error"):
        if len(request.GET.getlist(name)) > 1:
            raise ConsentRefused("repeated")
    if "code" in request.GET and "error" in request.GET:
        raise ConsentRefused("both")
    consent = _claim_by_state(request, provider, by)
    if "error" in request.GET:
        refused = request.GET["error"] == "access_denied"
        why = (
            "Consent was refused."
            if refused
            else f"The provider's error: {request.GET['error'][:60]!a}"
        )
        _record_failure(consent, "refused-there", why)
        raise ConsentRefused("refused-there" if refused else "error-there", consent)
    if not 0 < len(request.GET.get("code", "")) <= 2048:
        _record_failure(consent, "no-code", "The provider sent no code.")
        raise ConsentRefused("no-code", consent)
    return consent


def exchange_code(consent: Consent, code: str, request: HttpRequest) -> None:
    """Exchange the code and store what it granted.

    Raises ConsentRefused, or RetryLater when the provider does not answer.
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
        _store_consent(consent, consented)
    except encryption.CannotOpen as error:
        _record_failure(consent, "too-old", "The key that sealed this consent is gone.")
        raise ConsentRefused("too-old", consent) from error
    except ConsentFailed as error:
        if error.consented is not None:
            give_back_consent(consent, error.consented)
        _record_failure(consent, error.code, str(error))
        raise ConsentRefused(error.code, consent) from error
    except errors.ProviderError as error:
        _record_failure(consent, "away", str(error))
        raise


def wait_for_exchange(consent: Consent) -> bool:
    """Wait a little for the request that exchanges a claimed consent; return whether it succeeded."""
    until = time.monotonic() + WAIT_SECONDS
    while consent.exchanged_at is None and time.monotonic() < until:
        time.sleep(0.05)
        consent.refresh_from_db()
    return consent.exchanged_at is not None and consent.grant_id is not None


def require_right(
    request: HttpRequest, consent: Consent, consented: ConsentResult | None = None
) -> None:
    """Require that the person may still connect here; otherwise give back what was granted."""
    try:
        _check_right(request, consent)
    except (PermissionDenied, Http404, ConsentRefused) as error:
        if consented is not None:
            give_back_consent(consent, consented)
        _record_failure(consent, "no-right", "The right to connect was lost meanwhile.")
        if isinstance(error, ConsentRefused):
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
            raise ConsentRefused("link-over", consent)
    if workspace.archived_at is not None:
        raise PermissionDenied("This client is archived.")


def find_open_consent(consent_id: int, *, workspace: Workspace, by: User) -> Consent | None:
    """Return this person's consent if its organisations are still to be chosen."""
    return _list_open().filter(pk=consent_id, workspace=workspace, user=by).first()


def find_open_visitor_consent(request: HttpRequest, consent_id: int) -> Consent | None:
    """Return the consent begun from a connect link in this session if it is still to be chosen
    from.
    """
    mine = _list_open().filter(
        pk=consent_id, session_hash=_session_hash(request), link__isnull=False
    )
    return mine.filter(
        link__chosen_at=None,
        link__declined_at=None,
        link__revoked_at=None,
        workspace__archived_at=None,
    ).first()


def find_visitor_consent(request: HttpRequest, consent_id: int) -> Consent | None:
    """Return a consent that began in this session from a connect link, open or ended."""
    mine = Consent.objects.filter(
        pk=consent_id, session_hash=_session_hash(request), link__isnull=False
    )
    return mine.select_related(*RELATED).first()


def _list_open() -> "QuerySet[Consent]":
    return Consent.objects.filter(
        finished_at=None, grant__isnull=False, created_at__gt=Now() - CHOOSE_WITHIN
    ).select_related(*RELATED)


def record_refusal(code: str, request: HttpRequest, *, by: User | None) -> None:
    """Record a refused callback in the audit chain of the agency whose consent it named."""
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


def _claim_by_state(request: HttpRequest, provider: str, by: User | None) -> Consent:
    mine = Consent.objects.filter(
        Q(link__isnull=False) | Q(user=by, user__isnull=False),
        state_hash=_hash(request.GET.get("state", "")),
        session_hash=_session_hash(request),
        provider=provider,
    )
    claimed = mine.filter(used_at=None, created_at__gt=Now() - GOOD_FOR).update(used_at=Now())
    consent = mine.select_related(*RELATED).first()
    if consent is None:
        raise ConsentRefused("unknown-state")
    if not claimed:
        raise ConsentRefused("used" if consent.used_at else "too-old", consent)
    return consent


def _store_consent(consent: Consent, consented: ConsentResult) -> None:
    """Store the tokens, then the tenants of the consent."""
    consent.grant = grants.store_grant(consented, provider=consent.provider, by=consent.user)
    tenants = providers[consent.provider].tenants(consented.tokens.access_token, consented.event_id)
    consent.tenants = [
        {"id": str(tenant.id), "tenant_id": str(tenant.tenant_id), "name": tenant.name}
        for tenant in tenants
    ]
    with transaction.atomic():
        consent.save(update_fields=["grant", "tenants"])
        Consent.objects.filter(pk=consent.pk).update(exchanged_at=Now(), code_verifier="")
        link_progress.mark_consented(consent.link)
        audit.record(
            "consent given",
            by=consent.actor,
            agency=consent.agency,
            workspace=consent.workspace,
            subject=consented.user_name,
            organisations=[tenant.name for tenant in tenants],
        )
    consent.refresh_from_db(fields=["exchanged_at"])


def _record_failure(consent: Consent, code: str, why: str) -> None:
    with transaction.atomic():
        Consent.objects.filter(pk=consent.pk).update(
            exchanged_at=Now(), finished_at=Now(), failure=why[:300], code_verifier=""
        )
        link_progress.mark_cancelled(consent.link, why)
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
