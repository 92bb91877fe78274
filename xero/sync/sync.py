"""Reading a ledger: in rounds of one pass per kind of record, in slices short enough for a queue's
task.

A round runs every fifteen minutes, when a connection begins to work and when a person asks. Its
passes read what changed since the last one, five minutes of overlap included; the first and the
weekly one read everything, which also covers what `If-Modified-Since` misses at Xero (facts 4.2).
In between, records that events name are read by their ids.
"""

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from connections import errors
from connections.models import Connection, ConnectionState
from taskjuice.database.outages import OUTAGE, retry_during_outage
from taskjuice.queue import clock
from taskjuice.queue.leases import Lease, LeaseLost
from xero import organisations
from xero.api import rate_limits
from xero.api.client import client_for
from xero.models import Ledger, Part, Stale
from xero.records.fields import read_count, read_object, read_objects
from xero.sync import recovery, upsert
from xero.sync import schedule as sync_schedule
from xero.sync.mapping import ACCOUNTS, CONTACTS, INVOICES, ITEMS, KINDS, PAYMENTS, TRACKING, Kind

logger = logging.getLogger(__name__)

ORGANISATION = "organisation"
ORDER = (ORGANISATION, ACCOUNTS, ITEMS, TRACKING, CONTACTS, INVOICES, PAYMENTS)
# They change rarely and cost a call each. No webhook tells of them, and lock dates and the zone
# matter at once.
SELDOM = {
    ORGANISATION: timedelta(minutes=45),
    ACCOUNTS: timedelta(hours=6),
    ITEMS: timedelta(hours=6),
    TRACKING: timedelta(hours=6),
}
PAGE_SIZE = 1000
IDS_A_CALL = 40  # Xero's own advice; the address would grow too long
OVERLAP = timedelta(minutes=5)
SLICE_SECONDS = 6.0  # of one task; a call may add its own time
COMPANY = timedelta(seconds=2)  # records that events named wait this long for others
BETWEEN_REFRESHES = timedelta(seconds=10)
TRIES = 3
LONGEST_BACK_OFF = timedelta(minutes=15)


def run_ledger(connection_id: int) -> None:
    """Read for a few seconds. The queue's task; safe in many copies and after any crash."""
    lease = sync_schedule.acquire(connection_id)
    if lease is None:
        return
    more = False
    try:
        more = _read(lease)
    except LeaseLost:
        logger.warning("connection %s: another process reads its ledger now", connection_id)
    except OUTAGE:  # the ledger is as it was, and due
        more = True
        raise
    except Exception as error:
        _back_off(lease, f"{type(error).__name__}: see the log.")
        raise
    finally:
        retry_during_outage(lambda: sync_schedule.release(lease, more=more))


def _read(lease: Lease) -> bool:
    """Step after step until nothing is due or the slice is over; whether there is more."""
    connection = Connection.objects.select_related("workspace").get(pk=lease.connection_id)
    until = time.monotonic() + SLICE_SECONDS
    while time.monotonic() < until:
        try:
            if not _step(lease, connection):
                return False
        except errors.RetryLater as error:
            if error.at is None:
                _back_off(lease, str(error))
            else:
                sync_schedule.put_off(lease, error.at, str(error), failed=False)
            return False
    return True


def _step(lease: Lease, connection: Connection) -> bool:
    """One call to Xero at most. False: nothing is left to do now."""
    ledger = Ledger.objects.get(pk=lease.connection_id)
    kind = _stale_kind(ledger)
    if kind is not None:
        return _refresh(lease, connection, kind)
    part = _running(ledger)
    if part is not None:
        return _advance(lease, connection, part)
    if ledger.started_at is not None:
        _finish_round(lease, connection)
        return True
    return _begin_round(lease)


# -- rounds --


def _begin_round(lease: Lease) -> bool:
    """Set every due kind's pass to its start, if a round is due."""
    with transaction.atomic():
        ledger = sync_schedule.hold(lease)
        now = clock.now()
        if ledger.due_at > now:
            return False
        full = ledger.full_due_at is not None and ledger.full_due_at <= now
        known = {part.kind: part for part in ledger.parts.all()}
        for kind in ORDER:
            part = known.get(kind) or Part(ledger=ledger, kind=kind)
            if full or ledger.asked_at or _is_due(part, now):
                _set_out(part, full=full)
                part.save()
        Ledger.objects.filter(pk=ledger.pk).update(started_at=now)
    return True


def _is_due(part: Part, now: datetime) -> bool:
    every = SELDOM.get(part.kind)
    return every is None or part.finished_at is None or part.finished_at < now - every


def _set_out(part: Part, *, full: bool) -> None:
    """A new pass; one that runs already goes on from its position unless everything is to be read."""
    if part.running and (part.full or not full):
        return
    part.running = True
    part.full = full or part.cursor is None
    part.since = None if part.full or part.cursor is None else part.cursor - OVERLAP
    part.step_since, part.step_page = part.since, 1
    part.newest, part.total, part.done, part.skipped, part.problem = None, None, 0, 0, ""


