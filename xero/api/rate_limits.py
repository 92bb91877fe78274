"""Xero's rate limits as one budget per organisation, shared by every process (facts 2).

Per organisation 60 calls a minute, `XERO_DAILY_LIMIT` a day, 5 at once; 10,000 a minute for the
whole app. A call takes a slot in one statement before it is sent and returns it in one after,
corrected by what Xero says is left. Workers do not wait here: a call without a slot gets RetryLater
with the time at which one is free.

Xero's windows are fixed, but it does not say when they end. We keep an interval in which the next
end lies: it can only end later than a call that was still counted in it, and has ended when an
answer shows more left than before. The last few calls of a window are spread over that interval, so
each narrows it, and no minute is lost by waiting too long.
"""

import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection as database

from connections.errors import RetryLater
from connections.models import Budget
from connections.providers import RemainingCalls
from taskjuice.queue import clock
from xero.api import rate_limit_sql, retry_after
from xero.api.retry_after import APP as APP_LIMIT
from xero.api.retry_after import CONCURRENT, DAY, MINUTE, REASONS, MetLimit

PROVIDER = "xero"
APP = UUID(int=0)  # the tenant under which the app's own limit is kept

PAGE, WORK, SYNC = "page", "work", "sync"  # a person waits; a workflow runs; the background reads

MINUTE_SECONDS = retry_after.MINUTE_SECONDS  # a benchmark shortens the minute
DAY_SECONDS = retry_after.DAY_SECONDS
MINUTE_LIMIT = 60
CONCURRENT_LIMIT = 5
LEASE_SECONDS = (
    40  # a call's place when its process died; above the longest call (transport.TOTAL_SECONDS)
)
PROBES = 2  # calls of a window that look for its end; see the module's text
DAY_PROBE_SECONDS = (
    1800  # with the day's share spent, one call in this time looks whether a new day began
)
APP_RESERVE = 500  # calls of the app's minute left for what is in flight anywhere
APP_PAUSE_SECONDS = 5
PAGE_PATIENCE = 1.5  # seconds that a page waits for one of the 5 places
DEFAULT_PAUSE_SECONDS = (
    30.0  # how long a limit holds of which neither Xero nor our own window says when it ends
)


@dataclass(frozen=True, slots=True)
class LimitShare:
    """The part of each limit that a purpose may use up; what is above it is left for the others."""

    minute: int
    day: float
    slots: int


SHARES = {PAGE: LimitShare(60, 1.0, 5), WORK: LimitShare(57, 0.98, 4), SYNC: LimitShare(30, 0.8, 2)}


@dataclass(frozen=True, slots=True)
class CallSlot:
    """A slot taken for one call.

    `nth` and `day_nth` number the call within windows that end at `…_ends` at the latest.
    """

    tenant_id: UUID
    taken_at: datetime
    nth: int
    minute_ends: datetime
    day_nth: int
    day_ends: datetime
    slot: datetime
    others: int  # calls in flight beside it


def take_slot(tenant_id: UUID, purpose: str = WORK) -> CallSlot:
    """Take a slot for one call now; outside transactions, and ended by `return_slot`.

    For a page it waits up to PAGE_PATIENCE seconds for one of the five concurrent slots. Raises
    RetryLater, tenant-wide, with the time at which a slot is free.
    """
    patience = time.monotonic() + (PAGE_PATIENCE if purpose == PAGE else 0.0)
    while True:
        call_slot = _try_slot(tenant_id, purpose)
        if call_slot is not None:
            return call_slot
        refusal = _explain_refusal(tenant_id, purpose)
        if refusal is None:  # the tenant's first call ever
            _execute(rate_limit_sql.OPEN_BUDGET, tenant_id)
        elif refusal.why != "concurrent" or time.monotonic() > patience:
            raise RetryLater(REASONS[refusal.why], at=refusal.at, tenant_wide=True)
        else:
            time.sleep(0.05)


def return_slot(
    call_slot: CallSlot, headers: Mapping[str, str] | None, *, status: int = 0
) -> datetime | None:
    """Return the slot of a finished call, and until when no more calls go out if it met a limit.

    `headers` are those of its answer; {}: nothing was sent; None: whether it was sent is unknown.
    """
    if headers is not None and status == 429:
        return _park(call_slot, retry_after.read_refusal(headers))
    minute = _count_calls(headers, "X-MinLimit-Remaining", MINUTE_LIMIT)
    day = _count_calls(headers, "X-DayLimit-Remaining", settings.XERO_DAILY_LIMIT)
    _release(call_slot, minute, day, uncounted=headers is not None and minute is None)
    left = retry_after.read_count(headers, "X-AppMinLimit-Remaining") if headers else None
    if left is not None and left < APP_RESERVE:
        _execute(rate_limit_sql.PARK_APP, APP, pause=APP_PAUSE_SECONDS)
    return None


def read_remaining(tenant_ids: Collection[UUID]) -> dict[UUID, RemainingCalls]:
    """Return the calls left for these organisations, with one query; those never called are
    missing.
    """
    budgets = Budget.objects.filter(provider=PROVIDER, tenant_id__in=[*tenant_ids, APP])
    rows = {row.tenant_id: row for row in budgets}
    app = rows.pop(APP, None)
    now = clock.now()
    return {tenant: _describe_remaining(row, app, now) for tenant, row in rows.items()}


