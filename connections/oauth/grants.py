"""Grants: token sets kept alive, each refreshed by one process at a time.

A refresh holds a lease on the grant's row (by the database's clock) and no transaction while the
provider is asked. Every stored token set raises `version`; whoever comes late with another one
finds it moved and leaves things alone. A process killed between answer and commit costs nothing:
the provider takes the previous refresh token for 30 minutes after its first use (facts 1.3), so the
next refresh presents the stored one again.
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
from connections.providers import Consented, TokenSet, providers
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
class Token:
    """An access token and the version of the grant that it came with."""

    text: str = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True)
class _Held:
    """A live grant as read, its secrets opened. Times are the database's."""

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
    def token(self) -> Token:
        return Token(self.secrets["access_token"], self.version)


def owner_of(provider: str, app_id: str, provider_user_id: str) -> str:
    """What a grant's ciphertext is bound to."""
    return f"grant:{provider}:{app_id}:{provider_user_id}"


def access_token(grant: Grant) -> str:
    """A usable access token. Raises NeedsConsent or RetryLater."""
    return token(grant.pk).text


def token(grant_id: int | None) -> Token:
    """A usable access token, refreshed when under five minutes of it are left. Raises NeedsConsent
    or RetryLater.
    """
    held = _read(grant_id)
    if held.left > MARGIN:
        return held.token
    if held.left <= LAST_USE:
        return _renewed(held, wait=WAIT_SECONDS)
    try:
        return _renewed(held, wait=0)
    except errors.RetryLater:  # recorded with the grant; the token at hand still serves
        return held.token


def renew(grant_id: int | None, version: int) -> Token:
    """A newer token than that of `version`, which the provider took for expired."""
    held = _read(grant_id)
    return held.token if held.version != version else _renewed(held, wait=WAIT_SECONDS)


def keep(consented: Consented, *, provider: str, by: User | None) -> Grant:
    """Store a consent's tokens: one grant per person and app; the scopes add up as they do at the
    provider.
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
        owner = owner_of(provider, app_id, consented.user_id)
        _write(Q(pk=grant.pk), owner, consented.tokens, previous="")
        grant.refresh_from_db()
        return grant


def refresh_idle(limit: int = 50) -> int:
    """Refresh grants unused for a week, so that none dies of its 60 days. Returns how many were
    tried.
    """
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
            renew(grant_id, version)
        except errors.ProviderError as error:  # stored with the grant and in its refreshes
            logger.warning("grant %s could not be refreshed: %s", grant_id, error)
    return tried


def revoke(grant: Grant) -> bool:
    """End the consent at the provider and erase the tokens. False: the provider is to be asked
    again (a sweep does).

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
            owner_of(grant.provider, grant.app_id, grant.provider_user_id), grant.tokens
        )
        providers[grant.provider].revoke(secrets["refresh_token"])
    except (
        encryption.CannotOpen
    ) as error:  # nothing to present; the provider forgets it after 60 days
        _note(grant.pk, "refused", f"Revoking: {error}")
    except errors.RetryLater as error:
        _note(grant.pk, TRANSIENT, f"Revoking: {error}")
        return False
    Grant.objects.filter(pk=grant.pk, version=grant.version).update(tokens="", key_id="")
    return True


def erase(grant: Grant) -> bool:
    """End the consent at the provider if it can be told now (else False), and erase the tokens in
    any case.
    """
    told = revoke(grant)
    Grant.objects.filter(pk=grant.pk, state=GrantState.REVOKED).update(tokens="", key_id="")
    return told


def finish_revocations() -> None:
    """Revoke what could not be revoked when it was asked for."""
    for grant in Grant.objects.filter(state=GrantState.REVOKED).exclude(tokens="")[:50]:
        revoke(grant)


def _read(grant_id: int | None) -> _Held:
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
    owner = owner_of(row["provider"], row["app_id"], row["provider_user_id"])
    return _Held(
        id=grant_id or 0,
        provider=row["provider"],
        app_id=row["app_id"],
        owner=owner,
        version=row["version"],
        secrets=_opened(owner, row["tokens"]),
        left=row["access_expires_at"] - row["now"],
        age=row["now"] - row["refreshed_at"],
        retry_at=row["retry_at"] if row["retry_at"] and row["retry_at"] > row["now"] else None,
    )


def _opened(owner: str, ciphertext: str) -> encryption.Secrets:
    try:
        return encryption.unseal(owner, ciphertext)
    except encryption.CannotOpen as error:
        logger.exception("a grant's tokens do not open: is a key missing in TOKEN_KEYS?")
        at = clock.now() + timedelta(minutes=1)
        raise errors.RetryLater(
            "The stored access cannot be opened.", at=at, tenant_wide=True
        ) from error


