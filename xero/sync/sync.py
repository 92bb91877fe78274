"""The reading of ledgers: rounds of one pass per kind of record, in slices short enough for a
queue's task.

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
from xero.sync.mapping import (
    ACCOUNTS,
    CONTACTS,
    INVOICES,
    ITEMS,
    KINDS,
    PAYMENTS,
    TRACKING,
    RecordKind,
)

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
GATHERING_TIME = timedelta(seconds=2)  # records that events named wait this long for others
BETWEEN_REFRESHES = timedelta(seconds=10)
TRIES = 3
LONGEST_BACK_OFF = timedelta(minutes=15)


def run_ledger(connection_id: int) -> None:
    """Read for a few seconds. The queue's task; safe in many copies and after any crash."""
    lease = sync_schedule.acquire_lease(connection_id)
    if lease is None:
        return
    more = False
    try:
        more = _run_slice(lease)
    except LeaseLost:
        logger.warning("connection %s: another process reads its ledger now", connection_id)
    except OUTAGE:  # the ledger is as it was, and due
        more = True
        raise
    except Exception as error:
        _back_off(lease, f"{type(error).__name__}: see the log.")
        raise
    finally:
        retry_during_outage(lambda: sync_schedule.release_lease(lease, more=more))


def _run_slice(lease: Lease) -> bool:
    """Run steps until nothing is due or the slice is over; return whether there is more."""
    connection = Connection.objects.select_related("workspace").get(pk=lease.connection_id)
    until = time.monotonic() + SLICE_SECONDS
    while time.monotonic() < until:
        try:
            if not _run_step(lease, connection):
                return False
        except errors.RetryLater as error:
            if error.at is None:
                _back_off(lease, str(error))
            else:
                sync_schedule.postpone_ledger(lease, error.at, str(error), failed=False)
            return False
    return True


def _run_step(lease: Lease, connection: Connection) -> bool:
    """Run one step with at most one call to Xero; return False when nothing is left to do now."""
    ledger = Ledger.objects.get(pk=lease.connection_id)
    kind = _choose_stale_kind(ledger)
    if kind is not None:
        return _refresh_stale(lease, connection, kind)
    part = _find_running_part(ledger)
    if part is not None:
        return _read_next_answer(lease, connection, part)
    if ledger.started_at is not None:
        _finish_round(lease, connection)
        return True
    return _begin_round(lease)


# -- rounds --


def _begin_round(lease: Lease) -> bool:
    """Set every due kind's pass to its start, if a round is due."""
    with transaction.atomic():
        ledger = sync_schedule.hold_lease(lease)
        now = clock.now()
        if ledger.due_at > now:
            return False
        full = ledger.full_due_at is not None and ledger.full_due_at <= now
        parts = {part.kind: part for part in ledger.parts.all()}
        for kind in ORDER:
            part = parts.get(kind) or Part(ledger=ledger, kind=kind)
            if full or ledger.asked_at or _is_due(part, now):
                _start_pass(part, full=full)
                part.save()
        Ledger.objects.filter(pk=ledger.pk).update(started_at=now)
    return True


def _is_due(part: Part, now: datetime) -> bool:
    every = SELDOM.get(part.kind)
    return every is None or part.finished_at is None or part.finished_at < now - every


def _start_pass(part: Part, *, full: bool) -> None:
    """Start a pass; a running one continues unless everything is to be read."""
    if part.running and (part.full or not full):
        return
    part.running = True
    part.full = full or part.cursor is None
    part.since = None if part.full or part.cursor is None else part.cursor - OVERLAP
    part.step_since, part.step_page = part.since, 1
    part.newest, part.total, part.done, part.skipped, part.problem = None, None, 0, 0, ""


def _finish_round(lease: Lease, connection: Connection) -> None:
    with transaction.atomic():
        ledger = sync_schedule.hold_lease(lease)
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
            full_due_at=_choose_next_full(connection, now) if full_done else ledger.full_due_at,
            not_before=None,
            failures=0,
            reason="",
        )
        Connection.objects.filter(pk=connection.pk).update(last_sync_at=Now())
    recovery.recover_after_round(connection, begun=ledger.started_at)