def _describe_remaining(row: Budget, app: Budget | None, now: datetime) -> RemainingCalls:
    """Return the calls left in the current windows."""
    parked = [
        (budget.parked_until, budget.parked_why)
        for budget in (row, app)
        if budget and budget.parked_until
    ]
    until, why = max(parked, default=(now, ""))
    day_limit = settings.XERO_DAILY_LIMIT
    return RemainingCalls(
        minute_left=max(0, MINUTE_LIMIT - (row.minute_used if row.minute_ends > now else 0)),
        minute_limit=MINUTE_LIMIT,
        day_left=max(0, day_limit - (row.day_used if row.day_ends > now else 0)),
        day_limit=day_limit,
        parked_until=until if until > now else None,
        why=why if until > now else "",
    )


@dataclass(frozen=True, slots=True)
class _Refusal:
    why: str
    at: datetime


def _try_slot(tenant_id: UUID, purpose: str) -> CallSlot | None:
    share = SHARES[purpose]
    limit = settings.XERO_DAILY_LIMIT
    values = {
        "slots": min(share.slots, CONCURRENT_LIMIT),
        "quick": share.minute - (0 if purpose == PAGE else PROBES),
        "minute_share": share.minute,
        "day_share": int(limit * share.day),
        "day_probe": DAY_PROBE_SECONDS,
        "lease": LEASE_SECONDS,
    }
    with database.cursor() as cursor:
        cursor.execute(rate_limit_sql.TAKE_SLOT, _common_values(tenant_id) | values)
        row = cursor.fetchone()
    return CallSlot(tenant_id, *row) if row else None


def _explain_refusal(tenant_id: UUID, purpose: str) -> _Refusal | None:
    """Return why there is no slot and when there is one; None for a tenant without a budget yet."""
    rows = {
        row.tenant_id: row
        for row in Budget.objects.filter(provider=PROVIDER, tenant_id__in=[tenant_id, APP])
    }
    row, app = rows.get(tenant_id), rows.get(APP)
    if row is None:
        return None
    now = clock.now()
    if row.parked_until and row.parked_until > now:
        return _Refusal(row.parked_why, row.parked_until)
    if app and app.parked_until and app.parked_until > now:
        return _Refusal("app", app.parked_until)
    share = SHARES[purpose]
    if row.minute_ends > now and row.minute_used >= share.minute - (
        0 if purpose == PAGE else PROBES
    ):
        return _Refusal("minute", _find_minute_slot(row, share))
    if row.day_ends > now and row.day_used >= int(settings.XERO_DAILY_LIMIT * share.day):
        probe = max(row.day_seen + timedelta(seconds=DAY_PROBE_SECONDS), now + timedelta(seconds=1))
        return _Refusal(
            "day",
            row.day_ends if row.day_used >= settings.XERO_DAILY_LIMIT else min(row.day_ends, probe),
        )
    return _Refusal("concurrent", now + timedelta(seconds=random.uniform(0.1, 0.4)))  # noqa: S311 - spreads callers


def _find_minute_slot(row: Budget, share: LimitShare) -> datetime:
    """Return when the next call may go: at the window's end, or halfway there to look for
    that end.
    """
    half = row.minute_seen + (row.minute_ends - row.minute_seen) / 2
    free = min(half, row.minute_ends) if row.minute_used < share.minute else row.minute_ends
    return free + timedelta(milliseconds=20)


def _park(call_slot: CallSlot, limit: MetLimit) -> datetime | None:
    """Stop all calls after a limit was met, until Xero's time or the end of our own window."""
    pause = limit.seconds
    if pause is None and limit.kind == CONCURRENT:
        pause = random.uniform(0.3, 1.2)  # noqa: S311 - spreads callers, guards nothing
    if limit.kind == APP_LIMIT:
        _release(call_slot, None, None, uncounted=True)
        return _execute(rate_limit_sql.PARK_APP, APP, pause=pause or DEFAULT_PAUSE_SECONDS)
    return _execute(
        rate_limit_sql.PARK,
        call_slot.tenant_id,
        slot=call_slot.slot,
        pause=pause,
        default_pause=DEFAULT_PAUSE_SECONDS,
        why=limit.kind if limit.kind in {MINUTE, DAY} else CONCURRENT,
        minute_limit=MINUTE_LIMIT,
        day_limit=settings.XERO_DAILY_LIMIT,
    )


def _release(call_slot: CallSlot, minute: int | None, day: int | None, *, uncounted: bool) -> None:
    """Return the slot. `minute` and `day` are Xero's counts of calls, None where it did not give
    them.
    """
    _execute(
        rate_limit_sql.RETURN_SLOT,
        call_slot.tenant_id,
        slot=call_slot.slot,
        taken_at=call_slot.taken_at,
        minute_ends=call_slot.minute_ends,
        minute_counted=max(minute or 0, 0),
        minute_reset=minute is not None and minute < call_slot.nth - call_slot.others,
        day_ends=call_slot.day_ends,
        day_counted=max(day or 0, 0),
        day_reset=day is not None and 0 <= day < call_slot.day_nth - call_slot.others,
        uncounted=int(uncounted),
    )


def _count_calls(headers: Mapping[str, str] | None, name: str, limit: int) -> int | None:
    """Return how many calls Xero has counted; negative where it grants more than the limit
    we know.
    """
    left = retry_after.read_count(headers, name) if headers else None
    return None if left is None else limit - left


def _common_values(tenant_id: UUID) -> dict[str, Any]:
    return {
        "provider": PROVIDER,
        "tenant": tenant_id,
        "app": APP,
        "minute": MINUTE_SECONDS,
        "day": DAY_SECONDS,
        "day_limit": settings.XERO_DAILY_LIMIT,
    }


def _execute(statement: str, tenant_id: UUID, **values: Any) -> datetime | None:
    """Run the statement and return its one value: until when it parked, if it parks."""
    with database.cursor() as cursor:
        cursor.execute(statement, _common_values(tenant_id) | values)
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None
