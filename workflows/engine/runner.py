"""The engine: drains a lane by advancing its due activations together, wave by wave.

All activations whose next step uses the same action form a wave, in any version; the action gets as
many of them at once as it serves together, with one call where it can. Outcomes are stored when the
batch is through, and at once after an action with effects outside. A turn is short: unfinished
activations are put back for the next one.
"""

import logging
import time
from collections.abc import Sequence

from connections import organisation_time
from connections.models import Connection
from taskjuice.database.outages import OUTAGE, is_transient, retry_during_outage
from taskjuice.queue.leases import Lease, LeaseLost
from workflows.engine import lanes, safety_pause
from workflows.engine.plans import load_plan
from workflows.engine.store import (
    ALONE_FROM,
    ActivationRun,
    Batch,
    claim_due,
    has_due,
    put_back_claimed,
)
from workflows.engine.waves import Wave
from workflows.models import MAX_ATTEMPTS

logger = logging.getLogger(__name__)

BATCH = 400  # activations claimed together
TURN_SECONDS = 2.0  # then the lane goes to the back of the queue, so that others get their turn


def run_lane(connection_id: int) -> None:
    """Run one turn of a lane. Do nothing when the lane is held, parked or empty.

    An outage of the database is no outcome of any step: claimed activations are put back, and the
    lane is free at once.
    """
    lease = lanes.acquire(connection_id)
    if lease is None:
        return
    more = False
    try:
        connection = Connection.objects.select_related("grant", "workspace").get(pk=connection_id)
        with organisation_time.use_time_zone(connection):
            more = _take_turn(lease, connection)
    except LeaseLost:
        logger.warning("the lane of connection %s was taken over", connection_id)
    except OUTAGE as error:
        more, costs_nothing = True, is_transient(error)
        retry_during_outage(lambda: put_back_claimed(lease, costs_nothing=costs_nothing))
        raise
    finally:
        # Without this release the lane would be idle until its lease has expired.
        retry_during_outage(lambda: lanes.release(lease, more=more))


def _take_turn(lease: Lease, connection: Connection) -> bool:
    """Run the turn; return True where due work is known to be left."""
    ends = time.monotonic() + TURN_SECONDS
    while runs := claim_due(lease, BATCH):
        batch = Batch(lease, runs, ends)
        stands = advance_batch(batch, connection)
        batch.store()
        safety_pause.count_failures(connection, runs)
        if stands:
            return False
        if time.monotonic() > ends:
            return True
        if len(runs) < BATCH and runs[0].attempt < ALONE_FROM:
            return has_due(lease)
        lanes.renew(lease)
    return False


def advance_batch(batch: Batch, connection: Connection) -> bool:
    """Run the batch's activations as far as they go; return True where the lane stops.

    It stops when it is parked or its connection is inactive.
    """
    stands = False
    active = [run for run in batch.runs if _may_start(run)]
    while active:
        wave = Wave.next_of(active)
        stands = wave.run(batch, connection) or stands
        active = _still_active(active)
        if active:
            stands = batch.let_go(active) or stands
            active = _still_active(active)
        if batch.is_over():
            for run in active:
                run.put_back()
            active = []
    return stands


def _still_active(runs: Sequence[ActivationRun]) -> list[ActivationRun]:
    return [run for run in runs if run.state == "running" and not _is_through(run)]


def _may_start(run: ActivationRun) -> bool:
    if run.version_id is None:
        run.fail("version-gone", "The version this activation belongs to was deleted.")
    elif run.attempt > MAX_ATTEMPTS:
        run.fail("gave-up", f"Gave up: {MAX_ATTEMPTS} attempts ended without an answer.")
    return run.state == "running" and not _is_through(run)


def _is_through(run: ActivationRun) -> bool:
    """Check whether the activation is past its last step, and mark it as succeeded then."""
    assert run.version_id is not None
    if run.position < len(load_plan(run.version_id)):
        return False
    run.state, run.changed = "succeeded", True
    return True
