"""Grants: token sets kept alive, each refreshed by one process at a time.

A refresh holds a lease on the grant's row (by the database's clock) and no transaction while the
provider is asked. Every stored token set raises `version`; a late writer finds it changed and
stores nothing. A process killed between answer and commit costs nothing: the provider accepts the
previous refresh token for 30 minutes after its first use (facts 1.3), so the next refresh sends the
stored one again.
"""

import logging
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from connections import errors, states
from connections.models import ConnectionProblem, Grant, GrantState, TokenRefresh
from connections.oauth import encryption
from connections.providers import ConsentResult, TokenSet, providers
from taskjuice.queue import clock
from taskjuice.workspaces.models import User

logger = logging.getLogger(__name__)

MARGIN = timedelta(minutes=5)  # a token with less left is refreshed
LAST_USE = timedelta(seconds=30)  # one with more left still serves while it cannot be refreshed
LEASE = timedelta(seconds=60)  # twice the longest token call
GRACE = timedelta(minutes=30)
IDLE = timedelta(days=7)  # refresh tokens die after 60 unused days
WAIT_SECONDS = 3.0  # for another process that is refreshing
TRANSIENT = "transient"
LONGEST_PAUSE = 60  # seconds between attempts while the provider is unwell


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token and the version of the grant that it belongs to."""

    text: str = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True)
class _OpenGrant:
    """A live grant as read, its secrets decrypted. Times are the database's."""

    id: int
    provider: str
    app_id: str
    owner: str
    version: int
    secrets: encryption.Secrets = field(repr=False)
    left: timedelta  # of the access token
    age: timedelta  # since the last refresh
    retry_at: datetime | None  # in the future, or None

    @property
    def token(self) -> AccessToken:
        return AccessToken(self.secrets["access_token"], self.version)


def build_owner_name(provider: str, app_id: str, provider_user_id: str) -> str:
    """Return the owner name to which a grant's ciphertext is bound."""
    return f"grant:{provider}:{app_id}:{provider_user_id}"


def get_access_token(grant: Grant) -> str:
    """Return a usable access token as text. Raises NeedsConsent or RetryLater."""
    return get_token(grant.pk).text


def get_token(grant_id: int | None) -> AccessToken:
    """Return a usable access token, refreshed when less than five minutes of it are left.

    Raises NeedsConsent or RetryLater.
    """
    held = _read_grant(grant_id)
    if held.left > MARGIN:
        return held.token
    if held.left <= LAST_USE:
        return _refresh_or_wait(held, wait=WAIT_SECONDS)
    try:
        return _refresh_or_wait(held, wait=0)
    except errors.RetryLater:  # recorded with the grant; the token at hand still serves
        return held.token


def renew_token(grant_id: int | None, version: int) -> AccessToken:
    """Return a newer token than that of `version`, which the provider considered expired."""
    held = _read_grant(grant_id)
    return held.token if held.version != version else _refresh_or_wait(held, wait=WAIT_SECONDS)


def store_grant(consented: ConsentResult, *, provider: str, by: User | None) -> Grant:
    """Store a consent's tokens: one grant per person and app.

    The scopes add up, as they do at the provider.
    """
    app_id = providers[provider].app_id
    with transaction.atomic(durable=True):
        grant, _ = Grant.objects.select_for_update(no_key=True).get_or_create(
            provider=provider,
            app_id=app_id,
            provider_user_id=consented.user_id,
            defaults={"access_expires_at": clock.now(), "version": 0, "granted_by": by},
        )
        grant.provider_user_name = consented.user_name[:254]
        grant.scopes = sorted({*grant.scopes, *consented.tokens.scopes})
        grant.state, grant.reason = GrantState.ACTIVE, ""
        grant.save(update_fields=["provider_user_name", "scopes", "state", "reason"])
        owner = build_owner_name(provider, app_id, consented.user_id)
        _write_tokens(Q(pk=grant.pk), owner, consented.tokens, previous="")
        grant.refresh_from_db()
        return grant


def refresh_idle_grants(limit: int = 50) -> int:
    """Refresh grants unused for a week, before their 60 days are over; return how many were tried."""
    TokenRefresh.objects.filter(at__lt=Now() - timedelta(days=30)).delete()
    idle = Grant.objects.filter(
        Q(retry_at=None) | Q(retry_at__lte=Now()),
        state=GrantState.ACTIVE,
        refreshed_at__lt=Now() - IDLE,
    ).order_by("refreshed_at")
    tried = 0
    for grant_id, version in idle.values_list("pk", "version")[:limit]:
        tried += 1
        try:
            renew_token(grant_id, version)
        except errors.ProviderError as error:  # stored with the grant and in its refreshes
            logger.warning("grant %s could not be refreshed: %s", grant_id, error)
    return tried


