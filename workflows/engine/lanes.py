"""Lanes: one per connection, drained by one worker at a time. All times are the database's.

An idle lane starts at once. The next turn begins at least a second after the one before: events
that arrive in between are read together with it, and a lane's look-ups stay within Xero's calls per
minute.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection as database
from django.db import transaction
from django.db.models.functions import Now
from django_q.conf import Conf

from taskjuice.queue import leases, wake
from taskjuice.queue.commits import QUICK
from taskjuice.queue.leases import Lease, LeaseLost
from workflows.models import Lane

TASK = "workflows.tasks.run_lane"
LEASE_SECONDS = 90  # more than one call's longest stay at the provider
RENEW_SECONDS = 20  # between two calls a lease older than this is renewed
PACE_SECONDS = 1.0  # from the beginning of a turn to that of the next one
GATHER_SECONDS = 0.5  # before the first turn of a lane at rest, where more is just coming

# Whether a workflow's activations wait at a connection: it is paused there in a way that holds
# them.
HELD_THERE = """EXISTS (SELECT FROM workflows_organisationpause p
                          WHERE p.workflow_id = {workflow} AND p.connection_id = {connection}
                            AND p.holds
                            AND (p.until IS NULL OR p.until > statement_timestamp()))"""

ACQUIRE = f"""
UPDATE workflows_lane l
   SET lease_token = %(token)s, lease_until = clock_timestamp() + %(lease)s * interval '1 second',
       lease_holder = %(holder)s, turn_at = clock_timestamp(), wake_pending = false,
       parked_until = NULL, parked_reason = ''
  FROM connections_connection c JOIN workspaces_workspace w ON w.id = c.workspace_id
 WHERE l.connection_id = %(id)s AND c.id = l.connection_id AND c.state = 'active'
   AND c.paused_at IS NULL
   AND w.archived_at IS NULL
   AND (l.lease_until IS NULL OR l.lease_until < clock_timestamp())
   AND (l.parked_until IS NULL OR l.parked_until <= clock_timestamp())
RETURNING clock_timestamp(), {QUICK}
"""  # noqa: S608 - made of the constant above

RENEW = """
UPDATE workflows_lane SET lease_until = clock_timestamp() + %s * interval '1 second'
 WHERE connection_id = %s AND lease_token = %s
"""

HOLD = "SELECT FROM workflows_lane WHERE connection_id = %s AND lease_token = %s FOR UPDATE"

# A wake-up that may not be taken yet is still there; one that may be was perhaps taken in vain
# during the turn.
RELEASE = f"""
WITH freed AS (
    UPDATE workflows_lane l
       SET lease_token = NULL, lease_until = NULL, lease_holder = '', wake_pending = n.again,
           woken_at = CASE WHEN n.again AND NOT n.is_queued THEN n.due ELSE l.woken_at END
      FROM (SELECT connection_id, (wake_pending OR %(more)s) AND parked_until IS NULL AS again,
                   wake_pending AND woken_at > clock_timestamp() AS is_queued,
                   greatest(clock_timestamp(), turn_at + %(pace)s * interval '1 second') AS due
              FROM workflows_lane WHERE connection_id = %(id)s AND lease_token = %(token)s
               FOR UPDATE) n
     WHERE l.connection_id = n.connection_id
 RETURNING n.again AND NOT n.is_queued AS queues, n.due, {QUICK})
INSERT INTO django_q_ormq (key, payload, lock)
SELECT %(key)s, %(package)s, due FROM freed WHERE queues
"""  # noqa: S608 - made of the constant above

OPEN = """
INSERT INTO workflows_lane (connection_id, lease_holder, wake_pending, parked_reason)
SELECT id, '', false, '' FROM unnest(%(ids)s::bigint[]) AS new (id) ON CONFLICT DO NOTHING
"""
# The rows are locked, so that a worker which just takes its wake-up sees the work or the new
# wake-up.
WAKE = """
WITH locked AS MATERIALIZED (
    SELECT connection_id, wake_pending,
           greatest(clock_timestamp() + %(gather)s * interval '1 second',
                                                 turn_at + %(pace)s * interval '1 second') AS due
      FROM workflows_lane WHERE connection_id = ANY(%(ids)s) ORDER BY connection_id FOR UPDATE
), woken AS (
    UPDATE workflows_lane l SET wake_pending = true, woken_at = k.due
      FROM locked k WHERE l.connection_id = k.connection_id AND NOT k.wake_pending
 RETURNING l.connection_id, k.due
)
INSERT INTO django_q_ormq (key, payload, lock)
SELECT %(key)s, p.package, w.due
  FROM woken w JOIN unnest(%(ids)s::bigint[], %(packages)s::text[]) AS p (id, package)
    ON p.id = w.connection_id
 ORDER BY w.connection_id