def _finish_round(lease: Lease, connection: Connection) -> None:
    with transaction.atomic():
        ledger = sync_schedule.hold(lease)
        if ledger.started_at is None:
            return
        asked_again = ledger.asked_at is not None and ledger.asked_at > ledger.started_at
        now = clock.now()
        full_done = ledger.full_due_at is None or ledger.full_due_at <= ledger.started_at
        Ledger.objects.filter(pk=ledger.pk).update(
            started_at=None,
            finished_at=Now(),
            first_finished_at=Coalesce("first_finished_at", Now()),
            due_at=now if asked_again else now + sync_schedule.EVERY,
            asked_at=ledger.asked_at if asked_again else None,
            full_due_at=_next_full(connection, now) if full_done else ledger.full_due_at,
            not_before=None,
            failures=0,
            reason="",
        )
        Connection.objects.filter(pk=connection.pk).update(last_sync_at=Now())
    recovery.after_round(connection, begun=ledger.started_at)


def _next_full(connection: Connection, now: datetime) -> datetime:
    """In a week; spread over a day by the connection's number, so that not all come at once."""
    return now + sync_schedule.FULL_EVERY + timedelta(minutes=connection.pk * 617 % 1440)


# -- passes --


def _running(ledger: Ledger) -> Part | None:
    running = {part.kind: part for part in ledger.parts.filter(running=True)}
    return next((running[kind] for kind in ORDER if kind in running), None)


def _advance(lease: Lease, connection: Connection, part: Part) -> bool:
    """The next answer of this pass. A kind that Xero refuses is left with its reason; the others go
    on.
    """
    try:
        if part.kind == ORGANISATION:
            _read_organisation(lease, connection, part)
        elif KINDS[part.kind].paged:
            _read_page(lease, connection, part)
        else:
            _read_whole(lease, connection, part)
    except (errors.NeedsConsent, errors.TenantGone, errors.Invalid, errors.NotFound) as error:
        if not Connection.objects.filter(pk=connection.pk, state=ConnectionState.ACTIVE).exists():
            return False  # it goes on when the connection is mended
        logger.warning("connection %s: %s cannot be read: %s", connection.pk, part.kind, error)
        part.problem = str(error)[:300]
        _finish_pass(lease, part)
    return True


def _read_organisation(lease: Lease, connection: Connection, part: Part) -> None:
    """Its name, zone, currency and lock dates, which the connection and its client follow."""
    answer = client_for(connection, purpose=rate_limits.SYNC).get("/Organisation")
    body = next(iter(read_objects(answer, "Organisations")), None)
    if body is None:
        raise errors.Invalid(["Xero’s answer names no organisation."])
    with transaction.atomic():
        sync_schedule.hold(lease)
        Ledger.objects.filter(pk=lease.connection_id).update(**organisations.facts(body))
        organisations.follow(connection, body)
        _finish_pass(lease, part)


def _read_whole(lease: Lease, connection: Connection, part: Part) -> None:
    kind = KINDS[part.kind]
    params: dict[str, str | int] = {"unitdp": 4} if part.kind == ITEMS else {}
    bodies = _bodies(
        client_for(connection, purpose=rate_limits.SYNC).get(kind.path, params=params), kind
    )
    rows, _ = kind.rows(bodies)
    with transaction.atomic():
        sync_schedule.hold(lease)
        taken = upsert.take_in(connection, part.kind, bodies)
        upsert.drop_missing(connection, part.kind, [row["xero_id"] for row in rows])
        part.done = part.total = len(bodies)
        part.skipped = taken.skipped
        _finish_pass(lease, part)


def _read_page(lease: Lease, connection: Connection, part: Part) -> None:
    kind = KINDS[part.kind]
    began = clock.now()
    answer = client_for(connection, purpose=rate_limits.SYNC).get(
        kind.path, params=_page_params(kind, part.step_page), modified_since=part.step_since
    )
    bodies = _bodies(answer, kind)
    rows, _ = kind.rows(bodies)
    changes = [row["updated_utc"] for row in rows]
    with transaction.atomic():
        sync_schedule.hold(lease)
        part.skipped += upsert.take_in(connection, part.kind, bodies).skipped
        upsert.forget_stale(connection, part.kind, [row["xero_id"] for row in rows], before=began)
        if changes:
            part.newest = max(changes) if part.newest is None else max(part.newest, *changes)
        last = _count(part, answer, len(bodies))
        if last:
            part.cursor = part.newest or part.cursor or began
            _finish_pass(lease, part)
        else:
            _move_on(part, changes)
            part.save()


def _page_params(kind: Kind, page: int) -> dict[str, str | int]:
    params: dict[str, str | int] = {"page": page, "pageSize": PAGE_SIZE}
    if kind.name == INVOICES:
        params["unitdp"] = 4
    if kind.archived:
        params["includeArchived"] = "true"
    return params


