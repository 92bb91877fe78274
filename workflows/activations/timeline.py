"""One activation step by step: inputs, outputs and attempts."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from connections.integrations import registry
from taskjuice import exact_json
from workflows.activations.queries import find_parked_lanes, measure_duration
from workflows.activations.replay import count_common_steps, find_undecided_call, why_not_replay
from workflows.approvals import queries as approval_queries
from workflows.engine import organisation_pauses
from workflows.engine.error_advice import Advice, advice_for
from workflows.models import (
    Activation,
    ActivationState,
    Approval,
    Lane,
    OrganisationPause,
    StepRun,
    Version,
)

MAX_JSON = 60_000  # characters of one output that the page shows
MAX_FIELDS = 200
WAITING, RUNNING, REACHED = "waiting", "running", "done"


@dataclass(frozen=True)
class StepView:
    """One step of the version.

    `state` is a word of components/state.html, or `ahead` for a step that was not reached.
    """

    position: int
    name: str
    action: str
    state: str
    runs: list[StepRun]  # every attempt, oldest first
    is_open: bool
    can_begin: bool  # a replay may begin here

    @property
    def title(self) -> str:
        action = registry.actions.get(self.action)
        return action.title if action else self.action

    @property
    def last(self) -> StepRun | None:
        return self.runs[-1] if self.runs else None

    @property
    def others(self) -> int:
        """Return how many other activations shared the step's last run."""
        return self.last.wave - 1 if self.last else 0

    @cached_property
    def input_fields(self) -> list[tuple[str, str]]:
        return list(flatten_values(self.last.input)) if self.last else []

    @cached_property
    def output_fields(self) -> list[tuple[str, str]]:
        return (
            list(flatten_values(self.last.output))
            if self.last and self.last.output is not None
            else []
        )

    @cached_property
    def warnings(self) -> list[str]:
        """Return the provider's warnings from the step's last successful run."""
        action = registry.actions.get(self.action)
        return (
            action.warnings(self.last.output) if action and self.last and self.last.output else []
        )

    @cached_property
    def output_json(self) -> str:
        return format_json(self.last.output) if self.last and self.last.output is not None else ""


@dataclass(frozen=True)
class Story:
    activation: Activation
    steps: list[StepView]
    parked: Lane | None
    current: Version | None  # the live version, where it is another one
    no_replay: str  # why it may not be replayed; empty when it may
    delivery_href: str
    document_href: str  # the record at the provider
    task: Approval | None  # the open question to a person
    call_href: str  # the write that needs a decision
    pause: OrganisationPause | None  # why it waits: its workflow is paused at this organisation
    connection_href: str  # where reconnecting is what helps

    @property
    def is_live(self) -> bool:
        return self.activation.state in {ActivationState.READY, ActivationState.RUNNING}

    @property
    def waits_for(self) -> str:
        """Return why the activation waits for its time; "" where it does not wait."""
        rests = (
            self.activation.state == ActivationState.READY
            and self.activation.next_at > timezone.now()
        )
        return self.activation.error if rests else ""

    @property
    def digest(self) -> str:
        """Return a digest that differs when the page does."""
        runs = sum(len(step.runs) for step in self.steps)
        pause = self.pause.pk if self.pause else ""
        return f"{self.activation.state}-{self.activation.position}-{self.activation.attempt}-{runs}-{pause}"

    @property
    def may_begin_at(self) -> list[StepView]:
        return [step for step in self.steps if step.can_begin]

    @property
    def ended_at(self) -> StepView | None:
        """Return the step that a replay would begin at by default: the one that failed."""
        through = self.activation.state == ActivationState.SUCCEEDED
        return (
            None
            if through
            else next((s for s in self.steps if s.position == self.activation.position), None)
        )

    @property
    def advice(self) -> Advice:
        return advice_for(self.activation.error_code)

    @property
    def task_href(self) -> str:
        if self.task is None:
            return ""
        kwargs = {
            "agency": self.activation.agency.slug,
            "workspace": self.activation.workspace.slug,
        }
        return reverse("workflows:task-detail", kwargs=kwargs | {"task": self.task.pk})

    @property
    def duration(self) -> Any:
        return measure_duration(self.activation)

    @cached_property
    def trigger_fields(self) -> list[tuple[str, str]]:
        return list(flatten_values(self.activation.trigger_data))

    @cached_property
    def trigger_json(self) -> str:
        return format_json(self.activation.trigger_data)

    @property
    def failed_run(self) -> StepRun | None:
        return self.ended_at.last if self.ended_at else None


