"""Step tests on a real event, before the workflow is published.

A test reads for real and changes nothing: a write or a message is shown as it would go out, and
later steps see that action's sample in its place. No result is stored.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from connections import organisation_time
from connections.integrations import (
    Action,
    ActionContext,
    Done,
    Failed,
    Outcome,
    Preview,
    Stopped,
    Trigger,
    TryLater,
    Unknown,
    registry,
)
from connections.models import Connection, Event
from taskjuice.workspaces.models import User
from workflows.activations import timeline
from workflows.definition.drafts import Draft
from workflows.definition.evaluation_budget import evaluation_budget
from workflows.definition.validation import RunScope, list_problems
from workflows.engine.plans import StepError, StepPlan, build_plan
from workflows.models import Activation
from workflows.triggers.runner import build_manual_event

RECENT = timedelta(days=30)
MOST_EVENTS = 20
MOST_CONNECTIONS = 20
MOST_ELEMENTS = 3  # of a list are tried
BEGIN_WITHIN = 10.0  # seconds of a test in which its steps begin; one may take 30 s
NOW = "now-"  # before a connection's id: an event of now, for triggers that need none

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class EventChoice:
    """An event to test on, with the name that a person gives its record, where it is known."""

    event: Event
    subject: str
    refusal: str = ""  # why the trigger would not start on it, where that was asked

    @property
    def value(self) -> str:
        """Return the value that a form sends for it."""
        return str(self.event.pk) if self.event.pk else f"{NOW}{self.event.connection_id}"

    @property
    def text(self) -> str:
        """Return the text in a menu, so without a tag for the time."""
        if not self.event.pk:
            return f"Now · {self.event.connection.name}"
        when = timezone.localtime(self.event.occurred_at).strftime("%d %b %H:%M")
        text = f"{self.subject} · {self.event.type.lower()} · {self.event.connection.name} · {when}"
        return f"{text} · would not start it" if self.refusal else text


@dataclass(frozen=True, slots=True)
class StepTestResult:
    """The result of a step test.

    `state` is done, preview, skipped, stopped, failed, later or unknown.
    """

    state: str
    message: str = ""
    input: Fields = field(default_factory=list)
    output: Fields = field(default_factory=list)
    output_json: str = ""
    head: str = ""  # of the request that would go out
    document: str = ""
    calls: Decimal | None = None  # what it would take of the provider's budget


def recent_events(connection_ids: Sequence[int], trigger_key: str) -> list[EventChoice]:
    """List the newest events of the trigger's category, also those that its settings ignore."""
    trigger = registry.triggers.get(trigger_key)
    if trigger is None or not connection_ids:
        return []
    if trigger.by_hand:
        return [
            EventChoice(build_manual_event(connection), "")
            for connection in _load_connections(connection_ids)
        ]
    return name_events(
        trigger,
        list_events(connection_ids, trigger.category).order_by("-received_at")[:MOST_EVENTS],
    )


def name_events(trigger: Trigger, events: Iterable[Event]) -> list[EventChoice]:
    """Name each event by its record, in the order given."""
    listed = list(events)
    named = Activation.objects.filter(event__in=[event.pk for event in listed]).exclude(subject="")
    subjects = dict(named.values_list("event_id", "subject"))
    return [
        EventChoice(
            e,
            subjects.get(e.pk)
            or trigger.subject(trigger.data(e))
            or f"record {str(e.resource_id)[:8]}",
        )
        for e in listed
    ]


def find_event(connection_ids: Sequence[int], trigger_key: str, typed: str) -> Event | None:
    """Find the event of this id for this trigger on one of these connections.

    Triggers that need no event get one of now.
    """
    trigger, digits = registry.triggers.get(trigger_key), typed.removeprefix(NOW)
    if trigger is None or not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        return None
    if not trigger.by_hand:
        return list_events(connection_ids, trigger.category).filter(pk=int(digits)).first()
    chosen = [
        connection
        for connection in _load_connections(connection_ids)
        if typed == f"{NOW}{connection.pk}"
    ]
    return build_manual_event(chosen[0]) if chosen else None


def _load_connections(connection_ids: Sequence[int]) -> list[Connection]:
    connections = Connection.objects.filter(pk__in=list(connection_ids)[:MOST_CONNECTIONS])
    return list(connections.select_related("workspace", "agency", "grant").order_by("name", "pk"))


def list_events(connection_ids: Sequence[int], category: str) -> "QuerySet[Event]":
    events = Event.objects.filter(
        connection__in=list(connection_ids)[:MOST_CONNECTIONS],
        category=category,
        received_at__gt=timezone.now() - RECENT,
    )
    return events.select_related("connection__workspace", "connection__agency", "connection__grant")


