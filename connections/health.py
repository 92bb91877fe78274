"""How well a connection is: what is looked at, what was found, and what a person should do next.

The words are in templates/connections/_checks.html; here is what they rest on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.utils import timezone

from connections.models import (
    Call,
    CallState,
    Connection,
    ConnectionProblem,
    ConnectionState,
    GrantState,
)
from connections.providers import Left, providers

IDLE = timedelta(days=14)  # twice as long as a grant may rest: renewing it fails
DYING = timedelta(days=45)  # of the 60 after which the provider ends an unused one
QUIET = timedelta(days=7)
STALE = timedelta(hours=24)
WINDOW = timedelta(days=7)  # for which failures are counted
FEW = 3  # failures, before they can be many
SELDOM, OFTEN = 10, 50  # per cent of the writes
ORDER = ("bad", "warn", "good", "mute")


@dataclass(frozen=True, slots=True)
class Writes:
    """Settled writes of the last seven days."""

    failed: int = 0
    total: int = 0

    @property
    def rate(self) -> int:
        """Per cent."""
        return round(100 * self.failed / self.total) if self.total else 0


@dataclass(frozen=True, slots=True)
class Check:
    """`kind` and `finding` pick the words; `next` names what helps: reconnect, test, sync, wait,
    look or nothing.
    """

    kind: str
    tone: str
    finding: str
    next: str = ""


def writes_of(connections: Sequence[Connection], now: datetime) -> dict[int, Writes]:
    """By connection id; one query, by the index of workspaces.

    What the provider refused of a person's form is left out: they correct it.
    """
    corrected = Q(state=CallState.FAILED, form_key__isnull=False) & ~Q(messages=[])
    settled = Call.objects.filter(
        ~corrected,
        workspace_id__in={each.workspace_id for each in connections},
        connection_id__in=[each.pk for each in connections],
        created_at__gt=now - WINDOW,
    ).exclude(state__in=(CallState.INTENDED, CallState.SENT))
    bad = Q(state__in=(CallState.FAILED, CallState.UNKNOWN))
    rows = settled.values_list("connection_id").annotate(
        failed=Count("pk", filter=bad), total=Count("pk")
    )
    return {pk: Writes(failed, total) for pk, failed, total in rows.order_by()}


def checks(
    connection: Connection, *, writes: Writes, left: Left | None, now: datetime
) -> list[Check]:
    """Of a connection whose grant was read with it. An ended one has none."""
    if connection.state == ConnectionState.REVOKED:
        return []
    access = _access(connection)
    others = [
        _permissions(connection),
        _grant_age(connection, now),
        _webhook(connection, now),
        _sync(connection, now),
    ]
    if access.next == "reconnect":  # nothing else helps before that
        others = [replace(check, next=access.next) if check.next else check for check in others]
    return [access, *others, _failures(writes), _budget(left)]


def worst(found: Sequence[Check]) -> Check | None:
    """What a person should hear first; None when all is well."""
    wrong = [check for check in found if check.tone in {"bad", "warn"}]
    return min(wrong, key=lambda check: ORDER.index(check.tone)) if wrong else None


def _access(connection: Connection) -> Check:
    if connection.state == ConnectionState.ERROR:
        gone = connection.problem == ConnectionProblem.TENANT_GONE
        return Check("access", "bad", "tenant-gone" if gone else "refused", "reconnect")
    if connection.grant is None or connection.grant.state != GrantState.ACTIVE:
        return Check("access", "bad", "refused", "reconnect")
    if connection.state == ConnectionState.PENDING:
        return Check("access", "warn", "not-reached", "test")
    if connection.paused_at is not None:
        return Check("access", "warn", "paused", "resume")
    if (
        connection.grant is not None
        and connection.grant.retry_at
        and connection.grant.retry_at > timezone.now()
    ):
        return Check("access", "warn", "renewing-fails", "wait")
    return Check("access", "good", "works")


def _permissions(connection: Connection) -> Check:
    """Scope drift: what this installation asks for now against what was granted then."""
    granted = set(connection.grant.scopes if connection.grant else ())
    drifted = granted and not set(providers[connection.provider].scopes) <= granted
    if connection.problem == ConnectionProblem.SCOPE_MISSING:
        return Check("permissions", "warn", "missing", "reconnect")
    if connection.problem == ConnectionProblem.NOT_PERMITTED:
        return Check("permissions", "warn", "not-permitted", "reconnect")
    return (
        Check("permissions", "warn", "drifted", "reconnect")
        if drifted
        else Check("permissions", "good", "all")
    )


def _grant_age(connection: Connection, now: datetime) -> Check:
    grant = connection.grant
    if grant is None or grant.state != GrantState.ACTIVE:
        return Check("grant", "bad", "ended", "reconnect")
    rested = now - grant.refreshed_at
    if rested > DYING:
        return Check("grant", "bad", "dying", "test")
    return (
        Check("grant", "warn", "idle", "test") if rested > IDLE else Check("grant", "good", "used")
    )


def _webhook(connection: Connection, now: datetime) -> Check:
    """Quiet books are no fault; never having heard of busy ones may be one."""
    if connection.last_webhook_at is None:
        late = now - connection.connected_at > QUIET
        return Check("webhook", "warn" if late else "mute", "never", "look" if late else "")
    quiet = now - connection.last_webhook_at > QUIET
    return Check("webhook", "mute" if quiet else "good", "quiet" if quiet else "heard")


def _sync(connection: Connection, now: datetime) -> Check:
    if connection.last_sync_at is None:
        return Check("sync", "mute", "never")
    stale = now - connection.last_sync_at > STALE
    return Check("sync", "warn", "stale", "test") if stale else Check("sync", "good", "fresh")


def _failures(writes: Writes) -> Check:
    """Good only where hardly any failed; a few are too few for more than a look."""
    if not writes.total:
        return Check("writes", "mute", "none")
    if writes.rate < SELDOM:
        return Check("writes", "good", "few")
    many = writes.failed >= FEW and writes.rate >= OFTEN
    return Check("writes", "bad" if many else "warn", "many" if many else "some", "look")


def _budget(left: Left | None) -> Check:
    if left is None:
        return Check("budget", "mute", "unknown")
    if left.day_left == 0:
        return Check("budget", "bad", "spent", "wait")
    if left.day_left * 10 < left.day_limit:
        return Check("budget", "warn", "low", "wait")
    return (
        Check("budget", "warn", "minute", "wait")
        if left.minute_left == 0
        else Check("budget", "good", "enough")
    )