def build_story(activation: Activation) -> Story:
    runs: dict[str, list[StepRun]] = defaultdict(list)
    for run in activation.step_runs.order_by("id"):
        runs[run.name].append(run)
    live = Version.objects.filter(workflow=activation.workflow_id, live=True).first()
    refusal = why_not_replay(activation)
    return Story(
        activation=activation,
        steps=_steps(activation, runs, may_replay=not refusal),
        parked=find_parked_lanes([activation.connection_id]).get(activation.connection_id),
        current=live if live and live.pk != activation.version_id else None,
        no_replay=refusal,
        delivery_href=_delivery_href(activation),
        document_href=_document_href(activation),
        task=approval_queries.find_open_task(activation),
        call_href=_call_href(activation),
        pause=organisation_pauses.find_holding([activation]).get(activation.pk),
        connection_href=_connection_href(activation),
    )


def flatten_values(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, text) for each value, as expressions would name it; at most `MAX_FIELDS`."""
    for number, pair in enumerate(_walk(value, prefix)):
        if number == MAX_FIELDS:
            yield "…", "more in the JSON"
            return
        yield pair


def format_json(value: Any) -> str:
    text = exact_json.dumps_indented(value)
    return text if len(text) <= MAX_JSON else f"{text[:MAX_JSON]}\n… cut here"


def _walk(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    match value:
        case dict() if value:
            for key, element in value.items():
                yield from _walk(element, f"{prefix}.{key}" if prefix else str(key))
        case list() if value:
            for number, element in enumerate(value):
                yield from _walk(element, f"{prefix}[{number}]")
        case _:
            yield prefix, value if isinstance(value, str) else _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _steps(
    activation: Activation, runs: Mapping[str, list[StepRun]], *, may_replay: bool
) -> list[StepView]:
    planned = (
        [(step["name"], step["action"]) for step in activation.version.steps]
        if activation.version
        else []
    )
    if not planned:  # the version was deleted: what was done is all there is
        planned = [(name, attempts[-1].action) for name, attempts in runs.items()]
    views = []
    for position, (name, action) in enumerate(planned):
        attempts = runs.get(name, [])
        state = _state(activation, position, attempts)
        views.append(
            StepView(
                position=position,
                name=name,
                action=action,
                state=state,
                runs=attempts,
                is_open=position == activation.position and state in {"failed", "unknown", "later"},
                can_begin=may_replay
                and activation.version is not None
                and _was_reached(activation, position),
            )
        )
    return views


def _state(activation: Activation, position: int, attempts: Sequence[StepRun]) -> str:
    if (
        position < activation.position
    ):  # gone past: done, skipped by its condition, or failed and allowed to
        return (
            attempts[-1].outcome
            if attempts and attempts[-1].outcome in {"skipped", "failed"}
            else "done"
        )
    if position > activation.position:
        return "ahead"
    began = activation.restarted_at
    fresh = [run for run in attempts if began is None or run.started_at >= began]
    match activation.state:
        case ActivationState.RUNNING:
            return "running"
        case ActivationState.READY:
            return "later" if fresh and fresh[-1].outcome == "later" else "waiting"
        case ActivationState.SUCCEEDED:
            return "done"
        case state:
            return str(state)


def _was_reached(activation: Activation, position: int) -> bool:
    return activation.state == ActivationState.SUCCEEDED or position <= activation.position


def count_shared_steps(activation: Activation, current: Version | None) -> int:
    """Count the first steps that the current version shares with the activation's own."""
    if current is None or activation.version is None:
        return 0
    return count_common_steps(activation.version.steps, current.steps)


def _delivery_href(activation: Activation) -> str:
    delivery = activation.event.delivery_id if activation.event else None
    if delivery is None:
        return ""
    kwargs = {"agency": activation.agency.slug, "workspace": activation.workspace.slug}
    try:
        return reverse("connections:delivery-detail", kwargs=kwargs | {"delivery": delivery})
    except NoReverseMatch:  # an installation without those pages
        return ""


def _call_href(activation: Activation) -> str:
    call = find_undecided_call(activation) if activation.state == ActivationState.UNKNOWN else None
    if call is None:
        return ""
    kwargs = {
        "agency": activation.agency.slug,
        "workspace": activation.workspace.slug,
        "call": call.pk,
    }
    try:
        return reverse(f"{call.connection.provider}:call-detail", kwargs=kwargs)
    except NoReverseMatch:  # a provider without such a page
        return ""


def _connection_href(activation: Activation) -> str:
    if not advice_for(activation.error_code).reconnects:
        return ""
    kwargs = {"agency": activation.agency.slug, "workspace": activation.workspace.slug}
    return reverse(
        "connections:connection-detail", kwargs=kwargs | {"connection": activation.connection_id}
    )


def _document_href(activation: Activation) -> str:
    trigger = registry.triggers.get(activation.version.trigger) if activation.version else None
    return trigger.address(activation.connection, activation.trigger_data) if trigger else ""
