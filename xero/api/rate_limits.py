"""Xero's rate limits as one budget per organisation, shared by every process (facts 2).

Per organisation 60 calls a minute, `XERO_DAILY_LIMIT` a day, 5 at once; 10,000 a minute for the
whole app. A call takes its place in one statement before it is sent and gives it back in one after,
corrected by what Xero says is left. Nobody waits here: whoever finds no place gets RetryLater with
the time at which there is one.

Xero's windows are fixed but it does not tell when they end. We keep an interval in which the next
end lies: it can only end later than a call that was still counted in it, and has ended when an
answer shows more left than before. The last few calls of a window are spread over that interval, so
each narrows it, and no minute is spent on waiting too long.
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
from connections.providers import Left
from taskjuice.queue import clock
from taskjuice.queue.commits import QUICK
from xero.api import retry_after
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
UNTOLD_SECONDS = (
    30.0  # how long a limit holds of which neither Xero nor our own window says when it ends
)


@dataclass(frozen=True, slots=True)
class Share:
    """How much of each limit a purpose may have used up; above it, what is left is for the others."""

    minute: int
    day: float
    slots: int


SHARES = {PAGE: Share(60, 1.0, 5), WORK: Share(57, 0.98, 4), SYNC: Share(30, 0.8, 2)}

# `n.now` is one reading of the clock. A window that has ended is rolled on; what is in flight may
# count in the new one. Nobody waits for the disk: should PostgreSQL crash, the last half second of
# counting is learnt again from headers.
_QUICK = f"{QUICK} AS quick"
_FLYING = "(SELECT count(*) FROM unnest(b.slots) s WHERE s > n.now)"
_ROLLED = """CASE WHEN b.{0}_ends <= n.now THEN %({0})s * interval '1 second'
    * (1 + floor(extract(epoch FROM n.now - b.{0}_ends) / %({0})s)) ELSE interval '0' END"""
TAKE = f"""
UPDATE connections_budget b
   SET minute_used = CASE WHEN b.minute_ends <= n.now THEN {_FLYING} + 1 ELSE b.minute_used + 1 END,
       minute_ends = b.minute_ends + {_ROLLED.format("minute")},
       minute_seen = b.minute_seen + {_ROLLED.format("minute")},
       day_used = CASE WHEN b.day_ends <= n.now THEN {_FLYING} + 1 ELSE b.day_used + 1 END,
       day_ends = b.day_ends + {_ROLLED.format("day")},
       day_seen = b.day_seen + {_ROLLED.format("day")},
       slots = ARRAY(SELECT s FROM unnest(b.slots) s WHERE s > n.now) || (n.now + %(lease)s * interval '1 second'),
       parked_until = NULL, parked_why = ''
  FROM (SELECT clock_timestamp() AS now, {_QUICK}) n
 WHERE b.provider = %(provider)s AND b.tenant_id = %(tenant)s AND n.quick = 'off'
   AND (b.parked_until IS NULL OR b.parked_until <= n.now)
   AND NOT EXISTS (SELECT FROM connections_budget a
                    WHERE a.provider = %(provider)s AND a.tenant_id = %(app)s AND a.parked_until > n.now)
   AND {_FLYING} < %(slots)s
   AND (b.minute_ends <= n.now OR b.minute_used < %(quick)s
        OR (b.minute_used < %(minute_share)s AND n.now >= b.minute_seen + (b.minute_ends - b.minute_seen) / 2))
   AND (b.day_ends <= n.now OR b.day_used < %(day_share)s
        OR (b.day_used < %(day_limit)s AND b.day_seen < n.now - %(day_probe)s * interval '1 second'))
RETURNING n.now, b.minute_used, b.minute_ends, b.day_used, b.day_ends, b.slots[cardinality(b.slots)],
          cardinality(b.slots) - 1