def _count(part: Part, answer: Mapping[str, Any], found: int) -> bool:
    """Note the progress; whether this was the last page."""
    pagination = read_object(answer, "pagination")
    size, items = (
        read_count(pagination, "pageSize") or PAGE_SIZE,
        read_count(pagination, "itemCount"),
    )
    if items is None:
        part.done += found
        return found < size
    behind = max(0, items - (part.step_page - 1) * size - found)
    if part.total is None:
        part.total = items
    part.done = max(part.done, part.total - behind)
    return behind == 0 or found == 0


def _move_on(part: Part, changes: list[datetime]) -> None:
    """To the next page, by the time of the last change seen: pages by number shift when a record
    changes meanwhile.

    By number only while one second holds more changes than a page, or where the answer is not in
    order.
    """
    if changes and changes == sorted(changes):
        since = changes[-1].replace(microsecond=0) - timedelta(seconds=1)
        if part.step_since is None or since > part.step_since:
            part.step_since, part.step_page = since, 1
            return
    part.step_page += 1


def _finish_pass(lease: Lease, part: Part) -> None:
    part.running = False
    part.finished_at = part.finished_at if part.problem else clock.now()
    if part.full and not part.problem:
        part.full_at = part.finished_at
    part.save()


def _bodies(answer: Mapping[str, Any], kind: Kind) -> list[Mapping[str, Any]]:
    return read_objects(answer, kind.collection)


# -- records that events named --


def _stale_kind(ledger: Ledger) -> str | None:
    """The kind to refresh now, once there is a ledger to refresh and the others had time to be
    named too.
    """
    if ledger.first_finished_at is None:
        return None
    if ledger.refreshed_at is not None and ledger.refreshed_at > clock.now() - BETWEEN_REFRESHES:
        return None
    brought = ledger.parts.filter(running=True, full=False).values("kind")  # by the pass that runs
    waiting = Stale.objects.filter(connection_id=ledger.pk, at__lt=Now() - COMPANY).exclude(
        kind__in=brought
    )
    return waiting.order_by("at").values_list("kind", flat=True).first()


def _refresh(lease: Lease, connection: Connection, kind_name: str) -> bool:
    """Few are read by their ids. Of many, one read of what changed lately brings nearly all; the
    rest come by id.
    """
    part = Part.objects.filter(ledger=lease.connection_id, kind=kind_name).first()
    waiting = Stale.objects.filter(connection=connection, kind=kind_name)
    untried = waiting.filter(tries=0)
    is_idle = part is not None and part.cursor is not None and not part.running
    if is_idle and untried.count() > IDS_A_CALL:
        assert part is not None  # is_idle
        with transaction.atomic():
            untried.filter(pk__in=upsert.lock_stale(connection, kind_name)).update(tries=1)
        _set_out(part, full=False)
        part.save()
        return True
    ids = list(waiting.order_by("at").values_list("xero_id", flat=True)[:IDS_A_CALL])
    _read_ids(lease, connection, KINDS[kind_name], ids)
    return True


def _read_ids(lease: Lease, connection: Connection, kind: Kind, ids: list[UUID]) -> None:
    began = clock.now()
    params = _page_params(kind, 1) | {"IDs": ",".join(map(str, ids)), "pageSize": 100}
    try:
        bodies = _bodies(
            client_for(connection, purpose=rate_limits.SYNC).get(kind.path, params=params), kind
        )
    except (errors.NeedsConsent, errors.TenantGone, errors.Invalid, errors.NotFound) as error:
        logger.warning(
            "connection %s: records of %s cannot be refreshed: %s", connection.pk, kind.name, error
        )
        bodies = []
    rows, _ = kind.rows(bodies)
    with transaction.atomic():
        sync_schedule.hold(lease)
        upsert.take_in(connection, kind.name, bodies)
        left = Stale.objects.filter(pk__in=upsert.lock_stale(connection, kind.name, ids))
        left.filter(xero_id__in=[row["xero_id"] for row in rows], at__lte=began).delete()
        left.filter(tries__gte=TRIES).delete()
        left.update(tries=F("tries") + 1)
        more = Stale.objects.filter(
            ~Q(xero_id__in=ids), connection=connection, at__lt=began - COMPANY
        ).exists()
        Ledger.objects.filter(pk=lease.connection_id).update(refreshed_at=None if more else Now())


def _back_off(lease: Lease, reason: str) -> None:
    """After a failure that named no time: longer with each one in a row."""
    failures = (
        Ledger.objects.filter(pk=lease.connection_id).values_list("failures", flat=True).first()
        or 0
    )
    pause = min(timedelta(seconds=5 * 2 ** min(failures, 10)), LONGEST_BACK_OFF)
    sync_schedule.put_off(lease, clock.now() + pause, reason, failed=True)
