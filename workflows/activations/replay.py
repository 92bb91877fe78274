"""Actions of people on activations: replay, cancel, resume, mark a step as done.

The lanes do the work.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from connections.integrations import registry
from connections.models import Call, CallState, ConnectionState
from connections.writes import orphans
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import User
from workflows.approvals import permits
from workflows.approvals import tasks as approval_tasks
from workflows.engine import lanes
from workflows.engine.lifecycle import NotAllowedNow
from workflows.models import FINISHED, Activation, ActivationState, StepRun, Version
from workflows.steps.http import journal as http_journal

REPLAYABLE = (*FINISHED, ActivationState.UNKNOWN)
CANCELLABLE = (ActivationState.READY, ActivationState.RUNNING, ActivationState.UNKNOWN)
# Outcomes after which the next step runs; a failed step may continue by its own option.
PASSED = (
    "done",
    "skipped",
    "failed",
)
ORIGINAL, CURRENT = "original", "current"


@transaction.atomic
def replay_activation(
    *, activation: Activation, position: int, on: str = ORIGINAL, by: User
) -> None:
    """Run the activation again from the step at `position`.

    Finished steps before it keep their outputs and are not repeated. `on` is `original` (the
    version it ran on) or `current` (the live one). Raises NotAllowedNow.
    """
    current = _lock_activation(activation)
    version = _choose_version(current, on)
    outputs = _collect_outputs(current, version, position)
    _refuse_repeated_effects(current, version, position)
    again = [step["name"] for step in version.steps[position:]]
    approval_tasks.reset_tasks(current.pk, again)
    permits.forget_unused(current.pk)
    http_journal.forget_open(current.pk)
    Activation.objects.filter(pk=current.pk).update(
        state=ActivationState.READY,
        version=version,
        version_number=version.number,
        position=position,
        attempt=0,
        outputs=outputs,
        lease_token=None,
        error_code="",
        error="",
        next_at=Now(),
        started_at=None,
        finished_at=None,
        restarted_at=Now(),
        **({} if position else {"note": ""}),
    )
    lanes.wake_lanes([current.connection_id])
    _record_audit("activation replayed", current, by, step=position + 1, version=version.number)


def replay_where_it_ended(*, activation: Activation, by: User) -> None:
    """Replay from the step that failed; a finished activation from its beginning."""
    through = activation.state == ActivationState.SUCCEEDED
    replay_activation(activation=activation, position=0 if through else activation.position, by=by)


@transaction.atomic
def cancel_activation(*, activation: Activation, by: User) -> None:
    """Cancel the activation: it runs no further step.

    A step that is running may still get its answer, which is kept.
    """
    current = _lock_activation(activation)
    if current.state not in CANCELLABLE:
        raise NotAllowedNow("It has ended already.")
    Activation.objects.filter(pk=current.pk).update(
        state=ActivationState.CANCELLED, finished_at=Now()
    )
    approval_tasks.withdraw_tasks(current.pk)
    orphans.withdraw_calls(current.pk, by=by)
    _record_audit("activation cancelled", current, by)


@transaction.atomic
def resume_activation(*, activation: Activation, by: User) -> None:
    """Make an activation due that waits for its next attempt; the provider's limits still apply."""
    current = _lock_activation(activation)
    if current.state != ActivationState.READY:
        raise NotAllowedNow("It does not wait.")
    Activation.objects.filter(pk=current.pk).update(next_at=Now())
    lanes.wake_lanes([current.connection_id])
    _record_audit("activation resumed", current, by)


@transaction.atomic
def mark_done(*, activation: Activation, by: User) -> None:
    """Mark a step with an unknown outcome as done, as a person has seen, and run the next one.

    Its output is unknown, so steps that need it fail. Raises NotAllowedNow, also for a write to the
    provider: that one is decided on its own page, where it can be named and looked up.
    """
    current = _lock_activation(activation)
    if current.state != ActivationState.UNKNOWN:
        raise NotAllowedNow("It does not wait for such a decision.")
    if find_undecided_call(current) is not None:
        raise NotAllowedNow(
            "Decide about the write itself, on its page; the activation then goes on."
        )
    if current.version is None:
        raise NotAllowedNow("The version it would run on is no longer there.")
    step = current.version.steps[current.position]
    _note_done(current, step, by)
    outputs = {name: kept for name, kept in current.outputs.items() if name != f"@{step['name']}"}
    Activation.objects.filter(pk=current.pk).update(
        state=ActivationState.READY,
        position=current.position + 1,
        attempt=0,
        outputs=outputs | {step["name"]: None},
        lease_token=None,
        error_code="",
        error="",
        next_at=Now(),
        finished_at=None,
    )
    lanes.wake_lanes([current.connection_id])
    _record_audit("step marked as done", current, by, step=current.position + 1)