"""  # noqa: S608 - made of the constants above

# A new window although the one we knew may not end yet: what we believed was wrong (a raised limit,
# a clock that was set, limits counted anew), and all that is left of it is that a window began at
# some time up to now.
_SEEN = """CASE WHEN b.{0}_seen > clock_timestamp() THEN clock_timestamp()
                                ELSE b.{0}_seen + %({0})s * interval '1 second' END"""
# Corrections hold only for the window in which the place was taken.
GIVE_BACK = f"""
UPDATE connections_budget b
   SET slots = array_remove(b.slots, %(slot)s),
       minute_used = CASE WHEN b.minute_ends <> %(minute_ends)s THEN b.minute_used
                          WHEN %(minute_reset)s THEN %(minute_counted)s + cardinality(b.slots) - 1
                          ELSE greatest(b.minute_used - %(uncounted)s, %(minute_counted)s) END,
       minute_seen = CASE WHEN b.minute_ends <> %(minute_ends)s THEN b.minute_seen
                          WHEN %(minute_reset)s THEN {_SEEN.format("minute")}
                          WHEN %(minute_counted)s > 0 THEN greatest(b.minute_seen, %(taken_at)s)
                          ELSE b.minute_seen END,
       minute_ends = CASE WHEN %(minute_reset)s AND b.minute_ends = %(minute_ends)s
                          THEN clock_timestamp() + %(minute)s * interval '1 second' ELSE b.minute_ends END,
       day_used = CASE WHEN b.day_ends <> %(day_ends)s THEN b.day_used
                       WHEN %(day_reset)s THEN %(day_counted)s + cardinality(b.slots) - 1
                       ELSE greatest(b.day_used - %(uncounted)s, %(day_counted)s) END,
       day_seen = CASE WHEN b.day_ends <> %(day_ends)s THEN b.day_seen
                       WHEN %(day_reset)s THEN {_SEEN.format("day")}
                       WHEN %(day_counted)s > 0 THEN greatest(b.day_seen, %(taken_at)s)
                       ELSE b.day_seen END,
       day_ends = CASE WHEN %(day_reset)s AND b.day_ends = %(day_ends)s
                       THEN clock_timestamp() + %(day)s * interval '1 second' ELSE b.day_ends END
  FROM (SELECT {_QUICK}) n
 WHERE b.provider = %(provider)s AND b.tenant_id = %(tenant)s AND n.quick = 'off'
"""  # noqa: S608 - the same

# A refusal that says when its window ends tells exactly what we want to know. One that does not is
# over when the window that we know is over at the latest.
_UNTIL = """CASE WHEN %(pause)s::float8 IS NOT NULL THEN n.now + %(pause)s::float8 * interval '1 second'
    WHEN %(why)s = 'day' THEN greatest(b.day_ends, n.now + %(untold)s * interval '1 second')
    WHEN %(why)s = 'minute' THEN greatest(b.minute_ends, n.now + interval '1 second')
    ELSE n.now + %(untold)s * interval '1 second' END"""
_IS_TOLD = "%(why)s = '{0}' AND %(pause)s::float8 IS NOT NULL"
PARK = f"""
UPDATE connections_budget b
   SET slots = array_remove(b.slots, %(slot)s),
       parked_until = greatest(b.parked_until, {_UNTIL}), parked_why = %(why)s,
       minute_used = CASE WHEN %(why)s = 'minute' THEN %(minute_limit)s ELSE greatest(b.minute_used - 1, 0) END,
       minute_ends = CASE WHEN {_IS_TOLD.format("minute")} THEN {_UNTIL} ELSE b.minute_ends END,
       minute_seen = CASE WHEN {_IS_TOLD.format("minute")} THEN {_UNTIL} - interval '1 second'
                          ELSE b.minute_seen END,
       day_used = CASE WHEN %(why)s = 'day' THEN %(day_limit)s ELSE greatest(b.day_used - 1, 0) END,
       day_ends = CASE WHEN {_IS_TOLD.format("day")} THEN {_UNTIL} ELSE b.day_ends END,
       day_seen = CASE WHEN {_IS_TOLD.format("day")} THEN {_UNTIL} - interval '1 second' ELSE b.day_seen END
  FROM (SELECT clock_timestamp() AS now) n
 WHERE b.provider = %(provider)s AND b.tenant_id = %(tenant)s
