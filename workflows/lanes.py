"""Lanes: one per connection, drained by one worker at a time. All times are the database's."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import connection as database
from django.db import transaction
from django.db.models.functions import Now

from taskjuice.queue import leases, wake
from taskjuice.queue.leases import Lease, LeaseLost
from workflows.models import Lane

TASK = "workflows.tasks.run_lane"
LEASE_SECONDS = 90  # more than one call's longest stay at the provider
RENEW_SECONDS = 20  # between two calls a lease older than this is renewed

ACQUIRE = """
UPDATE workflows_lane l
   SET lease_token = gen_random_uuid(), lease_until = clock_timestamp() + %(lease)s * interval '1 second',
       lease_holder = %(holder)s, wake_pending = false, parked_until = NULL, parked_reason = ''
  FROM connections_connection c JOIN workspaces_workspace w ON w.id = c.workspace_id
 WHERE l.connection_id = %(id)s AND c.id = l.connection_id AND c.state = 'active' AND c.paused_at IS NULL
   AND w.archived_at IS NULL
   AND (l.lease_until IS NULL OR l.lease_until < clock_timestamp())
   AND (l.parked_until IS NULL OR l.parked_until <= clock_timestamp())
RETURNING l.lease_token
"""

RENEW = """
UPDATE workflows_lane SET lease_until = clock_timestamp() + %s * interval '1 second'
 WHERE connection_id = %s AND lease_token = %s
"""

# Lanes with due work that nobody drains, that are not parked, and whose wake-up is absent or lost.
FORGOTTEN = """
SELECT l.connection_id
  FROM workflows_lane l JOIN connections_connection c ON c.id = l.connection_id
  JOIN workspaces_workspace w ON w.id = c.workspace_id
 WHERE c.state = 'active' AND c.paused_at IS NULL AND w.archived_at IS NULL
   AND (l.lease_until IS NULL OR l.lease_until < clock_timestamp())
   AND (l.parked_until IS NULL OR l.parked_until <= clock_timestamp())
   AND (NOT l.wake_pending OR l.woken_at < clock_timestamp() - interval '10 seconds')
   AND EXISTS (SELECT 1 FROM workflows_activation a LEFT JOIN workflows_workflow f ON f.id = a.workflow_id
                WHERE a.connection_id = l.connection_id AND a.state IN ('ready', 'running')
                  AND a.next_at <= statement_timestamp() AND f.held IS NOT TRUE)
"""


def acquire(connection_id: int) -> Lease | None:
    """The lane's lease; None where somebody has it, the lane is parked, or its connection or client is at rest."""
    return leases.acquire(ACQUIRE, connection_id, {"lease": LEASE_SECONDS})


def renew(lease: Lease) -> None:
    with database.cursor() as cursor:
        cursor.execute(RENEW, [LEASE_SECONDS, lease.connection_id, lease.token])
        if not cursor.rowcount:
            raise LeaseLost


def hold(lease: Lease) -> None:
    """Inside a transaction: nobody can take the lane over before it ends."""
    held = Lane.objects.select_for_update().filter(pk=lease.connection_id, lease_token=lease.token)
    if not held.exists():
        raise LeaseLost


def is_held(connection_id: int, token: UUID) -> bool:
    """Whether whoever claimed under this lease may still be at work."""
    return Lane.objects.filter(pk=connection_id, lease_token=token, lease_until__gt=Now()).exists()


def park(lease: Lease, until: datetime, reason: str) -> None:
    """Nothing of this lane runs before `until`; a later park wins over an earlier one."""
    lane = Lane.objects.filter(pk=lease.connection_id, lease_token=lease.token)
    lane.exclude(parked_until__gte=until).update(parked_until=until, parked_reason=reason[:100])


def release(lease: Lease, *, more: bool) -> None:
    """Give the lane back. `more`, or a wake-up that came meanwhile, queues it again behind the others."""
    with transaction.atomic():
        lane = (
            Lane.objects.select_for_update().filter(pk=lease.connection_id, lease_token=lease.token).first()
        )
        if lane is None:  # lost: whoever has it releases it
            return
        again = (more or lane.wake_pending) and lane.parked_until is None
        lane.lease_token, lane.lease_until, lane.lease_holder = None, None, ""
        lane.wake_pending = again
        lane.save(update_fields=["lease_token", "lease_until", "lease_holder", "wake_pending"])
        if again:
            Lane.objects.filter(pk=lane.pk).update(woken_at=Now())
            wake.enqueue(TASK, lane.pk)


def wake_lanes(connection_ids: Iterable[int]) -> None:
    """Queue these lanes, inside the transaction that made work for them; those queued already are left alone.

    The rows are locked, so that a worker which just takes its wake-up sees the work or the new wake-up.
    """
    ids = sorted(set(connection_ids))
    Lane.objects.bulk_create((Lane(connection_id=pk) for pk in ids), ignore_conflicts=True)
    locked = Lane.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    _queue([lane.pk for lane in locked if not lane.wake_pending])


def rewake_forgotten() -> None:
    """The sweep: lanes of dead holders are freed, and whatever is due is queued again."""
    leases.free_dead(Lane)
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute(f"{FORGOTTEN} ORDER BY l.connection_id FOR UPDATE OF l SKIP LOCKED")
            forgotten = [row[0] for row in cursor.fetchall()]
        _queue(forgotten)


def unpark(connection_id: int) -> None:
    """The connection works again: what waited for it goes on."""
    with transaction.atomic():
        Lane.objects.filter(pk=connection_id).update(parked_until=None, parked_reason="")
        wake_lanes([connection_id])


def _queue(connection_ids: Sequence[int]) -> None:
    if connection_ids:
        Lane.objects.filter(pk__in=connection_ids).update(wake_pending=True, woken_at=Now())
        wake.enqueue_all([wake.package(TASK, pk) for pk in connection_ids])
