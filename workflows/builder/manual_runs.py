"""Runs of a workflow by hand: the events to choose from, and a preview of each step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from connections.integrations import registry
from connections.models import Event
from taskjuice.workspaces import audit, gate
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import User
from workflows.builder import queries as builder_queries
from workflows.builder import step_test_runner
from workflows.builder import step_tests as builder_step_tests
from workflows.builder.step_tests import EventChoice, StepTestResult
from workflows.definition.drafts import Draft, Step
from workflows.engine import organisation_pauses
from workflows.engine.lifecycle import NotAllowedNow
from workflows.models import Activation, Version, Workflow, WorkflowState
from workflows.triggers import intake

RAN = "It has run for this event already. Replay that activation instead."
LOOKED_THROUGH = 500  # newest events that are held against the trigger


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """The effect of one step.

    `is_example`: a step before it writes, so that values from that step are examples.
    """

    number: int
    step: Step
    trial: StepTestResult
    is_example: bool

    @property
    def writes(self) -> bool:
        """Check whether the step changes the organisation's books."""
        action = self.step.known_action
        return self.trial.state == "preview" and action is not None and action.writes

    @property
    def sends(self) -> bool:
        """Check whether the step sends a message to a person or service."""
        return self.trial.state == "preview" and not self.writes


def why_not_started(trigger_key: str, settings: Mapping[str, Any], event: Event) -> str:
    """Return why the trigger with these cleaned settings ignores the event; "" where it starts."""
    trigger = registry.triggers.get(trigger_key)
    if trigger is None:
        return "The trigger is not known here."
    if trigger.by_hand:
        return ""
    if event.ours and not settings.get("own"):
        return "Not run: a workflow made this change, and the trigger leaves those out."
    if trigger.category != event.category or not trigger.matches(event, settings):
        return "Not run: the trigger does not start on this event."
    return ""


def mark_refusals(choices: list[EventChoice], draft: Draft) -> list[EventChoice]:
    """Return the choices, each with the reason why the draft's trigger would ignore it."""
    trigger = registry.triggers.get(draft.trigger)
    form = trigger.form(data=dict(draft.settings)) if trigger else None
    if form is None or not form.is_valid():  # said at its fields
        return choices
    return [
        replace(c, refusal=why_not_started(draft.trigger, form.cleaned_data, c.event))
        for c in choices
    ]


def events_to_run(scope: Scope, workflow: Workflow) -> list[EventChoice]:
    """List the newest events that start the live trigger and have no activation of the workflow."""
    version = workflow.versions.filter(live=True).first()
    if version is None or workflow.state != WorkflowState.PUBLISHED or not scope.may(gate.WORK):
        return []
    ids = list_runnable(scope, workflow)
    trigger = registry.triggers.get(version.trigger)
    if trigger is None or trigger.by_hand:
        return builder_step_tests.recent_events(ids, version.trigger)
    has_run = Activation.objects.filter(event=OuterRef("pk"), workflow=workflow)
    newest = (
        builder_step_tests.list_events(ids, trigger.category)
        .exclude(Exists(has_run))
        .order_by("-received_at")
    )
    events = [
        e
        for e in newest[:LOOKED_THROUGH]
        if not why_not_started(version.trigger, version.trigger_settings, e)
    ]
    return builder_step_tests.name_events(trigger, events[: builder_step_tests.MOST_EVENTS])


def list_runnable(scope: Scope, workflow: Workflow) -> list[int]:
    """List the connections that the workflow runs at and this person may use here; not paused
    ones.
    """
    within = set(builder_queries.list_connectable(scope).values_list("pk", flat=True))
    paused = organisation_pauses.list_active(workflow=workflow).values_list(
        "connection_id", flat=True
    )
    return sorted((builder_queries.find_applied_ids(scope, workflow) & within) - set(paused))


@dataclass(frozen=True, slots=True)
class ChosenEvent:
    """An event that the live version may be run on by hand."""

    version: Version
    event: Event
    subject: str  # what a person calls its record; "" for an event of now


def plan_steps(chosen: ChosenEvent, user: User) -> list[PlannedStep]:
    """Preview the steps up to the one that would end the run; nothing is changed.

    They run in a process of their own, as step tests do. Raises step_test_runner.NotTested.
    """
    draft, event = Draft.of(chosen.version), chosen.event
    tried = step_test_runner.run_all_steps(
        draft,
        EventChoice(event, "").value,
        [event.connection_id],
        agency=event.connection.agency,
        user=user,
    )
    planned: list[PlannedStep] = []
    is_example = False
    for number, (step, trial) in enumerate(zip(draft.steps, tried, strict=False), start=1):
        planned.append(PlannedStep(number, step, trial, is_example))
        is_example = is_example or trial.state == "preview"
    return planned


def check_run(workflow: Workflow, connection_ids: Sequence[int], typed: str) -> ChosenEvent:
    """Return the chosen event if the live version may run on it; raise NotAllowedNow with the
    reason.

    The trigger's own check is part of it.
    """
    version = (
        Version.objects.select_related("workflow__agency")
        .filter(workflow=workflow, live=True)
        .first()
    )
    if version is None or workflow.state != WorkflowState.PUBLISHED:
        raise NotAllowedNow("Publish the workflow first.")
    event = builder_step_tests.find_event(connection_ids, version.trigger, typed)
    if event is None:
        raise NotAllowedNow("Choose one of the events.")
    if refusal := why_not_started(version.trigger, version.trigger_settings, event):
        raise NotAllowedNow(refusal)
    if event.pk and Activation.objects.filter(event=event, workflow=workflow).exists():
        raise NotAllowedNow(RAN)
    trigger = registry.triggers[version.trigger]
    return ChosenEvent(
        version,
        event,
        builder_step_tests.name_events(trigger, [event])[0].subject if event.pk else "",
    )


@transaction.atomic
def run_now(*, workflow: Workflow, chosen: ChosenEvent, key: UUID | None, by: User) -> int:
    """Start the live version for this event and return the activation's id.

    `key` lets an event of now start once. Raises NotAllowedNow where the workflow has run for the
    event.
    """
    # The second request of a double click waits here, and then finds the activation.
    Workflow.objects.select_for_update(of=("self",), no_key=True).get(pk=workflow.pk)
    event = chosen.event
    if event.pk is None:
        event.resource_id = key or event.resource_id
        if Event.objects.filter(
            connection=event.connection_id, resource_id=event.resource_id
        ).exists():
            raise NotAllowedNow("It was started already.")
        event.save()
    started = intake.start_one(event, chosen.version)
    if started is None:
        raise NotAllowedNow(RAN)
    Activation.objects.filter(pk=started).update(run_by=str(by)[:254])
    audit.record(
        "workflow run by hand",
        by=by,
        agency=workflow.agency,
        workspace=event.connection.workspace,
        subject=workflow.name,
        activation=started,
    )
    return started