def _choose_next_full(connection: Connection, now: datetime) -> datetime:
    """Return a time in a week, spread over a day by the connection's number."""
    # Spread, so that not all ledgers are read in full at the same time.
    return now + sync_schedule.FULL_EVERY + timedelta(minutes=connection.pk * 617 % 1440)


# -- passes --


def _find_running_part(ledger: Ledger) -> Part | None:
    running = {part.kind: part for part in ledger.parts.filter(running=True)}
    return next((running[kind] for kind in ORDER if kind in running), None)


def _read_next_answer(lease: Lease, connection: Connection, part: Part) -> bool:
    """Read the next answer of this pass, or end it with the reason where Xero refuses this kind."""
    try:
        if part.kind == ORGANISATION:
            _read_organisation(lease, connection, part)
        elif KINDS[part.kind].paged:
            _read_page(lease, connection, part)
        else:
            _read_whole(lease, connection, part)
    except (errors.NeedsConsent, errors.TenantGone, errors.Invalid, errors.NotFound) as error:
        if not Connection.objects.filter(pk=connection.pk, state=ConnectionState.ACTIVE).exists():
            return False  # it continues when the connection works again
        logger.warning("connection %s: %s cannot be read: %s", connection.pk, part.kind, error)
        part.problem = str(error)[:300]
        _finish_pass(lease, part)
    return True


def _read_organisation(lease: Lease, connection: Connection, part: Part) -> None:
    """Read the organisation's name, zone, currency and lock dates into the connection and its
    client.
    """
    answer = client_for(connection, purpose=rate_limits.SYNC).get("/Organisation")
    body = next(iter(read_objects(answer, "Organisations")), None)
    if body is None:
        raise errors.Invalid(["Xero’s answer names no organisation."])
    with transaction.atomic():
        sync_schedule.hold_lease(lease)
        Ledger.objects.filter(pk=lease.connection_id).update(
            **organisations.read_ledger_fields(body)
        )
        organisations.update_connection(connection, body)
        _finish_pass(lease, part)


def _read_whole(lease: Lease, connection: Connection, part: Part) -> None:
    kind = KINDS[part.kind]
    params: dict[str, str | int] = {"unitdp": 4} if part.kind == ITEMS else {}
    bodies = _read_bodies(
        client_for(connection, purpose=rate_limits.SYNC).get(kind.path, params=params), kind
    )
    rows, _ = kind.map_bodies(bodies)
    with transaction.atomic():
        sync_schedule.hold_lease(lease)
        taken = upsert.store_records(connection, part.kind, bodies)
        upsert.mark_deleted(connection, part.kind, [row["xero_id"] for row in rows])
        part.done = part.total = len(bodies)
        part.skipped = taken.skipped
        _finish_pass(lease, part)


def _read_page(lease: Lease, connection: Connection, part: Part) -> None:
    kind = KINDS[part.kind]
    began = clock.now()
    answer = client_for(connection, purpose=rate_limits.SYNC).get(
        kind.path, params=_page_params(kind, part.step_page), modified_since=part.step_since
    )
    bodies = _read_bodies(answer, kind)
    rows, _ = kind.map_bodies(bodies)
    changes = [row["updated_utc"] for row in rows]
    with transaction.atomic():
        sync_schedule.hold_lease(lease)
        part.skipped += upsert.store_records(connection, part.kind, bodies).skipped
        upsert.clear_stale(connection, part.kind, [row["xero_id"] for row in rows], before=began)
        if changes:
            part.newest = max(changes) if part.newest is None else max(part.newest, *changes)
        last = _note_progress(part, answer, len(bodies))
        if last:
            part.cursor = part.newest or part.cursor or began
            _finish_pass(lease, part)
        else:
            _go_to_next_page(part, changes)
            part.save()


def _page_params(kind: RecordKind, page: int) -> dict[str, str | int]:
    params: dict[str, str | int] = {"page": page, "pageSize": PAGE_SIZE}
    if kind.name == INVOICES:
        params["unitdp"] = 4
    if kind.archived:
        params["includeArchived"] = "true"
    return params


def _note_progress(part: Part, answer: Mapping[str, Any], count: int) -> bool:
    """Store the progress in the part; return whether this was the last page."""
    pagination = read_object(answer, "pagination")
    size, items = (
        read_count(pagination, "pageSize") or PAGE_SIZE,
        read_count(pagination, "itemCount"),
    )
    if items is None:
        part.done += count
        return count < size
    behind = max(0, items - (part.step_page - 1) * size - count)
    if part.total is None:
        part.total = items
    part.done = max(part.done, part.total - behind)
    return behind == 0 or count == 0