def revoke_grant(grant: Grant) -> bool:
    """Revoke the consent at the provider and erase the tokens. False: a sweep will ask again.

    The grant stops serving at once in either case.
    """
    ended = Grant.objects.filter(pk=grant.pk).update(
        state=GrantState.REVOKED, reason="Disconnected here.", version=F("version") + 1
    )
    grant.refresh_from_db()
    if not (ended and grant.tokens):
        return True
    try:
        secrets = encryption.unseal(
            build_owner_name(grant.provider, grant.app_id, grant.provider_user_id), grant.tokens
        )
        providers[grant.provider].revoke(secrets["refresh_token"])
    except (
        encryption.CannotOpen
    ) as error:  # nothing to present; the provider forgets it after 60 days
        _record_refresh(grant.pk, "refused", f"Revoking: {error}")
    except errors.RetryLater as error:
        _record_refresh(grant.pk, TRANSIENT, f"Revoking: {error}")
        return False
    Grant.objects.filter(pk=grant.pk, version=grant.version).update(tokens="", key_id="")
    return True


def erase_grant(grant: Grant) -> bool:
    """Erase the tokens in any case; return whether the consent was revoked at the provider too."""
    told = revoke_grant(grant)
    Grant.objects.filter(pk=grant.pk, state=GrantState.REVOKED).update(tokens="", key_id="")
    return told


def finish_revocations() -> None:
    """Repeat revocations that failed when they were asked for."""
    for grant in Grant.objects.filter(state=GrantState.REVOKED).exclude(tokens="")[:50]:
        revoke_grant(grant)


def _read_grant(grant_id: int | None) -> _OpenGrant:
    row = (
        Grant.objects.filter(pk=grant_id or 0)
        .annotate(now=Now())
        .values(
            "provider",
            "app_id",
            "provider_user_id",
            "version",
            "state",
            "reason",
            "tokens",
            "access_expires_at",
            "refreshed_at",
            "retry_at",
            "now",
        )
        .first()
    )
    if row is None or row["state"] != GrantState.ACTIVE:
        reason = row["reason"] if row else ""
        raise errors.NeedsConsent(reason or "The consent has ended; somebody must give it again.")
    owner = build_owner_name(row["provider"], row["app_id"], row["provider_user_id"])
    return _OpenGrant(
        id=grant_id or 0,
        provider=row["provider"],
        app_id=row["app_id"],
        owner=owner,
        version=row["version"],
        secrets=_open_secrets(owner, row["tokens"]),
        left=row["access_expires_at"] - row["now"],
        age=row["now"] - row["refreshed_at"],
        retry_at=row["retry_at"] if row["retry_at"] and row["retry_at"] > row["now"] else None,
    )


def _open_secrets(owner: str, ciphertext: str) -> encryption.Secrets:
    try:
        return encryption.unseal(owner, ciphertext)
    except encryption.CannotOpen as error:
        logger.exception("a grant's tokens do not open: is a key missing in TOKEN_KEYS?")
        at = clock.now() + timedelta(minutes=1)
        raise errors.RetryLater(
            "The stored access cannot be opened.", at=at, tenant_wide=True
        ) from error


def _refresh_or_wait(held: _OpenGrant, *, wait: float) -> AccessToken:
    """Refresh the grant, or wait up to `wait` seconds for the process that does."""
    until = time.monotonic() + wait
    while True:
        lease = _take_lease(held)
        if lease is not None:
            return _refresh_leased(held, lease)
        current = _read_grant(held.id)
        if current.version != held.version:
            return current.token
        if current.retry_at is not None:
            text = "The access could not be renewed a moment ago."
            raise errors.RetryLater(text, at=current.retry_at, tenant_wide=True)
        if time.monotonic() >= until:
            soon = clock.now() + timedelta(seconds=2)
            raise errors.RetryLater("The access is being renewed.", at=soon, tenant_wide=True)
        time.sleep(0.05)


def _take_lease(held: _OpenGrant) -> uuid.UUID | None:
    """Lease the right to refresh this version; None while it is leased, or paused after a failure."""
    lease = uuid.uuid4()
    with transaction.atomic(durable=True):
        taken = Grant.objects.filter(
            Q(lease_until=None) | Q(lease_until__lt=Now()),
            Q(retry_at=None) | Q(retry_at__lte=Now()),
            pk=held.id,
            version=held.version,
            state=GrantState.ACTIVE,
        ).update(lease_token=lease, lease_until=Now() + LEASE)
    return lease if taken else None