def try_out(draft: Draft, position: int, event: Event, user: User) -> StepTestResult:
    """Test the step at `position` after those before it, on the organisation's day as the worker
    does.
    """
    with organisation_time.use_time_zone(event.connection):
        return _try_out(draft, position, event, user)


def try_all(draft: Draft, event: Event, user: User) -> list[StepTestResult]:
    """Test each step up to the one that would end the run, with one budget for their
    expressions.
    """
    with organisation_time.use_time_zone(event.connection), evaluation_budget():
        return list(try_steps(draft, event, user))


def _try_out(draft: Draft, position: int, event: Event, user: User) -> StepTestResult:
    problems = list_problems(draft, RunScope(event.connection.agency, [event.connection]))
    wrong = [problem for problem in problems if problem.where in {"trigger", *range(position + 1)}]
    if wrong:
        return StepTestResult("failed", f"First finish what is missing: {wrong[0].message}")
    with evaluation_budget():
        first = replace(draft, steps=draft.steps[: position + 1])
        tried = list(try_steps(first, event, user))
    if len(tried) == position + 1:
        return tried[position]
    return StepTestResult(
        tried[-1].state, f"Step {len(tried)} ends it before this one: {tried[-1].message}"
    )


def try_steps(draft: Draft, event: Event, user: User) -> Iterator[StepTestResult]:
    """Yield the result of each step in turn; the first one that ends the run is the last."""
    ends = time.monotonic() + BEGIN_WITHIN
    context: dict[str, Any] = {"trigger": registry.triggers[draft.trigger].data(event), "steps": {}}
    for number, step in enumerate(draft.steps):
        if number and time.monotonic() > ends:
            yield StepTestResult("failed", "It was not begun: the steps before it took too long.")
            return
        with evaluation_budget():
            trial, output = _try_step(build_plan(step.as_stored()), context, event, user)
        yield trial
        if trial.state not in {"done", "preview", "skipped"}:
            return
        context["steps"][step.name] = output


def _try_step(
    step: StepPlan, context: Mapping[str, Any], event: Event, user: User
) -> tuple[StepTestResult, Any]:
    """Return the step's result, and its output for later steps."""
    try:
        applies, reason = step.applies(context)
        if not applies:
            return StepTestResult("skipped", reason), None
        elements = step.elements(context)
        contexts = (
            [context]
            if elements is None
            else [dict(context) | {"item": e} for e in elements[:MOST_ELEMENTS]]
        )
        prepared = [(each, *step.prepare(each)) for each in contexts]
    except StepError as error:
        return StepTestResult("failed", str(error)), None
    shown = prepared[0][1] if elements is None else [filled for _, filled, _ in prepared]
    action = step.known_action()
    calls = [
        ActionContext(event.connection, user=user, context=each, guard=step.guard)
        for each, _, _ in prepared
    ]
    rows = [data for _, _, data in prepared]
    if not all(action.reads(data) for data in rows):
        sample = action.sample if elements is None else [action.sample]
        previews = [action.preview(call, data) for call, data in zip(calls, rows, strict=True)]
        return _summarize_previews(action, previews, shown), sample
    outcomes = action.run_many(calls, rows) if calls else []
    return _summarize_outcomes(outcomes, shown, is_list=elements is not None)


def _summarize_previews(
    action: Action, previews: Sequence[Preview | Outcome | None], shown: Any
) -> StepTestResult:
    """Return the preview of a list's first element, or the reason why one would not go out."""
    for preview in previews:
        if isinstance(preview, TryLater):
            return StepTestResult("later", preview.reason, _flatten(shown))
        if isinstance(preview, Failed | Unknown):
            return StepTestResult("failed", preview.message, _flatten(shown))
    first = previews[0] if previews else None
    if not isinstance(first, Preview):
        return StepTestResult("preview", input=_flatten(shown))
    text = (
        first.document if isinstance(first.document, str) else timeline.format_json(first.document)
    )
    return StepTestResult(
        "preview", "", _flatten(shown), head=first.head, document=text, calls=action.cost.alone
    )


def _summarize_outcomes(
    outcomes: Sequence[Outcome], shown: Any, *, is_list: bool
) -> tuple[StepTestResult, Any]:
    for outcome in outcomes:
        match outcome:
            case Stopped(reason):
                return StepTestResult("stopped", reason, _flatten(shown)), None
            case TryLater(reason):
                return StepTestResult("later", reason, _flatten(shown)), None
            case Failed(_, message) | Unknown(message):
                return StepTestResult("failed", message, _flatten(shown)), None
    outputs = [outcome.output for outcome in outcomes if isinstance(outcome, Done)]
    output = outputs if is_list else outputs[0]
    return StepTestResult(
        "done", "", _flatten(shown), _flatten(output), timeline.format_json(output)
    ), output


def _flatten(value: Any) -> Fields:
    return list(timeline.flatten_values(value))