def find_undecided_call(activation: Activation) -> Call | None:
    """Return the write of one of its steps that waits for a person's decision."""
    calls = Call.objects.filter(activation_id=activation.pk, state=CallState.UNKNOWN)
    return calls.select_related("connection").order_by("created_at").first()


def apply_to_each(activations: Iterable[Activation], verb: Any, *, by: User) -> tuple[int, str]:
    """Do `verb` to each activation; return how many allowed it, and the reason of the last
    refusal.
    """
    done, refused = 0, ""
    for activation in activations:
        try:
            verb(activation=activation, by=by)
            done += 1
        except NotAllowedNow as error:
            refused = str(error)
    return done, refused


def why_not_replay(activation: Activation) -> str:
    """Return why the activation may not be replayed; "" when it may."""
    if activation.state not in REPLAYABLE:
        return "It is still on its way."
    if activation.lease_token is not None and lanes.is_held(
        activation.connection_id, activation.lease_token
    ):
        return "A step of it is just being taken. Try again in a moment."
    if activation.connection.state == ConnectionState.REVOKED:
        return f"{activation.connection.name} is no longer connected. Connect it again first."
    return ""


def count_common_steps(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> int:
    """Count the steps that two versions have in common from the beginning."""
    for position, (step, other) in enumerate(zip(first, second, strict=False)):
        if step != other:
            return position
    return min(len(first), len(second))


def _lock_activation(activation: Activation) -> Activation:
    rows: QuerySet[Activation] = Activation.objects.select_for_update(of=("self",))
    return rows.select_related("agency", "workspace", "connection", "workflow", "version").get(
        pk=activation.pk
    )


def _choose_version(activation: Activation, on: str) -> Version:
    """Return the version to run on; raise NotAllowedNow where a replay is impossible."""
    if refusal := why_not_replay(activation):
        raise NotAllowedNow(refusal)
    version = activation.version
    if on == CURRENT:
        live = Version.objects.filter(workflow=activation.workflow_id, live=True).first()
        version = live if activation.workflow_id else None
    if version is None:
        raise NotAllowedNow("The version it would run on is no longer there.")
    return version


def _collect_outputs(activation: Activation, version: Version, position: int) -> dict[str, Any]:
    """Return the outputs of the steps before `position`.

    All of them must have finished, and be the same in both versions.
    """
    reached = (
        len(version.steps) if activation.state == ActivationState.SUCCEEDED else activation.position
    )
    if not 0 <= position < len(version.steps) or position > reached:
        raise NotAllowedNow("Begin at a step that was reached.")
    original = activation.version.steps if activation.version else []
    if position > count_common_steps(original, version.steps):
        raise NotAllowedNow("The current version differs before that step. Replay the whole of it.")
    passed = StepRun.objects.filter(activation=activation, outcome__in=PASSED).order_by("id")
    outputs = dict(passed.values_list("name", "output"))
    names = [step["name"] for step in version.steps[:position]]
    if missing := [name for name in names if name not in outputs]:
        raise NotAllowedNow(
            f"What the step {missing[0]} gave is no longer known. Replay the whole of it."
        )
    return {name: outputs[name] for name in names} | _collect_progress(
        activation, version, position
    )


def _collect_progress(activation: Activation, version: Version, position: int) -> dict[str, Any]:
    """Return the outputs of list elements that a step had finished, which are not repeated
    either.
    """
    if version.pk != activation.version_id or position != activation.position:
        return {}
    names = {step["name"] for step in version.steps}
    return {key: kept for key, kept in activation.outputs.items() if key not in names}


def _refuse_repeated_effects(activation: Activation, version: Version, position: int) -> None:
    """Refuse to repeat a finished step that changed something outside."""
    effective = [key for key, action in registry.actions.items() if action.effects or action.writes]
    done = set(
        StepRun.objects.filter(
            activation=activation, outcome="done", action__in=effective
        ).values_list("name", flat=True)
    )
    for step in version.steps[position:]:
        if step["name"] in done:
            raise NotAllowedNow(
                f"The step {step['name']} has been done and is not repeated. Begin at a later one."
            )


def _note_done(activation: Activation, step: Mapping[str, Any], by: User) -> None:
    """Note the step as done in the history, so that no replay repeats it."""
    StepRun.objects.create(
        activation=activation,
        position=activation.position,
        name=step["name"],
        action=step["action"],
        attempt=activation.attempt,
        outcome="done",
        error=f"Marked as done by {by}.",
        started_at=timezone.now(),
    )


def _record_audit(verb: str, activation: Activation, by: User, **details: Any) -> None:
    audit.record(
        verb,
        by=by,
        agency=activation.agency,
        workspace=activation.workspace,
        subject=activation.subject or activation.workflow_name,
        activation=activation.pk,
        **details,
    )
