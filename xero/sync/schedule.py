"""The schedule of reading ledgers and the leases of those who read. All times are the
database's.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection as database
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest, Least, Now

from connections.models import Connection, ConnectionState
from taskjuice.queue import leases, wake
from taskjuice.queue.leases import Lease, LeaseLost
from xero.models import Ledger

TASK = "xero.tasks.run_ledger"
LEASE_SECONDS = 60  # more than one call with its storing
EVERY = timedelta(minutes=15)
FULL_EVERY = timedelta(days=7)

ACQUIRE = """
UPDATE xero_ledger l
   SET lease_token = %(token)s, lease_until = clock_timestamp() + %(lease)s * interval '1 second',
       lease_holder = %(holder)s, woken_at = NULL
  FROM connections_connection c
 WHERE l.connection_id = %(id)s AND c.id = l.connection_id AND c.state = 'active'
   AND (l.lease_until IS NULL OR l.lease_until < clock_timestamp())
   AND (l.not_before IS NULL OR l.not_before <= clock_timestamp())
RETURNING clock_timestamp()
"""

# Ledgers with something to read that nobody reads for, that may be read now and whose wake-up is
# absent or lost. Records that events named wait two seconds for company, and ten since the last of
# them were read.
WAITING = """
SELECT l.connection_id
  FROM xero_ledger l JOIN connections_connection c ON c.id = l.connection_id
 WHERE c.state = 'active'
   AND (l.lease_until IS NULL OR l.lease_until < clock_timestamp())
   AND (l.not_before IS NULL OR l.not_before <= clock_timestamp())
   AND (l.woken_at IS NULL OR l.woken_at < clock_timestamp() - interval '30 seconds')
   AND (l.due_at <= clock_timestamp()
        OR l.first_finished_at IS NOT NULL
           AND l.connection_id IN (SELECT connection_id FROM xero_stale
                                    WHERE at < clock_timestamp() - interval '2 seconds')
           AND (l.refreshed_at IS NULL OR l.refreshed_at < clock_timestamp() - interval '10 seconds'))
 ORDER BY l.connection_id LIMIT 500
   FOR UPDATE OF l SKIP LOCKED
"""


def acquire_lease(connection_id: int) -> Lease | None:
    """Return a lease, or None where another has it, it may not be read yet, or its connection is
    broken.
    """
    return leases.acquire(Ledger, ACQUIRE, connection_id, {"lease": LEASE_SECONDS})


def hold_lease(lease: Lease) -> Ledger:
    """Lock the ledger and renew its lease, inside a transaction. Raises LeaseLost."""
    ledger = (
        Ledger.objects.select_for_update()
        .filter(pk=lease.connection_id, lease_token=lease.token)
        .first()
    )
    if ledger is None:
        raise LeaseLost
    Ledger.objects.filter(pk=ledger.pk).update(lease_until=Now() + timedelta(seconds=LEASE_SECONDS))
    return ledger


def release_lease(lease: Lease, *, more: bool) -> None:
    """Release the ledger; `more` queues it again behind the others."""
    with transaction.atomic():
        mine = Ledger.objects.filter(pk=lease.connection_id, lease_token=lease.token)
        if mine.update(lease_token=None, lease_until=None, lease_holder="") and more:
            _enqueue([lease.connection_id])
    leases.note_release(lease)


def postpone_ledger(lease: Lease, at: datetime, reason: str, *, failed: bool) -> None:
    """Allow no reading of this ledger before `at`."""
    count = F("failures") + 1 if failed else F("failures")
    Ledger.objects.filter(pk=lease.connection_id, lease_token=lease.token).update(
        not_before=at, reason=reason[:300], failures=count
    )


def start_reading(connection: Connection) -> None:
    """Start to read the ledger of a connection that works, for the first time or again. Safe to
    repeat.
    """
    Ledger.objects.bulk_create(
        [Ledger(connection=connection, workspace_id=connection.workspace_id)], ignore_conflicts=True
    )
    _make_due(connection.pk)


def request_refresh(connection: Connection) -> None:
    """Request a fresh reading for a person, as soon as Xero's limits allow."""
    start_reading(connection)
    Ledger.objects.filter(pk=connection.pk).update(asked_at=Now())


def catch_up(
    since: datetime, *, provider: str = "xero", connection_ids: Sequence[int] | None = None
) -> int:
    """Have all ledgers, or these, look for changes since then whose deliveries may be missing."""
    ledgers = Ledger.objects.filter(
        connection__provider=provider,
        connection__state=ConnectionState.ACTIVE,
        first_finished_at__isnull=False,
    )
    if connection_ids is not None:
        ledgers = ledgers.filter(pk__in=connection_ids)
    return ledgers.update(
        recover_since=Least(F("recover_since"), since),
        recover_until=Greatest(F("recover_until"), Now()),
        due_at=Now(),
    )


def rewake_waiting() -> None:
    """Free the ledgers of dead holders and queue those that are due. Run by a sweep."""
    leases.free_abandoned(Ledger)
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute(WAITING)
            waiting = [row[0] for row in cursor.fetchall()]
        _enqueue(waiting)


def _make_due(connection_id: int) -> None:
    """Make the ledger due now and queue it. A back-off ends; a limit that Xero named stays."""
    with transaction.atomic():
        Ledger.objects.filter(pk=connection_id, failures__gt=0).update(not_before=None, failures=0)
        Ledger.objects.filter(pk=connection_id).update(due_at=Now())
        _enqueue([connection_id])


def _enqueue(connection_ids: list[int]) -> None:
    if connection_ids:
        Ledger.objects.filter(pk__in=connection_ids).update(woken_at=Now())
        wake.enqueue_messages([wake.sign_message(TASK, pk) for pk in connection_ids])
