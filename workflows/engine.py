"""The engine: drains a lane by advancing its due activations together, wave by wave.

All activations whose next step uses the same action form a wave, whatever their version; the action gets the
whole wave at once and may serve it with one call. Outcomes are stored when the batch is through, and at once
after an action with effects outside.
"""

import logging
import time

from connections.models import Connection
from taskjuice.queue.leases import Lease, LeaseLost
from workflows import lanes
from workflows.plans import plan
from workflows.store import ALONE_FROM, MAX_ATTEMPTS, Batch, Run, claim, has_failing
from workflows.waves import Wave

logger = logging.getLogger(__name__)

BATCH = 400  # activations claimed together
TURN_SECONDS = 5.0  # then the lane goes to the back of the queue, so that others get their turn


def run_lane(connection_id: int) -> None:
    """One turn of a lane. Harmless when the lane is held, parked or empty."""
    lease = lanes.acquire(connection_id)
    if lease is None:
        return
    more = False
    try:
        connection = Connection.objects.select_related("grant").get(pk=connection_id)
        more = _take_turn(lease, connection)
    except LeaseLost:
        logger.warning("the lane of connection %s was taken over", connection_id)
    finally:
        lanes.release(lease, more=more)


def _take_turn(lease: Lease, connection: Connection) -> bool:
    """Whether due work is known to be left."""
    ends = time.monotonic() + TURN_SECONDS
    while runs := claim(lease, BATCH):
        batch = Batch(lease, runs)
        parked = advance(batch, connection, ends)
        batch.store()
        if parked:
            return False
        if time.monotonic() > ends:
            return True
        if len(runs) < BATCH and runs[0].attempt < ALONE_FROM:
            # Whatever came meanwhile has woken the lane again; the way through the queue lets more gather.
            return has_failing(lease)
        lanes.renew(lease)
    return False


def advance(batch: Batch, connection: Connection, ends: float) -> bool:
    """Run the batch's activations as far as they go until then; whether the lane got parked on the way."""
    parked = False
    active = [run for run in batch.runs if _may_start(run)]
    while active:
        wave = Wave.next_of(active)
        parked = wave.run(batch, connection) or parked
        if wave.has_effects:
            batch.store()
        active = [run for run in active if run.state == "running" and not _is_through(run)]
        if time.monotonic() > ends:  # a slow receiver: others get their turn, and the lease stays ours
            for run in active:
                run.give_back()
            break
    return parked


def _may_start(run: Run) -> bool:
    if run.version_id is None:
        run.fail("version-gone", "The version this activation belongs to was deleted.")
    elif run.attempt > MAX_ATTEMPTS:
        run.fail("gave-up", f"Gave up: {MAX_ATTEMPTS} attempts ended without an answer.")
    return run.state == "running" and not _is_through(run)


def _is_through(run: Run) -> bool:
    """Past its last step: then it has succeeded."""
    assert run.version_id is not None
    if run.position < len(plan(run.version_id)):
        return False
    run.state, run.changed = "succeeded", True
    return True