"""

# Lanes with due work that nobody drains, that are not parked, and whose wake-up is absent or lost.
FORGOTTEN = f"""
SELECT l.connection_id
  FROM workflows_lane l JOIN connections_connection c ON c.id = l.connection_id
  JOIN workspaces_workspace w ON w.id = c.workspace_id
 WHERE c.state = 'active' AND c.paused_at IS NULL AND w.archived_at IS NULL
   AND (l.lease_until IS NULL OR l.lease_until < clock_timestamp())
   AND (l.parked_until IS NULL OR l.parked_until <= clock_timestamp())
   AND (NOT l.wake_pending OR l.woken_at < clock_timestamp() - interval '10 seconds')
   AND EXISTS (SELECT 1 FROM workflows_activation a
                 LEFT JOIN workflows_workflow f ON f.id = a.workflow_id
                WHERE a.connection_id = l.connection_id AND a.state IN ('ready', 'running')
                  AND a.next_at <= statement_timestamp() AND f.held IS NOT TRUE
                  AND NOT {HELD_THERE.format(workflow="a.workflow_id", connection="a.connection_id")})
"""  # noqa: S608 - made of the constant above


def acquire(connection_id: int) -> Lease | None:
    """Take the lane's lease.

    Return None where another worker has it, the lane is parked, or its connection or client is
    inactive.
    """
    return leases.acquire(Lane, ACQUIRE, connection_id, {"lease": LEASE_SECONDS})


def renew(lease: Lease) -> None:
    with database.cursor() as cursor:
        cursor.execute(RENEW, [LEASE_SECONDS, lease.connection_id, lease.token])
        if not cursor.rowcount:
            raise LeaseLost


def hold(lease: Lease) -> None:
    """Lock the lane inside a transaction, so that nobody can take it over before the end."""
    with database.cursor() as cursor:
        cursor.execute(HOLD, [lease.connection_id, lease.token])
        if not cursor.rowcount:
            raise LeaseLost


def is_held(connection_id: int, token: UUID) -> bool:
    """Check whether the worker that claimed under this lease may still be running."""
    return Lane.objects.filter(pk=connection_id, lease_token=token, lease_until__gt=Now()).exists()


def park(lease: Lease, until: datetime, reason: str) -> None:
    """Run nothing of this lane before `until`; a later time replaces an earlier one."""
    lane = Lane.objects.filter(pk=lease.connection_id, lease_token=lease.token)
    lane.exclude(parked_until__gte=until).update(parked_until=until, parked_reason=reason[:100])


def release(lease: Lease, *, more: bool) -> None:
    """Give the lane back; `more`, or a wake-up during the turn, queues it behind the others.

    A lost lease is left to the worker that has it now.
    """
    values = {
        "id": lease.connection_id,
        "token": lease.token,
        "more": more,
        "pace": PACE_SECONDS,
        "key": Conf.CLUSTER_NAME,
        "package": wake.sign_message(TASK, lease.connection_id),
    }
    with database.cursor() as cursor:
        cursor.execute(RELEASE, values)
    leases.note_release(lease)


def wake_lanes(connection_ids: Iterable[int], *, gather: bool = False) -> None:
    """Queue these lanes, inside the transaction that created their work.

    Lanes that are queued already stay as they are. `gather`: more work is about to follow, so that
    even an idle lane waits a moment for it.
    """
    ids = sorted(set(connection_ids))
    if not ids:
        return
    values = {
        "ids": ids,
        "packages": [wake.sign_message(TASK, pk) for pk in ids],
        "key": Conf.CLUSTER_NAME,
        "pace": PACE_SECONDS,
        "gather": GATHER_SECONDS if gather else 0.0,
    }
    with transaction.atomic(), database.cursor() as cursor:
        cursor.execute(OPEN, values)
        cursor.execute(WAKE, values)


def rewake_forgotten() -> None:
    """Free the lanes of dead holders and queue all due work again, in the worker's sweep."""
    freed = leases.free_abandoned(Lane)
    with transaction.atomic():
        # What was queued meanwhile found the lane held, and was lost.
        Lane.objects.filter(pk__in=freed).update(wake_pending=False)
        with database.cursor() as cursor:
            cursor.execute(f"{FORGOTTEN} ORDER BY l.connection_id FOR UPDATE OF l SKIP LOCKED")
            forgotten = [row[0] for row in cursor.fetchall()]
        Lane.objects.filter(pk__in=forgotten).update(wake_pending=False)  # what was queued is lost
        wake_lanes(forgotten)


def unpark(connection_id: int) -> None:
    """Run the lane again, because its connection works again."""
    with transaction.atomic():
        Lane.objects.filter(pk=connection_id).update(parked_until=None, parked_reason="")
        wake_lanes([connection_id])