def _go_to_next_page(part: Part, changes: list[datetime]) -> None:
    """Move to the next page: from the last change seen on, or by page number."""
    # Pages by number shift when a record changes between two calls. Numbers are used only while
    # one second holds more changes than a page, or where the answer is not in order.
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


def _read_bodies(answer: Mapping[str, Any], kind: RecordKind) -> list[Mapping[str, Any]]:
    return read_objects(answer, kind.collection)


# -- records that events named --


def _choose_stale_kind(ledger: Ledger) -> str | None:
    """Return the kind of stale records to read now; None while there are none or it is too
    early.
    """
    if ledger.first_finished_at is None:
        return None
    if ledger.refreshed_at is not None and ledger.refreshed_at > clock.now() - BETWEEN_REFRESHES:
        return None
    # The running pass reads these kinds anyway.
    kinds_being_read = ledger.parts.filter(running=True, full=False).values("kind")
    waiting = Stale.objects.filter(connection_id=ledger.pk, at__lt=Now() - GATHERING_TIME).exclude(
        kind__in=kinds_being_read
    )
    return waiting.order_by("at").values_list("kind", flat=True).first()


def _refresh_stale(lease: Lease, connection: Connection, kind_name: str) -> bool:
    """Read stale records by their ids, or start a pass where there are more than fit one call."""
    part = Part.objects.filter(ledger=lease.connection_id, kind=kind_name).first()
    waiting = Stale.objects.filter(connection=connection, kind=kind_name)
    untried = waiting.filter(tries=0)
    is_idle = part is not None and part.cursor is not None and not part.running
    # Of many marks, a pass over the latest changes reads nearly all; those it misses come by id.
    if is_idle and untried.count() > IDS_A_CALL:
        assert part is not None  # is_idle
        with transaction.atomic():
            untried.filter(pk__in=upsert.lock_stale(connection, kind_name)).update(tries=1)
        _start_pass(part, full=False)
        part.save()
        return True
    ids = list(waiting.order_by("at").values_list("xero_id", flat=True)[:IDS_A_CALL])
    _read_ids(lease, connection, KINDS[kind_name], ids)
    return True


def _read_ids(lease: Lease, connection: Connection, kind: RecordKind, ids: list[UUID]) -> None:
    began = clock.now()
    params = _page_params(kind, 1) | {"IDs": ",".join(map(str, ids)), "pageSize": 100}
    try:
        bodies = _read_bodies(
            client_for(connection, purpose=rate_limits.SYNC).get(kind.path, params=params), kind
        )
    except (errors.NeedsConsent, errors.TenantGone, errors.Invalid, errors.NotFound) as error:
        logger.warning(
            "connection %s: records of %s cannot be refreshed: %s", connection.pk, kind.name, error
        )
        bodies = []
    rows, _ = kind.map_bodies(bodies)
    with transaction.atomic():
        sync_schedule.hold_lease(lease)
        upsert.store_records(connection, kind.name, bodies)
        left = Stale.objects.filter(pk__in=upsert.lock_stale(connection, kind.name, ids))
        left.filter(xero_id__in=[row["xero_id"] for row in rows], at__lte=began).delete()
        left.filter(tries__gte=TRIES).delete()
        left.update(tries=F("tries") + 1)
        more = Stale.objects.filter(
            ~Q(xero_id__in=ids), connection=connection, at__lt=began - GATHERING_TIME
        ).exists()
        Ledger.objects.filter(pk=lease.connection_id).update(refreshed_at=None if more else Now())


def _back_off(lease: Lease, reason: str) -> None:
    """Postpone the ledger after a failure without a time, for longer with each one in a row."""
    failures = (
        Ledger.objects.filter(pk=lease.connection_id).values_list("failures", flat=True).first()
        or 0
    )
    pause = min(timedelta(seconds=5 * 2 ** min(failures, 10)), LONGEST_BACK_OFF)
    sync_schedule.postpone_ledger(lease, clock.now() + pause, reason, failed=True)
