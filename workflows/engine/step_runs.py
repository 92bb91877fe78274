"""Turns: one activation at one step of a wave, from its input to its outcome.

A step may have a condition (`only_if`: else it is skipped) and may run once per element of a list
(`for_each`: its output is the list of outputs). Outputs of elements are kept, so that another
attempt at the step repeats none of them.
"""

import hashlib
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self

from django.db import Error

from connections.integrations import (
    ActionContext,
    Data,
    Done,
    Failed,
    Outcome,
    Stopped,
    TryLater,
    Unknown,
)
from connections.models import Connection
from taskjuice import exact_json
from taskjuice.queue import clock
from workflows.definition import guards
from workflows.definition.evaluation_budget import evaluation_budget
from workflows.engine.error_advice import advice_for
from workflows.engine.plans import StepError, StepPlan, UnknownAction
from workflows.engine.store import ActivationRun, Batch, StepRecord
from workflows.models import MAX_ATTEMPTS

logger = logging.getLogger(__name__)

BACK_OFF = (5, 20, 60, 300)  # seconds after the first, second … attempt that may be tried again
MAX_ELEMENTS = 500  # of one for_each
RELEASE_PAUSE = timedelta(minutes=2)  # while some nodes may run another release


@dataclass(frozen=True, slots=True)
class Skipped:
    """The step was not needed, and the activation continues after it.

    `output` is the record that exists already.
    """

    reason: str
    output: Any = None


@dataclass(slots=True)
class ActionRun:
    """One run of the action: for a whole step, or for one element of its list."""

    call: ActionContext
    shown: Data  # the input as the history shows it
    data: Data  # cleaned
    element: int | None = None


