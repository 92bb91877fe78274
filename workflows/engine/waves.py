"""Waves: all activations of a batch that wait for the same action, run together."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from connections.integrations import Action, Failed, Outcome, TryLater, Unknown
from connections.models import Connection
from connections.writes import admission
from taskjuice.database.outages import OUTAGE
from taskjuice.queue import clock
from workflows.engine import lanes
from workflows.engine.plans import StepPlan, load_plan
from workflows.engine.step_runs import BACK_OFF, ActionRun, Skipped, Turn
from workflows.engine.store import ActivationRun, Batch

logger = logging.getLogger(__name__)

PREPARE_SECONDS = 2.0  # of a wave; what is not prepared by then waits for the lane's next turn


@dataclass(slots=True)
class Wave:
    """The activations that wait for one action, in any version."""

    members: list[tuple[ActivationRun, StepPlan]]

    @classmethod
    def next_of(cls, active: Sequence[ActivationRun]) -> Self:
        """Return the wave of the activation that is furthest behind."""
        waves: dict[str, list[tuple[ActivationRun, StepPlan]]] = defaultdict(list)
        for run in sorted(active, key=lambda run: run.position):
            assert run.version_id is not None
            step = load_plan(run.version_id)[run.position]
            waves[step.action_key].append((run, step))
        return cls(next(iter(waves.values())))

    def run(self, batch: Batch, connection: Connection) -> bool:
        """Run the wave as far as the turn lasts and note the outcomes; return True if the lane
        parked.
        """
        started = clock.now()
        turns = self._prepared(batch, connection)
        for turn in turns:
            if turn.outcome is not None:
                turn.conclude(batch, started, len(turns))
        if waiting := [turn for turn in turns if turn.outcome is None]:
            self._act(self.members[0][1].known_action(), waiting, batch, started)
        return self._park(batch, turns)

    def _prepared(self, batch: Batch, connection: Connection) -> list[Turn]:
        """Prepare as many turns as there is time for, at least one.

        Evaluating the input of one step may take its whole budget.
        """
        turns: list[Turn] = []
        ends = time.monotonic() + PREPARE_SECONDS
        for run, step in self.members:
            if turns and time.monotonic() > ends:
                run.put_back()
                continue
            batch.keep_lease()
            turns.append(Turn.prepare(run, step, connection))
        return turns

    def _act(self, action: Action, turns: Sequence[Turn], batch: Batch, started: datetime) -> None:
        """Run the action on as many parts at once as it serves; put back those without time."""
        groups = _group_by_read(action, [(turn, part) for turn in turns for part in turn.parts])
        why = ""
        for first in range(0, len(groups), action.together):
            if first and batch.is_over():
                break
            batch.keep_lease()
            chunk = [pair for group in groups[first : first + action.together] for pair in group]
            for (turn, part), outcome in zip(
                chunk, _run_admitted(action, [part for _, part in chunk]), strict=True
            ):
                turn.take(part, outcome)
                if turn.outcome is not None:
                    turn.conclude(batch, started, len(turns))
            if action.effects:
                batch.store(effects=True)
            if why := _tenant_wide_reason(turn.outcome for turn, _ in chunk):
                break
        for turn in turns:
            if turn.outcome is None:
                turn.put_back(why)

    def _park(self, batch: Batch, turns: Sequence[Turn]) -> bool:
        waits = [turn.outcome for turn in turns if isinstance(turn.outcome, TryLater)]
        waits = [wait for wait in waits if wait.tenant_wide]
        for wait in waits:
            lanes.park(
                batch.lease, wait.at or clock.now() + timedelta(seconds=BACK_OFF[0]), wait.reason
            )
        return bool(waits)


def _group_by_read(
    action: Action, pairs: Sequence[tuple[Turn, ActionRun]]
) -> list[list[tuple[Turn, ActionRun]]]:
    """Group the parts that share a read, each group at the place of its first part."""
    groups: dict[str | int, list[tuple[Turn, ActionRun]]] = {}
    for position, (turn, part) in enumerate(pairs):
        key = action.read_key(part.data)
        groups.setdefault(position if key is None else key, []).append((turn, part))
    return list(groups.values())


def _run_admitted(action: Action, parts: Sequence[ActionRun]) -> list[Outcome]:
    """Run the action on the parts that their guards admit, and return all outcomes.

    Writes with a journal are admitted there, because the journal knows their amounts.
    """
    answers: list[Outcome | None] = [None] * len(parts)
    if action.effects and not action.writes:
        answers = admission.judge_requests(
            [admission.WriteRequest(part.call, action.title) for part in parts]
        )
    let_in = [part for part, answer in zip(parts, answers, strict=True) if answer is None]
    done = iter(_run_action(action, let_in) if let_in else ())
    outcomes = [next(done) if answer is None else answer for answer in answers]
    # A write that failed must not use up its step's limits.
    unused = [
        part.call
        for part, outcome in zip(parts, outcomes, strict=True)
        if part.call.guard and isinstance(outcome, Failed)
    ]
    if unused:
        admission.give_back(unused)
    return outcomes


def _run_action(action: Action, parts: Sequence[ActionRun]) -> list[Outcome]:
    """Return the action's outcomes. If it breaks, each part runs alone, so that only one fails."""
    try:
        return action.run_many([part.call for part in parts], [part.data for part in parts])
    except OUTAGE:  # of our own database: what is stored says on the next turn what was done
        raise
    except Exception as error:  # a defect of ours: logged whole, told on the activation
        logger.exception("action %s broke on a wave of %d", action.key, len(parts))
        if action.effects:  # some of it may be done
            return [
                Unknown("TaskJuice broke while it did this; look whether it was done.")
                for _ in parts
            ]
        if len(parts) == 1:
            text = f"TaskJuice broke on this ({type(error).__name__}); its log has the rest."
            return [Failed("internal", text)]
    return [outcome for part in parts for outcome in _run_action(action, [part])]


def _tenant_wide_reason(outcomes: Iterable[Outcome | Skipped | None]) -> str:
    """Return the provider's reason to accept no calls of this tenant now; "" where it accepts."""
    waits = (outcome for outcome in outcomes if isinstance(outcome, TryLater))
    return next((wait.reason for wait in waits if wait.tenant_wide), "")
