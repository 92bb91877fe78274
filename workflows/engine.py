"""The engine: drains a lane by advancing its due activations together, wave by wave.

All activations whose next step uses the same action form a wave, whatever their version; the action gets the
whole wave at once and may serve it with one call. Outcomes are stored when the batch is through, and at once
after an action with effects outside.
"""

import logging
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from connections import exact
from connections.integrations import Action, Call, Data, Done, Failed, Outcome, Stopped, TryLater, Unknown
from connections.models import Connection
from workflows import lanes
from workflows.lanes import Lease, LeaseLost
from workflows.plans import StepError, StepPlan, plan
from workflows.store import ALONE_FROM, MAX_ATTEMPTS, Batch, Run, StepRecord, claim, has_failing

logger = logging.getLogger(__name__)

BATCH = 400  # activations claimed together
TURN_SECONDS = 5.0  # then the lane goes to the back of the queue, so that others get their turn
BACK_OFF = (5, 20, 60, 300)  # seconds after the first, second … attempt that may be tried again


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
        parked = advance(batch, connection)
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


def advance(batch: Batch, connection: Connection) -> bool:
    """Run the batch's activations as far as they go; whether the lane got parked on the way."""
    parked = False
    active = [run for run in batch.runs if _may_start(run)]
    while active:
        wave = _next_wave(active)
        parked = _run_wave(batch, wave, connection) or parked
        if wave[0][1].action is not None and wave[0][1].action.effects:
            batch.store()
        active = [run for run in active if run.state == "running" and not _is_through(run)]
    return parked


def _may_start(run: Run) -> bool:
    if run.version_id is None:
        _fail(run, "version-gone", "The version this activation belongs to was deleted.")
    elif run.attempt > MAX_ATTEMPTS:
        _fail(run, "gave-up", f"Gave up: {MAX_ATTEMPTS} attempts ended without an answer.")
    return run.state == "running" and not _is_through(run)


def _is_through(run: Run) -> bool:
    """Past its last step: then it has succeeded."""
    assert run.version_id is not None
    if run.position < len(plan(run.version_id)):
        return False
    run.state, run.changed = "succeeded", True
    return True


def _next_wave(active: Sequence[Run]) -> list[tuple[Run, StepPlan]]:
    """The activations that wait for the same action as the one that is furthest behind."""
    waves: dict[str, list[tuple[Run, StepPlan]]] = defaultdict(list)
    for run in sorted(active, key=lambda run: run.position):
        assert run.version_id is not None
        step = plan(run.version_id)[run.position]
        waves[step.action_key].append((run, step))
    return next(iter(waves.values()))


@dataclass(slots=True)
class Prepared:
    """One activation of a wave with its input, ready to run."""

    run: Run
    step: StepPlan
    call: Call
    shown: Data  # the input as the history shows it
    data: Data  # cleaned


def _run_wave(batch: Batch, wave: Sequence[tuple[Run, StepPlan]], connection: Connection) -> bool:
    started = timezone.now()
    prepared: list[Prepared] = []
    for run, step in wave:
        try:
            prepared.append(_prepare(run, step, connection))
        except StepError as error:
            failed = Failed(error.code, str(error))
            _conclude(batch, run, step, dict(step.input), failed, started, len(wave))
    if not prepared:
        return False
    outcomes = _outcomes(wave[0][1].known_action(), prepared)
    parked = False
    for one, outcome in zip(prepared, outcomes, strict=True):
        _conclude(batch, one.run, one.step, one.shown, outcome, started, len(wave))
        if isinstance(outcome, TryLater) and outcome.tenant_wide and outcome.at:
            lanes.park(batch.lease, outcome.at, outcome.reason)
            parked = True
    return parked


def _prepare(run: Run, step: StepPlan, connection: Connection) -> Prepared:
    shown, data = step.prepare(run.context)
    call = Call(connection, activation_id=run.id, step=step.name, attempt=run.attempt, context=run.context)
    return Prepared(run, step, call, shown, data)


def _outcomes(action: Action, prepared: Sequence[Prepared]) -> list[Outcome]:
    """The action's outcomes. Should it break, each activation runs alone, so that a poisoned one fails alone."""
    try:
        return action.run_many([one.call for one in prepared], [one.data for one in prepared])
    except Exception as error:  # a defect of ours: logged whole, told on the activation
        logger.exception("action %s broke on a wave of %d", action.key, len(prepared))
        if action.effects:  # some of it may be done
            return [Unknown("TaskJuice broke while it did this; look whether it was done.") for _ in prepared]
        if len(prepared) == 1:
            return [
                Failed("internal", f"TaskJuice broke on this ({type(error).__name__}); its log has the rest.")
            ]
    return [outcome for one in prepared for outcome in _outcomes(action, [one])]


def _conclude(
    batch: Batch, run: Run, step: StepPlan, shown: Data, outcome: Outcome, started: datetime, wave: int
) -> None:
    """Note the outcome on the activation and in its history."""
    batch.records.append(_record(run, step, shown, outcome, started, wave))
    run.changed = True
    match outcome:
        case Done(output, subject):
            run.outputs[step.name] = output
            run.subject = run.subject or subject
            run.position, run.attempt = run.position + 1, 1
        case Stopped():
            run.state = "stopped"
        case TryLater():
            _wait(run, outcome)
        case Failed(code, message):
            _fail(run, code, f"{step.name}: {message}")
        case Unknown(message):
            run.state, run.error_code, run.error = "unknown", "unknown-outcome", f"{step.name}: {message}"


def _wait(run: Run, outcome: TryLater) -> None:
    run.error_code, run.error = "waiting", outcome.reason
    if not outcome.counts:
        run.attempt -= 1
    elif run.attempt >= MAX_ATTEMPTS:
        _fail(run, "gave-up", f"Gave up after {MAX_ATTEMPTS} attempts: {outcome.reason}")
        return
    pause = BACK_OFF[min(run.attempt, len(BACK_OFF)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - spread, not secret
    run.state = "ready"
    if not outcome.tenant_wide:  # else it stays due, and the parked lane decides when
        run.next_at = outcome.at or timezone.now() + timedelta(seconds=pause)


def _fail(run: Run, code: str, message: str) -> None:
    run.state, run.error_code, run.error, run.changed = "failed", code, message, True


def _record(
    run: Run, step: StepPlan, shown: Data, outcome: Outcome, started: datetime, wave: int
) -> StepRecord:
    names = {Done: "done", Stopped: "stopped", TryLater: "later", Failed: "failed", Unknown: "unknown"}
    output = outcome.output if isinstance(outcome, Done | Stopped) else None
    code, error = "", ""
    match outcome:
        case Stopped(reason):
            error = reason
        case TryLater(reason):
            code, error = "try-later", reason
        case Failed(code, error):
            pass
        case Unknown(error):
            code = "unknown-outcome"
    return StepRecord(
        activation_id=run.id,
        position=run.position,
        name=step.name,
        action=step.action_key,
        attempt=run.attempt,
        outcome=names[type(outcome)],
        input=exact.dumps(shown),
        output=None if output is None else exact.dumps(output),
        error_code=code[:60],
        error=error[:500],
        status=getattr(outcome, "status", None),
        wave=wave,
        started_at=started,
        finished_at=timezone.now(),
    )