@dataclass(slots=True)
class Turn:
    """One activation's turn in a wave: its runs of the action, and its outcome."""

    run: ActivationRun
    step: StepPlan
    parts: list[ActionRun] = field(default_factory=list)
    # Outputs of elements by their position in the list
    done: dict[int, Any] = field(default_factory=dict)
    elements: int | None = None  # how many the list has
    outcome: Outcome | Skipped | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)  # of the elements that have run
    shown: Any = None

    @classmethod
    def prepare(cls, run: ActivationRun, step: StepPlan, connection: Connection) -> Self:
        turn = cls(run, step, shown=dict(step.input))
        try:
            with evaluation_budget():
                turn._lay_out(connection)
        except UnknownAction as error:  # a node of another release may know it
            turn.outcome = TryLater(str(error), at=clock.now() + RELEASE_PAUSE, counts=False)
        except StepError as error:
            turn.outcome = Failed(error.code, str(error))
        except Error:  # of our own database: it says nothing about this activation
            raise
        except Exception as error:  # a defect of ours: logged whole, and it fails alone
            logger.exception("activation %s: step %s could not be prepared", run.id, step.name)
            text = f"TaskJuice broke on this ({type(error).__name__}); its log has the rest."
            turn.outcome = Failed("internal", text)
        return turn

    def _lay_out(self, connection: Connection) -> None:
        self.step.known_action()
        holds, reason = self.step.applies(self.run.context)
        if not holds:
            self.outcome = Skipped(reason)
            return
        elements = self.step.elements(self.run.context)
        if elements is None:
            self.parts = [self._part(connection, self.run.context, None)]
            return
        if len(elements) > MAX_ELEMENTS:
            raise StepError(
                "too-many",
                f"The list has {len(elements):,} elements; at most {MAX_ELEMENTS} may be run.",
            )
        self.elements = len(elements)
        self.done = {
            int(element): output
            for element, output in self.run.outputs.get(self._progress, {}).items()
        }
        for element, item in enumerate(elements):
            if element not in self.done:
                self.parts.append(
                    self._part(connection, self.run.context | {"item": item}, element)
                )
        if not self.parts:
            self._gather()

    def _part(
        self, connection: Connection, context: Mapping[str, Any], element: int | None
    ) -> ActionRun:
        shown, data = self.step.prepare(context)
        call = ActionContext(
            connection,
            activation_id=self.run.id,
            step=self.step.name,
            element=element or 0,
            attempt=self.run.attempt,
            context=context,
            guard=self.step.guard,
            likeness=_hash_input(shown) if self.step.guard else "",
        )
        return ActionRun(call, shown, data, element)

    @property
    def _progress(self) -> str:
        return f"@{self.step.name}"  # no expression can name it

    def take(self, part: ActionRun, outcome: Outcome) -> None:
        """Take the outcome of one part; the last one gives the turn its own outcome."""
        checked = self._of_double(outcome)
        if self.elements is None:
            self.shown, self.outcome = self.parts[0].shown, self._tried_again(checked)
            return
        assert part.element is not None  # of a list
        self.outcomes[part.element] = (
            Done(checked.output) if isinstance(checked, Skipped) else checked
        )
        if len(self.outcomes) == len(self.parts):
            self._gather()
            self.outcome = self._tried_again(self.outcome)

    def _of_double(self, outcome: Outcome) -> Outcome | Skipped:
        """Turn a duplicate into the outcome that the step's guard asks for; by default it fails."""
        if not isinstance(outcome, Failed) or outcome.code != "duplicate":
            return outcome
        match self.step.guard.get("duplicate"):
            case guards.SKIP:
                return Skipped(outcome.message, outcome.existing)
            case guards.STOP:
                return Stopped(outcome.message, outcome.existing)
        return outcome

    def put_back(self, why: str) -> None:
        """Put the activation back because the lane's turn is over; outputs of elements are kept.

        `why` is the provider's reason.
        """
        for element, outcome in self.outcomes.items():
            if isinstance(outcome, Done):
                self.done[element] = outcome.output
        self._keep_progress()
        self.run.put_back()
        if why:
            self.run.error_code, self.run.error = "waiting", why

    def _keep_progress(self) -> None:
        if self.elements is not None:
            self.run.outputs[self._progress] = {
                str(element): output for element, output in self.done.items()
            }

    def _gather(self) -> None:
        """Combine the outcomes of the elements into one: the worst of the unfinished ones
        decides.
        """
        self.shown = [part.shown for part in self.parts[:20]]
        unfinished: list[Outcome] = []
        subject = ""
        for element, outcome in sorted(self.outcomes.items()):
            if isinstance(outcome, Done):
                self.done[element] = outcome.output
                subject = subject or outcome.subject
                self.run.add_note(outcome.note)
            else:
                unfinished.append(_name_element(outcome, element))
        worst = [
            outcome
            for kind in (Unknown, Failed, TryLater, Stopped)
            for outcome in unfinished
            if isinstance(outcome, kind)
        ]
        self.outcome = (
            worst[0]
            if worst
            else Done([self.done[position] for position in sorted(self.done)], subject)
        )

    def _tried_again(self, outcome: Outcome | Skipped | None) -> Outcome | Skipped | None:
        """Turn a failure into a later attempt where the step's options ask for one."""
        if (
            isinstance(outcome, Failed)
            and not advice_for(outcome.code).is_final
            and self.run.attempt <= self.step.retries
        ):
            at = clock.now() + timedelta(seconds=self.step.retry_seconds)
            return TryLater(outcome.message, at=at, status=outcome.status, counts=True)
        return outcome

    def conclude(self, batch: Batch, started: datetime, wave: int) -> None:
        """Note the outcome on the activation and in its history."""
        assert self.outcome is not None
        batch.records.append(self._record(started, wave))
        run, name = self.run, self.step.name
        run.changed = True
        self._keep_progress()
        match self.outcome:
            case Done(output, subject, not_before, note):
                run.subject = run.subject or subject
                run.add_note(note)
                self._go_on(output)
                if not_before is not None:
                    run.state, run.attempt, run.next_at = "ready", 0, not_before
            case Skipped(_, output):
                self._go_on(output)
            case Stopped():
                run.state, run.error_code, run.error = "stopped", "", ""
            case TryLater() as later:
                self._wait(later)
            case Failed() if self.step.goes_on:
                self._go_on(None)
            case Failed(code, message):
                run.fail(code, f"{name}: {message}")
            case Unknown(message):
                run.state, run.error_code, run.error = (
                    "unknown",
                    "unknown-outcome",
                    f"{name}: {message}",
                )

    def _go_on(self, output: Any) -> None:
        self.run.outputs[self.step.name] = output
        self.run.outputs.pop(self._progress, None)
        self.run.position, self.run.attempt = self.run.position + 1, 1
        self.run.error_code, self.run.error = "", ""

    def _wait(self, later: TryLater) -> None:
        run = self.run
        run.error_code, run.error = "waiting", later.reason
        if not later.counts:
            run.attempt -= 1
        elif run.attempt >= max(MAX_ATTEMPTS, self.step.retries + 1):
            run.fail("gave-up", f"Gave up after {run.attempt} attempts: {later.reason}")
            return
        pause = BACK_OFF[min(run.attempt, len(BACK_OFF)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - spread only
        run.state = "ready"
        if not later.tenant_wide:  # else it stays due, and the parked lane decides when
            run.next_at = later.at or clock.now() + timedelta(seconds=pause)

    def _record(self, started: datetime, wave: int) -> StepRecord:
        outcome = self.outcome
        output = outcome.output if isinstance(outcome, Done | Stopped | Skipped) else None
        code, error = _code_and_message(outcome)
        return StepRecord(
            activation_id=self.run.id,
            position=self.run.position,
            name=self.step.name,
            action=self.step.action_key,
            attempt=self.run.attempt,
            outcome=NAMES[type(outcome)],
            input=self.shown,
            output=output,
            error_code=code[:60],
            error=error[:500],
            status=getattr(outcome, "status", None),
            wave=wave,
            started_at=started,
            finished_at=clock.now(),
        )


NAMES: dict[type, str] = {
    Done: "done",
    Skipped: "skipped",
    Stopped: "stopped",
    TryLater: "later",
    Failed: "failed",
    Unknown: "unknown",
}


def _hash_input(shown: Data) -> str:
    return hashlib.sha256(exact_json.dumps(shown).encode()).hexdigest()


def _name_element(outcome: Outcome, element: int | None) -> Outcome:
    """Return the outcome with the number of its element in the message."""
    if element is None:
        return outcome
    match outcome:
        case Failed(_, message) | Unknown(message):
            return replace(outcome, message=f"element {element + 1}: {message}")
        case _:
            return outcome


def _code_and_message(outcome: Outcome | Skipped | None) -> tuple[str, str]:
    """Return (code, message) for the history."""
    match outcome:
        case Skipped(reason) | Stopped(reason):
            return "", reason
        case TryLater(reason):
            return "try-later", reason
        case Failed(code, message):
            return code, message
        case Unknown(message):
            return "unknown-outcome", message
        case _:
            return "", ""