RETURNING b.parked_until
"""  # noqa: S608 - made of the constants above

PARK_APP = """
INSERT INTO connections_budget (provider, tenant_id, slots, parked_until, parked_why)
VALUES (%(provider)s, %(app)s, '{}', clock_timestamp() + %(pause)s * interval '1 second', 'app')
ON CONFLICT (provider, tenant_id) DO UPDATE
   SET parked_until = greatest(connections_budget.parked_until, excluded.parked_until), parked_why = 'app'
RETURNING parked_until
"""

OPEN = """
INSERT INTO connections_budget (provider, tenant_id, slots, minute_seen, day_seen)
VALUES (%(provider)s, %(tenant)s, '{}', now() - %(minute)s * interval '1 second', now() - %(day)s * interval '1 second')
ON CONFLICT (provider, tenant_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A place taken for one call. `nth` and `day_nth` count it within windows that end at the
    latest at `…_ends`.
    """

    tenant_id: UUID
    taken_at: datetime
    nth: int
    minute_ends: datetime
    day_nth: int
    day_ends: datetime
    slot: datetime
    others: int  # calls in flight beside it


def take(tenant_id: UUID, purpose: str = WORK) -> Place:
    """A place for one call now. Raises RetryLater, tenant-wide, with the time at which one is free.

    For a page it waits up to PAGE_PATIENCE seconds for one of the five places at once. Call it
    outside transactions, and end it with `give_back`.
    """
    patience = time.monotonic() + (PAGE_PATIENCE if purpose == PAGE else 0.0)
    while True:
        place = _taken(tenant_id, purpose)
        if place is not None:
            return place
        refusal = _refusal(tenant_id, purpose)
        if refusal is None:  # the tenant's first call ever
            _execute(OPEN, tenant_id)
        elif refusal.why != "concurrent" or time.monotonic() > patience:
            raise RetryLater(REASONS[refusal.why], at=refusal.at, tenant_wide=True)
        else:
            time.sleep(0.05)


def give_back(
    place: Place, headers: Mapping[str, str] | None, *, status: int = 0
) -> datetime | None:
    """The call is over. `headers` are those of its answer; {}: nothing was sent; None: nobody
    knows.

    Returns until when nothing goes out, where the answer was that a limit is met.
    """
    if headers is not None and status == 429:
        return _park(place, retry_after.read_refusal(headers))
    minute = _counted(headers, "X-MinLimit-Remaining", MINUTE_LIMIT)
    day = _counted(headers, "X-DayLimit-Remaining", settings.XERO_DAILY_LIMIT)
    _release(place, minute, day, uncounted=headers is not None and minute is None)
    left = retry_after.read_count(headers, "X-AppMinLimit-Remaining") if headers else None
    if left is not None and left < APP_RESERVE:
        _execute(PARK_APP, APP, pause=APP_PAUSE_SECONDS)
    return None


def left(tenant_ids: Collection[UUID]) -> dict[UUID, Left]:
    """What is left for these organisations, as far as we know; those never called are missing. One
    query.
    """
    found = Budget.objects.filter(provider=PROVIDER, tenant_id__in=[*tenant_ids, APP])
    rows = {row.tenant_id: row for row in found}
    app = rows.pop(APP, None)
    now = clock.now()
    return {tenant: _left(row, app, now) for tenant, row in rows.items()}


def _left(row: Budget, app: Budget | None, now: datetime) -> Left:
    """Of a window that is over, all is left."""
    parked = [(one.parked_until, one.parked_why) for one in (row, app) if one and one.parked_until]
    until, why = max(parked, default=(now, ""))
    day_limit = settings.XERO_DAILY_LIMIT
    return Left(
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


def _taken(tenant_id: UUID, purpose: str) -> Place | None:
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
        cursor.execute(TAKE, _values(tenant_id) | values)
        row = cursor.fetchone()
    return Place(tenant_id, *row) if row else None


def _refusal(tenant_id: UUID, purpose: str) -> _Refusal | None:
    """Why there was no place and when there will be one; None for a tenant that has no budget yet."""
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
        return _Refusal("minute", _minute_free(row, share))
    if row.day_ends > now and row.day_used >= int(settings.XERO_DAILY_LIMIT * share.day):
        probe = max(row.day_seen + timedelta(seconds=DAY_PROBE_SECONDS), now + timedelta(seconds=1))
        return _Refusal(
            "day",
            row.day_ends if row.day_used >= settings.XERO_DAILY_LIMIT else min(row.day_ends, probe),
        )
    return _Refusal("concurrent", now + timedelta(seconds=random.uniform(0.1, 0.4)))  # noqa: S311 - spreads callers


def _minute_free(row: Budget, share: Share) -> datetime:
    """When the next call may go: at the window's end, or halfway there where it looks for that end."""
    half = row.minute_seen + (row.minute_ends - row.minute_seen) / 2
    free = min(half, row.minute_ends) if row.minute_used < share.minute else row.minute_ends
    return free + timedelta(milliseconds=20)


def _park(place: Place, limit: MetLimit) -> datetime | None:
    """A limit was met after all: nothing goes out until Xero says, or until our own window of it is
    over.
    """
    pause = limit.seconds
    if pause is None and limit.kind == CONCURRENT:
        pause = random.uniform(0.3, 1.2)  # noqa: S311 - spreads callers, guards nothing
    if limit.kind == APP_LIMIT:
        _release(place, None, None, uncounted=True)
        return _execute(PARK_APP, APP, pause=pause or UNTOLD_SECONDS)
    return _execute(
        PARK,
        place.tenant_id,
        slot=place.slot,
        pause=pause,
        untold=UNTOLD_SECONDS,
        why=limit.kind if limit.kind in {MINUTE, DAY} else CONCURRENT,
        minute_limit=MINUTE_LIMIT,
        day_limit=settings.XERO_DAILY_LIMIT,
    )


def _release(place: Place, minute: int | None, day: int | None, *, uncounted: bool) -> None:
    """`minute` and `day` are what Xero has counted, None where it did not say."""
    _execute(
        GIVE_BACK,
        place.tenant_id,
        slot=place.slot,
        taken_at=place.taken_at,
        minute_ends=place.minute_ends,
        minute_counted=max(minute or 0, 0),
        minute_reset=minute is not None and minute < place.nth - place.others,
        day_ends=place.day_ends,
        day_counted=max(day or 0, 0),
        day_reset=day is not None and 0 <= day < place.day_nth - place.others,
        uncounted=int(uncounted),
    )


def _counted(headers: Mapping[str, str] | None, name: str, limit: int) -> int | None:
    """How many calls Xero has counted in its window; negative where it grants more than the limit
    we know.
    """
    left = retry_after.read_count(headers, name) if headers else None
    return None if left is None else limit - left


def _values(tenant_id: UUID) -> dict[str, Any]:
    return {
        "provider": PROVIDER,
        "tenant": tenant_id,
        "app": APP,
        "minute": MINUTE_SECONDS,
        "day": DAY_SECONDS,
        "day_limit": settings.XERO_DAILY_LIMIT,
    }


def _execute(statement: str, tenant_id: UUID, **values: Any) -> datetime | None:
    """Returns what the statement does: until when it parked, where it parks."""
    with database.cursor() as cursor:
        cursor.execute(statement, _values(tenant_id) | values)
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None
