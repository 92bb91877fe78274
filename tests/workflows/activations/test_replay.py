"""Replaying, cancelling and resuming activations, with the engine that runs them."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django import forms
from django.db.models import F
from django.utils import timezone

from connections.errors import Invalid
from connections.integrations import Action, ActionContext, Data, registry
from connections.models import Connection
from connections.providers import providers
from taskjuice.workspaces.models import AuditEntry, User, Workspace
from tests.factories import make_activation, make_connection, make_workflow
from workflows.activations import replay
from workflows.definition.drafts import Draft, Step
from workflows.engine import lifecycle, runner
from workflows.engine.lifecycle import NotAllowedNow
from workflows.models import Activation, Lane, StepRun, Workflow

pytestmark = pytest.mark.django_db


class AnyForm(forms.Form):
    text = forms.CharField(required=False)


class Count(Action):
    """An action that counts its runs by step name, and refuses when a test says so."""

    key = "test/count"
    title = "Count"
    description = "Count."
    form = AnyForm
    taken: ClassVar[list[str]] = []
    refuse: ClassVar[set[str]] = set()

    def run(self, call: ActionContext, data: Data) -> Data:
        self.taken.append(call.step)
        if call.step in self.refuse:
            raise Invalid(["Not like this."], status=400)
        return {"times": self.taken.count(call.step)}


class Write(Count):
    key = "test/write"
    effects = True


def step(name: str, action: str = "test/count", text: str = "") -> dict[str, Any]:
    return {"name": name, "action": action, "input": {"text": text}}


@pytest.fixture
def count() -> Iterator[type[Count]]:
    registry.add(actions=[Count(), Write()])
    Count.taken.clear()
    Count.refuse.clear()
    yield Count
    for key in (Count.key, Write.key):
        del registry.actions[key]


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace)


def ran(connection: Connection, steps: Sequence[dict[str, Any]]) -> Activation:
    """Return an activation of a workflow with these steps, after one turn of its lane."""
    activation = make_activation(
        make_workflow(connection.agency, connection, steps=list(steps)), connection
    )
    return again(activation)


def again(activation: Activation) -> Activation:
    Lane.objects.get_or_create(connection_id=activation.connection_id)
    Activation.objects.update(next_at=F("created_at"))
    runner.run_lane(activation.connection_id)
    activation.refresh_from_db()
    return activation


def test_replay_from_the_failed_step_repeats_no_finished_one(
    connection: Connection, count: type[Count], member: User
) -> None:
    count.refuse.add("b")
    failed = ran(connection, [step("a"), step("b"), step("c", text="{{ steps.a.times }}")])
    assert (failed.state, failed.position) == ("failed", 1)
    count.refuse.clear()
    replay.replay_where_it_ended(activation=failed, by=member)
    failed.refresh_from_db()
    assert (failed.state, failed.position, failed.error, failed.outputs) == (
        "ready",
        1,
        "",
        {"a": {"times": 1}},
    )
    assert again(failed).state == "succeeded"
    assert count.taken == ["a", "b", "b", "c"]
    assert StepRun.objects.get(name="c").input == {"text": 1}


def test_replay_of_the_whole_takes_every_step_again(
    connection: Connection, count: type[Count], member: User
) -> None:
    done = ran(connection, [step("a"), step("b")])
    replay.replay_activation(activation=done, position=0, by=member)
    assert again(done).state == "succeeded"
    assert count.taken == ["a", "b", "a", "b"]


def test_replay_never_repeats_a_finished_write(
    connection: Connection, count: type[Count], member: User
) -> None:
    count.refuse.add("note")
    failed = ran(connection, [step("pay", action=Write.key), step("note")])
    with pytest.raises(NotAllowedNow, match="pay has been done and is not repeated"):
        replay.replay_activation(activation=failed, position=0, by=member)
    failed.refresh_from_db()
    assert failed.state == "failed"
    count.refuse.clear()
    replay.replay_activation(activation=failed, position=1, by=member)
    assert again(failed).state == "succeeded"
    assert count.taken == ["pay", "note", "note"]


def edited(workflow: Workflow, by: User, *steps: dict[str, Any]) -> None:
    """Publish these steps as the next version."""
    drawn = Draft(
        "xero/invoice-event",
        {"change": "any"},
        [Step(s["name"], s["action"], s["input"]) for s in steps],
    )
    stamp = lifecycle.current_content(workflow).stamp
    lifecycle.save_draft(workflow=workflow, draft=drawn, stamp=stamp, by=by)
    lifecycle.publish_draft(workflow=workflow, by=by)


def test_replay_on_the_current_version_keeps_the_steps_they_share(
    connection: Connection, count: type[Count], member: User
) -> None:
    count.refuse.add("b")
    workflow = make_workflow(connection.agency, connection, steps=[step("a"), step("b")])
    failed = again(make_activation(workflow, connection))
    edited(workflow, member, step("a"), step("c"))
    replay.replay_activation(activation=failed, position=1, on="current", by=member)
    again(failed)
    assert (failed.state, failed.version_number) == ("succeeded", 2)
    assert count.taken == ["a", "b", "c"]


def test_replay_on_a_version_that_differs_before_is_refused(
    connection: Connection, count: type[Count], member: User
) -> None:
    count.refuse.add("b")
    workflow = make_workflow(connection.agency, connection, steps=[step("a"), step("b")])
    failed = again(make_activation(workflow, connection))
    edited(workflow, member, step("a", text="other"), step("b"))
    with pytest.raises(NotAllowedNow, match="differs before that step"):
        replay.replay_activation(activation=failed, position=1, on="current", by=member)
    replay.replay_activation(activation=failed, position=0, on="current", by=member)
    count.refuse.clear()
    assert again(failed).state == "succeeded"


@pytest.mark.parametrize("position", [-1, 2, 99])
def test_replay_begins_only_where_it_was_reached(
    connection: Connection, count: type[Count], member: User, position: int
) -> None:
    count.refuse.add("a")
    failed = ran(connection, [step("a"), step("b"), step("c")])
    with pytest.raises(NotAllowedNow):
        replay.replay_activation(activation=failed, position=position, by=member)


@pytest.mark.parametrize("state", ["ready", "running"])
def test_replay_of_one_on_its_way_is_refused(
    connection: Connection, member: User, state: str
) -> None:
    activation = make_activation(
        make_workflow(connection.agency, connection, steps=[step("a")]), connection
    )
    Activation.objects.update(state=state)
    with pytest.raises(NotAllowedNow, match="still on its way"):
        replay.replay_activation(activation=activation, position=0, by=member)


def test_replay_needs_a_connection_that_lives(
    connection: Connection, count: type[Count], member: User
) -> None:
    done = ran(connection, [step("a")])
    Connection.objects.update(state="revoked")
    with pytest.raises(NotAllowedNow, match="no longer connected"):
        replay.replay_activation(activation=done, position=0, by=member)


def test_replay_after_the_workflow_was_deleted_is_refused(
    connection: Connection, count: type[Count], member: User
) -> None:
    done = ran(connection, [step("a")])
    Workflow.objects.all().delete()
    done.refresh_from_db()
    assert (done.state, done.workflow_name != "", StepRun.objects.count()) == ("succeeded", True, 1)
    for on in ("original", "current"):
        with pytest.raises(NotAllowedNow, match="no longer there"):
            replay.replay_activation(activation=done, position=0, on=on, by=member)


def test_cancel_ends_what_waits_and_is_noted(connection: Connection, member: User) -> None:
    activation = make_activation(
        make_workflow(connection.agency, connection, steps=[step("a")]), connection
    )
    replay.cancel_activation(activation=activation, by=member)
    activation = again(activation)
    assert (activation.state, activation.attempt, activation.finished_at is not None) == (
        "cancelled",
        0,
        True,
    )
    assert AuditEntry.objects.get().verb == "activation cancelled"
    with pytest.raises(NotAllowedNow):
        replay.cancel_activation(activation=activation, by=member)


def test_cancel_of_a_running_one_is_not_undone_by_its_worker(
    connection: Connection, count: type[Count], member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    activation = make_activation(
        make_workflow(connection.agency, connection, steps=[step("a")]), connection
    )
    during = Count.run

    def run(self: Count, call: ActionContext, data: Data) -> Data:
        replay.cancel_activation(activation=Activation.objects.get(), by=member)
        return during(self, call, data)

    monkeypatch.setattr(Count, "run", run)
    assert again(activation).state == "cancelled"


def test_resume_makes_it_due_now(connection: Connection, member: User) -> None:
    activation = make_activation(make_workflow(connection.agency, connection), connection)
    later = timezone.now() + timedelta(hours=1)
    Activation.objects.update(next_at=later)
    replay.resume_activation(activation=activation, by=member)
    activation.refresh_from_db()
    assert activation.next_at < later
    assert Lane.objects.get().wake_pending
    Activation.objects.update(state="failed")
    with pytest.raises(NotAllowedNow):
        replay.resume_activation(activation=activation, by=member)


def test_mended_connection_lets_its_lane_go_on(connection: Connection) -> None:
    Lane.objects.create(connection=connection, parked_until=timezone.now() + timedelta(hours=1))
    providers.usable(connection)
    lane = Lane.objects.get()
    assert (lane.parked_until, lane.wake_pending) == (None, True)


def test_replay_passes_over_what_was_skipped_or_allowed_to_fail(
    connection: Connection, count: type[Count], member: User
) -> None:
    never = {"match": "all", "rows": [{"field": "{{ trigger.x }}", "operator": "is-not-empty"}]}
    steps = [
        step("skipped") | {"only_if": never},
        step("lenient") | {"on_error": {"then": "continue"}},
        step("c"),
    ]
    count.refuse.update({"lenient", "c"})
    failed = ran(connection, steps)
    assert (failed.state, failed.position) == ("failed", 2)
    count.refuse.clear()
    replay.replay_where_it_ended(activation=failed, by=member)
    assert again(failed).state == "succeeded"
    assert count.taken == ["lenient", "c", "c"]


def test_replay_repeats_no_finished_element_of_a_list(
    connection: Connection, count: type[Count], member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def run(self: Count, call: ActionContext, data: Data) -> Data:
        seen.append(data["text"])
        if data["text"] == "b" and seen.count("b") == 1:
            raise Invalid(["Not b."], status=400)
        return {}

    monkeypatch.setattr(Count, "run", run)
    each = step("each", action=Write.key, text="{{ item }}") | {"for_each": "{{ trigger.letters }}"}
    workflow = make_workflow(connection.agency, connection, steps=[each])
    failed = again(make_activation(workflow, connection, trigger_data={"letters": ["a", "b"]}))
    assert (failed.state, seen) == ("failed", ["a", "b"])
    replay.replay_where_it_ended(activation=failed, by=member)
    assert again(failed).state == "succeeded"
    assert seen == ["a", "b", "b"]