def _refresh_leased(held: _OpenGrant, lease: uuid.UUID) -> AccessToken:
    presented = held.secrets["refresh_token"]
    try:
        return _store_refreshed(held, lease, _request_tokens(held, presented), presented)
    except errors.RetryLater as error:
        raise _postpone(held, lease, error) from error
    except errors.NeedsConsent as error:
        return _recheck_refusal(held, lease, error)


def _request_tokens(held: _OpenGrant, refresh_token: str) -> TokenSet:
    provider = providers[held.provider]
    if provider.app_id != held.app_id:
        raise errors.NeedsConsent("The consent was given to another app than the one in use now.")
    return provider.refresh(refresh_token)


def _recheck_refusal(
    held: _OpenGrant, lease: uuid.UUID, refusal: errors.NeedsConsent
) -> AccessToken:
    """Believe a refusal only if no newer tokens are stored and the previous one is refused too."""
    current = _read_grant(held.id)
    if current.version != held.version:
        _record_refresh(held.id, "race")
        return current.token
    previous = held.secrets.get("previous_refresh_token", "")
    if previous and held.age < GRACE:
        try:
            return _store_refreshed(held, lease, _request_tokens(held, previous), previous)
        except errors.RetryLater as error:
            raise _postpone(held, lease, error) from error
        except errors.NeedsConsent as error:
            refusal = error
    if _mark_refused(held, lease, refusal):
        raise refusal
    return _read_grant(held.id).token


def _store_refreshed(
    held: _OpenGrant, lease: uuid.UUID, fresh: TokenSet, presented: str
) -> AccessToken:
    """Store refreshed tokens, unless newer ones were stored or the lease was lost; then those
    count.
    """
    with transaction.atomic(durable=True):
        mine = Q(pk=held.id, version=held.version, lease_token=lease)
        stored = _write_tokens(mine, held.owner, fresh, previous=presented)
        _record_refresh(held.id, "refreshed" if stored else "race")
    return (
        AccessToken(fresh.access_token, held.version + 1) if stored else _read_grant(held.id).token
    )


def _write_tokens(where: Q, owner: str, tokens: TokenSet, *, previous: str) -> bool:
    secrets = {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "previous_refresh_token": previous,
    }
    return bool(
        Grant.objects.filter(where).update(
            tokens=encryption.seal(owner, secrets),
            key_id=encryption.get_current_key_id(),
            access_expires_at=Now() + timedelta(seconds=tokens.expires_in),
            refreshed_at=Now(),
            version=F("version") + 1,
            lease_token=None,
            lease_until=None,
            retry_at=None,
        )
    )


def _postpone(held: _OpenGrant, lease: uuid.UUID, error: errors.RetryLater) -> errors.RetryLater:
    """Release the lease and pause refreshing; the pause doubles with each failure in a row."""
    with transaction.atomic(durable=True):
        pause = timedelta(seconds=min(2 ** (_count_recent_failures(held.id) + 1), LONGEST_PAUSE))
        at = max(error.at or clock.now(), clock.now() + pause)
        Grant.objects.filter(pk=held.id, lease_token=lease).update(
            lease_token=None, lease_until=None, retry_at=at
        )
        _record_refresh(held.id, TRANSIENT, str(error))
    return errors.RetryLater(str(error), at=at, tenant_wide=True, status=error.status)


def _count_recent_failures(grant_id: int) -> int:
    """Count the failures since the last success, up to as many as make a difference."""
    latest = TokenRefresh.objects.filter(grant=grant_id).order_by("-at", "-pk")
    outcomes = latest.values_list("outcome", flat=True)[: LONGEST_PAUSE.bit_length()]
    return len(list(takewhile(lambda outcome: outcome == TRANSIENT, outcomes)))


def _mark_refused(held: _OpenGrant, lease: uuid.UUID, refusal: errors.NeedsConsent) -> bool:
    """Mark the grant and its connections as refused, once. False: newer tokens were stored just
    now.
    """
    with transaction.atomic(durable=True):
        refused = Grant.objects.filter(pk=held.id, version=held.version, lease_token=lease).update(
            state=GrantState.ERROR, reason=str(refusal)[:300], lease_token=None, lease_until=None
        )
        _record_refresh(held.id, "refused" if refused else "race", str(refusal))
        if refused:
            states.mark_broken(
                states.list_for_grant(held.id),
                problem=ConnectionProblem.GRANT_REFUSED,
                reason=str(refusal),
            )
    return bool(refused)


def _record_refresh(grant_id: int, outcome: str, message: str = "") -> None:
    TokenRefresh.objects.create(grant_id=grant_id, outcome=outcome, message=message[:300])
