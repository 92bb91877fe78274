"""Health checks of a connection: what was found, and what a person should do next.

The texts are in templates/connections/_checks.html.
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
from connections.providers import RemainingCalls, providers

IDLE = timedelta(days=14)  # twice as long as a grant may rest: renewing it fails
DYING = timedelta(days=45)  # of the 60 after which the provider ends an unused one
QUIET = timedelta(days=7)
STALE = timedelta(hours=24)
WINDOW = timedelta(days=7)  # for which failures are counted
FEW = 3  # failures, before they can be many
SELDOM, OFTEN = 10, 50  # per cent of the writes
ORDER = ("bad", "warn", "good", "mute")


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """The settled writes of the last seven days."""

    failed: int = 0
    total: int = 0

    @property
    def rate(self) -> int:
        """Return the failed writes in per cent."""
        return round(100 * self.failed / self.total) if self.total else 0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One finding: `kind` and `finding` pick the text, `next` names what helps.

    `next` is one of reconnect, test, sync, wait, look, resume or empty.
    """

    kind: str
    tone: str
    finding: str
    next: str = ""


def count_writes(connections: Sequence[Connection], now: datetime) -> dict[int, WriteCounts]:
    """Count the recent writes by connection id, in one query by the index of workspaces.

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
    return {pk: WriteCounts(failed, total) for pk, failed, total in rows.order_by()}


def list_checks(
    connection: Connection, *, writes: WriteCounts, left: RemainingCalls | None, now: datetime
) -> list[HealthCheck]:
    """Return all checks of a connection whose grant was read with it. An ended one has none."""
    if connection.state == ConnectionState.REVOKED:
        return []
    access = _check_access(connection)
    others = [
        _check_permissions(connection),
        _check_grant_age(connection, now),
        _check_webhooks(connection, now),
        _check_sync(connection, now),
    ]
    if access.next == "reconnect":  # nothing else helps before that
        others = [replace(check, next=access.next) if check.next else check for check in others]
    return [access, *others, _check_writes(writes), _check_limits(left)]


def find_worst_check(found: Sequence[HealthCheck]) -> HealthCheck | None:
    """Return the check that a person should see first; None when all is well."""
    wrong = [check for check in found if check.tone in {"bad", "warn"}]
    return min(wrong, key=lambda check: ORDER.index(check.tone)) if wrong else None


def _check_access(connection: Connection) -> HealthCheck:
    if connection.state == ConnectionState.ERROR:
        gone = connection.problem == ConnectionProblem.TENANT_GONE
        return HealthCheck("access", "bad", "tenant-gone" if gone else "refused", "reconnect")
    if connection.grant is None or connection.grant.state != GrantState.ACTIVE:
        return HealthCheck("access", "bad", "refused", "reconnect")
    if connection.state == ConnectionState.PENDING:
        return HealthCheck("access", "warn", "not-reached", "test")
    if connection.paused_at is not None:
        return HealthCheck("access", "warn", "paused", "resume")
    if (
        connection.grant is not None
        and connection.grant.retry_at
        and connection.grant.retry_at > timezone.now()
    ):
        return HealthCheck("access", "warn", "renewing-fails", "wait")
    return HealthCheck("access", "good", "works")


def _check_permissions(connection: Connection) -> HealthCheck:
    """Compare the scopes that this installation asks for now with those that were granted."""
    granted = set(connection.grant.scopes if connection.grant else ())
    drifted = granted and not set(providers[connection.provider].scopes) <= granted
    if connection.problem == ConnectionProblem.SCOPE_MISSING:
        return HealthCheck("permissions", "warn", "missing", "reconnect")
    if connection.problem == ConnectionProblem.NOT_PERMITTED:
        return HealthCheck("permissions", "warn", "not-permitted", "reconnect")
    return (
        HealthCheck("permissions", "warn", "drifted", "reconnect")
        if drifted
        else HealthCheck("permissions", "good", "all")
    )


def _check_grant_age(connection: Connection, now: datetime) -> HealthCheck:
    grant = connection.grant
    if grant is None or grant.state != GrantState.ACTIVE:
        return HealthCheck("grant", "bad", "ended", "reconnect")
    rested = now - grant.refreshed_at
    if rested > DYING:
        return HealthCheck("grant", "bad", "dying", "test")
    return (
        HealthCheck("grant", "warn", "idle", "test")
        if rested > IDLE
        else HealthCheck("grant", "good", "used")
    )


def _check_webhooks(connection: Connection, now: datetime) -> HealthCheck:
    """Judge when the last webhook came. A quiet organisation is no fault; one never heard of may
    be.
    """
    if connection.last_webhook_at is None:
        late = now - connection.connected_at > QUIET
        return HealthCheck("webhook", "warn" if late else "mute", "never", "look" if late else "")
    quiet = now - connection.last_webhook_at > QUIET
    return HealthCheck("webhook", "mute" if quiet else "good", "quiet" if quiet else "heard")


def _check_sync(connection: Connection, now: datetime) -> HealthCheck:
    if connection.last_sync_at is None:
        return HealthCheck("sync", "mute", "never")
    stale = now - connection.last_sync_at > STALE
    return (
        HealthCheck("sync", "warn", "stale", "test")
        if stale
        else HealthCheck("sync", "good", "fresh")
    )


def _check_writes(writes: WriteCounts) -> HealthCheck:
    """Judge the share of failed writes: good only where hardly any failed."""
    if not writes.total:
        return HealthCheck("writes", "mute", "none")
    if writes.rate < SELDOM:
        return HealthCheck("writes", "good", "few")
    many = writes.failed >= FEW and writes.rate >= OFTEN
    return HealthCheck("writes", "bad" if many else "warn", "many" if many else "some", "look")


def _check_limits(left: RemainingCalls | None) -> HealthCheck:
    if left is None:
        return HealthCheck("budget", "mute", "unknown")
    if left.day_left == 0:
        return HealthCheck("budget", "bad", "spent", "wait")
    if left.day_left * 10 < left.day_limit:
        return HealthCheck("budget", "warn", "low", "wait")
    return (
        HealthCheck("budget", "warn", "minute", "wait")
        if left.minute_left == 0
        else HealthCheck("budget", "good", "enough")
    )