def _renewed(held: _Held, *, wait: float) -> Token:
    """Refresh, or wait for whoever does."""
    until = time.monotonic() + wait
    while True:
        lease = _lease(held)
        if lease is not None:
            return _refresh(held, lease)
        current = _read(held.id)
        if current.version != held.version:
            return current.token
        if current.retry_at is not None:
            text = "The access could not be renewed a moment ago."
            raise errors.RetryLater(text, at=current.retry_at, tenant_wide=True)
        if time.monotonic() >= until:
            soon = clock.now() + timedelta(seconds=2)
            raise errors.RetryLater("The access is being renewed.", at=soon, tenant_wide=True)
        time.sleep(0.05)


def _lease(held: _Held) -> uuid.UUID | None:
    """The right to refresh this version, unless somebody has it or a pause is on."""
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


def _refresh(held: _Held, lease: uuid.UUID) -> Token:
    presented = held.secrets["refresh_token"]
    try:
        return _store(held, lease, _ask(held, presented), presented)
    except errors.RetryLater as error:
        raise _put_off(held, lease, error) from error
    except errors.NeedsConsent as error:
        return _doubted(held, lease, error)


def _ask(held: _Held, refresh_token: str) -> TokenSet:
    provider = providers[held.provider]
    if provider.app_id != held.app_id:
        raise errors.NeedsConsent("The consent was given to another app than the one in use now.")
    return provider.refresh(refresh_token)


def _doubted(held: _Held, lease: uuid.UUID, refusal: errors.NeedsConsent) -> Token:
    """A refusal is believed only if nobody stored newer tokens, and the previous one is refused as
    well.
    """
    current = _read(held.id)
    if current.version != held.version:
        _note(held.id, "race")
        return current.token
    previous = held.secrets.get("previous_refresh_token", "")
    if previous and held.age < GRACE:
        try:
            return _store(held, lease, _ask(held, previous), previous)
        except errors.RetryLater as error:
            raise _put_off(held, lease, error) from error
        except errors.NeedsConsent as error:
            refusal = error
    if _believe(held, lease, refusal):
        raise refusal
    return _read(held.id).token


def _store(held: _Held, lease: uuid.UUID, fresh: TokenSet, presented: str) -> Token:
    """Keep what was got, unless somebody kept newer tokens or took the lease over; then theirs
    count.
    """
    with transaction.atomic(durable=True):
        mine = Q(pk=held.id, version=held.version, lease_token=lease)
        stored = _write(mine, held.owner, fresh, previous=presented)
        _note(held.id, "refreshed" if stored else "race")
    return Token(fresh.access_token, held.version + 1) if stored else _read(held.id).token


def _write(where: Q, owner: str, tokens: TokenSet, *, previous: str) -> bool:
    secrets = {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "previous_refresh_token": previous,
    }
    return bool(
        Grant.objects.filter(where).update(
            tokens=encryption.seal(owner, secrets),
            key_id=encryption.current_key_id(),
            access_expires_at=Now() + timedelta(seconds=tokens.expires_in),
            refreshed_at=Now(),
            version=F("version") + 1,
            lease_token=None,
            lease_until=None,
            retry_at=None,
        )
    )


def _put_off(held: _Held, lease: uuid.UUID, error: errors.RetryLater) -> errors.RetryLater:
    """Give the lease back and let nobody try before a pause, which doubles with each failure in a
    row.
    """
    with transaction.atomic(durable=True):
        pause = timedelta(seconds=min(2 ** (_failures_in_a_row(held.id) + 1), LONGEST_PAUSE))
        at = max(error.at or clock.now(), clock.now() + pause)
        Grant.objects.filter(pk=held.id, lease_token=lease).update(
            lease_token=None, lease_until=None, retry_at=at
        )
        _note(held.id, TRANSIENT, str(error))
    return errors.RetryLater(str(error), at=at, tenant_wide=True, status=error.status)


def _failures_in_a_row(grant_id: int) -> int:
    """How often it could not be refreshed since it last could; as many as make a difference."""
    latest = TokenRefresh.objects.filter(grant=grant_id).order_by("-at", "-pk")
    outcomes = latest.values_list("outcome", flat=True)[: LONGEST_PAUSE.bit_length()]
    return len(list(takewhile(lambda outcome: outcome == TRANSIENT, outcomes)))


def _believe(held: _Held, lease: uuid.UUID, refusal: errors.NeedsConsent) -> bool:
    """Mark the grant and what hangs off it, once. False: somebody stored newer tokens just now."""
    with transaction.atomic(durable=True):
        refused = Grant.objects.filter(pk=held.id, version=held.version, lease_token=lease).update(
            state=GrantState.ERROR, reason=str(refusal)[:300], lease_token=None, lease_until=None
        )
        _note(held.id, "refused" if refused else "race", str(refusal))
        if refused:
            states.break_off(
                states.of_grant(held.id),
                problem=ConnectionProblem.GRANT_REFUSED,
                reason=str(refusal),
            )
    return bool(refused)


def _note(grant_id: int, outcome: str, message: str = "") -> None:
    TokenRefresh.objects.create(grant_id=grant_id, outcome=outcome, message=message[:300])
