"""The engine with real rows and made-up actions; the real ones are tested against the sandbox."""

import os
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection as database
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from connections.errors import Invalid, NeedsConsent, RetryLater
from connections.integrations import Data, Done, TryLater, Unknown, registry
from connections.models import Connection
from taskjuice.queue import processes
from taskjuice.queue.leases import Lease
from taskjuice.workspaces.models import User, Workspace
from tests.factories import make_activation, make_connection, make_workflow
from tests.workflows.conftest import Look
from workflows.activations import replay
from workflows.engine import lanes, lifecycle, plans, runner
from workflows.engine.store import ALONE_FROM, TOGETHER
from workflows.models import MAX_ATTEMPTS, Activation, Lane, StepRun

pytestmark = pytest.mark.django_db


LOOK = {"name": "look", "action": "test/look", "input": {"number": "{{ trigger.number }}"}}
OVER = {
    "name": "over",
    "action": "core/filter",
    "input": {
        "condition": {
            "match": "all",
            "rows": [{"field": "{{ steps.look.number }}", "operator": "greater", "value": "1,000"}],
        }
    },
}
NOTE = {
    "name": "note",
    "action": "core/set-values",
    "input": {"values": {"note": "It is {{ steps.look.number }}."}},
}


def due(
    connection: Connection, *numbers: Any, steps: Sequence[Any] = (LOOK, OVER, NOTE)
) -> list[Activation]:
    """Create due activations of a workflow of their own."""
    workflow = make_workflow(connection.agency, connection, steps=list(steps))
    found = [
        make_activation(workflow, connection, trigger_data={"number": number}) for number in numbers
    ]
    lanes.wake_lanes([connection.pk])
    return found


def states() -> list[str]:
    return list(Activation.objects.order_by("id").values_list("state", flat=True))


def test_lane_runs_each_activation_to_its_end(look: Look, connection: Connection) -> None:
    due(connection, 1500, 900, 1000, 1001)
    runner.run_lane(connection.pk)
    assert states() == ["succeeded", "stopped", "stopped", "succeeded"]
    assert look.waves == [4]


def test_history_holds_input_output_and_wave(look: Look, connection: Connection) -> None:
    (activation,) = due(connection, Decimal("1500.50"))
    runner.run_lane(connection.pk)
    rows = StepRun.objects.filter(activation=activation).order_by("id")
    assert [(r.position, r.name, r.outcome, r.attempt, r.wave) for r in rows] == [
        (0, "look", "done", 1, 1),
        (1, "over", "done", 1, 1),
        (2, "note", "done", 1, 1),
    ]
    assert (rows[0].input, rows[0].output) == (
        {"number": Decimal("1500.50")},
        {"number": Decimal("1500.50")},
    )
    assert rows[2].output == {"note": "It is 1500.50."}
    activation.refresh_from_db()
    assert activation.finished_at is not None
    assert activation.lease_token is None


def test_stopped_activation_says_why(look: Look, connection: Connection) -> None:
    (activation,) = due(connection, 900)
    runner.run_lane(connection.pk)
    assert (
        StepRun.objects.get(activation=activation, name="over").error
        == "900 is greater than 1,000 did not hold"
    )


def test_waves_cross_versions_and_workflows(look: Look, connection: Connection) -> None:
    due(connection, 1, 2)
    due(connection, 3, steps=[LOOK])
    runner.run_lane(connection.pk)
    assert look.waves == [3]
    assert states() == ["stopped", "stopped", "succeeded"]


def test_missing_name_fails_its_activation_alone(look: Look, connection: Connection) -> None:
    first, *_ = due(connection, 2000, 2000)
    Activation.objects.filter(pk=first.pk).update(trigger_data={})
    runner.run_lane(connection.pk)
    assert states() == ["failed", "succeeded"]
    first.refresh_from_db()
    assert (first.error_code, first.error) == (
        "expression",
        "look: trigger.number is undefined (line 1, column 4).",
    )


def test_input_that_the_form_refuses_fails_with_the_field_named(
    look: Look, connection: Connection
) -> None:
    (activation,) = due(connection, "many")
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, activation.error_code, activation.error) == (
        "failed",
        "input",
        "look: number: Enter a number.",
    )


def test_providers_no_is_final(look: Look, connection: Connection) -> None:
    def refuse(data: Data) -> None:
        raise Invalid(["Invoice # must be unique."], status=400)

    look.behave = refuse
    (activation,) = due(connection, 1)
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, activation.error_code, activation.error) == (
        "failed",
        "invalid",
        "look: Invoice # must be unique.",
    )
    assert StepRun.objects.get().provider_status == 400


def test_passing_trouble_is_tried_again_later_and_in_the_end_given_up(
    look: Look, connection: Connection
) -> None:
    def refuse(data: Data) -> None:
        raise RetryLater("Xero did not answer.")

    look.behave = refuse
    (activation,) = due(connection, 1)
    for attempt in range(1, MAX_ATTEMPTS):
        runner.run_lane(connection.pk)
        activation.refresh_from_db()
        assert (activation.state, activation.attempt) == ("ready", attempt)
        assert activation.next_at > timezone.now()
        Activation.objects.update(next_at=F("created_at"))
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, activation.error_code) == ("failed", "gave-up")
    assert StepRun.objects.count() == MAX_ATTEMPTS


def test_limit_of_the_tenant_parks_the_lane_and_costs_no_attempt(
    look: Look, connection: Connection
) -> None:
    until = timezone.now() + timedelta(minutes=30)

    def refuse(data: Data) -> None:
        raise RetryLater("Xero's minute limit is reached.", at=until, tenant_wide=True, status=429)

    look.behave = refuse
    due(connection, 1, 2)
    runner.run_lane(connection.pk)
    lane = Lane.objects.get()
    assert (lane.parked_until, lane.parked_reason) == (until, "Xero's minute limit is reached.")
    assert list(Activation.objects.values_list("state", "attempt")) == [("ready", 0)] * 2
    look.waves.clear()
    runner.run_lane(connection.pk)
    assert look.waves == []  # parked


def test_tenant_parked_for_an_hour_costs_the_others_nothing(
    look: Look, connection: Connection, other_workspace: Workspace
) -> None:
    """Events that come meanwhile queue one message in all, which ends at once; another tenant's run
    as ever.
    """
    elsewhere = make_connection(other_workspace)
    due(connection, 1)
    Lane.objects.update(parked_until=timezone.now() + timedelta(hours=1), wake_pending=False)
    OrmQ.objects.all().delete()
    for number in range(2000, 2003):
        due(connection, number)
        lanes.rewake_forgotten()
    assert OrmQ.objects.count() == 1
    with CaptureQueriesContext(database) as queries:
        runner.run_lane(connection.pk)
    assert (len(queries), look.waves) == (1, [])
    due(elsewhere, 2000)
    runner.run_lane(elsewhere.pk)
    assert (states(), look.waves) == (["ready"] * 4 + ["succeeded"], [1])


def test_broken_connection_waits_for_its_mending(look: Look, connection: Connection) -> None:
    def refuse(data: Data) -> None:
        raise NeedsConsent("Xero no longer accepts this consent.")

    look.behave = refuse
    due(connection, 2000)
    runner.run_lane(connection.pk)
    assert (states(), Lane.objects.get().parked_reason) == (
        ["ready"],
        "Xero no longer accepts this consent.",
    )
    look.behave = None
    lanes.unpark(connection.pk)
    runner.run_lane(connection.pk)
    assert states() == ["succeeded"]


@pytest.mark.parametrize(
    "changes", [{"state": "error"}, {"state": "revoked"}, {"paused_at": timezone.now()}]
)
def test_lane_of_a_connection_that_does_not_work_stands_still(
    look: Look, connection: Connection, changes: dict[str, Any]
) -> None:
    due(connection, 2000)
    Connection.objects.update(**changes)
    runner.run_lane(connection.pk)
    assert (states(), look.waves) == (["ready"], [])


def test_lane_of_an_archived_client_stands_still_until_it_is_back(
    look: Look, connection: Connection
) -> None:
    due(connection, 2000)
    Workspace.objects.update(archived_at=timezone.now())
    runner.run_lane(connection.pk)
    assert states() == ["ready"]
    Workspace.objects.update(archived_at=None)
    runner.run_lane(connection.pk)
    assert states() == ["succeeded"]


def test_action_that_breaks_fails_only_the_poisoned_one(look: Look, connection: Connection) -> None:
    def break_on_seven(data: Data) -> None:
        if data["number"] == 7:
            raise ZeroDivisionError

    look.behave = break_on_seven
    due(connection, 2000, 7, 3000)
    runner.run_lane(connection.pk)
    assert states() == ["succeeded", "failed", "succeeded"]
    assert Activation.objects.get(state="failed").error_code == "internal"


def test_effect_that_breaks_asks_a_person(look: Look, connection: Connection) -> None:
    def break_always(data: Data) -> None:
        raise ZeroDivisionError

    registry.actions["test/effect"].behave = break_always  # type: ignore[attr-defined]
    due(connection, 1, steps=[LOOK | {"action": "test/effect"}, NOTE])
    runner.run_lane(connection.pk)
    assert states() == ["unknown"]


def test_action_of_another_release_is_waited_for(look: Look, connection: Connection) -> None:
    """F30: during a deploy some nodes do not know it yet, or no longer."""
    (activation,) = due(connection, 2000, steps=[LOOK | {"action": "test/gone"}])
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, activation.attempt, activation.error) == (
        "ready",
        0,
        "This version of TaskJuice has no action test/gone; it waits for one.",
    )
    assert activation.next_at > timezone.now()
    registry.actions["test/gone"] = look
    plans.load_plan.cache_clear()  # as in the process of the next release
    Activation.objects.update(next_at=F("created_at"))
    runner.run_lane(connection.pk)
    del registry.actions["test/gone"]
    assert states() == ["succeeded"]


def test_attempt_counts_the_crash(look: Look, connection: Connection) -> None:
    """A claim that never came back counts as an attempt; after the last one nothing runs any more."""
    (activation,) = due(connection, 2000)
    Activation.objects.update(state="running", attempt=MAX_ATTEMPTS, lease_token=uuid4())
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, activation.error_code, look.waves) == ("failed", "gave-up", [])


def test_activation_that_failed_often_runs_alone(look: Look, connection: Connection) -> None:
    activations = due(connection, 2000, 2000, 2000)
    Activation.objects.filter(pk=activations[0].pk).update(attempt=ALONE_FROM - 1)
    runner.run_lane(connection.pk)
    assert look.waves == [2]
    assert OrmQ.objects.count() == 2  # woken by the test, and queued again for the one that is left
    runner.run_lane(connection.pk)
    assert (look.waves, states()) == ([2, 1], ["succeeded"] * 3)


def test_activations_of_a_lost_lease_are_taken_over(look: Look, connection: Connection) -> None:
    due(connection, 2000, 500)
    Activation.objects.update(state="running", attempt=1, lease_token=uuid4())
    runner.run_lane(connection.pk)
    assert states() == ["succeeded", "stopped"]


def test_finished_steps_are_not_repeated(look: Look, connection: Connection) -> None:
    due(connection, 2000)
    Activation.objects.update(position=1, outputs={"look": {"number": 4000}})
    runner.run_lane(connection.pk)
    assert (states(), look.waves) == (["succeeded"], [])
    assert StepRun.objects.get(name="note").output == {"note": "It is 4000."}


def test_effect_is_stored_before_the_next_step(look: Look, connection: Connection) -> None:
    """Should the process die in the step after an effect, the effect's outcome is on disk."""
    seen: list[tuple[int, dict[str, Any]]] = []

    def peek(data: Data) -> None:
        row = Activation.objects.get()
        seen.append((row.position, row.outputs))

    look.behave = peek
    due(connection, 2000, steps=[LOOK | {"name": "pay", "action": "test/effect"}, LOOK])
    runner.run_lane(connection.pk)
    assert seen == [(1, {"pay": {"number": 2000}})]


def test_second_holder_finds_the_lane_taken(look: Look, connection: Connection) -> None:
    due(connection, 2000)
    lease = lanes.acquire(connection.pk)
    assert lease is not None
    assert lanes.acquire(connection.pk) is None
    runner.run_lane(connection.pk)
    assert look.waves == []
    lanes.release(lease, more=True)
    runner.run_lane(connection.pk)
    assert states() == ["succeeded"]


def test_late_holder_writes_nothing(look: Look, connection: Connection) -> None:
    """A process that slept through its lease finds the lane taken over and leaves all rows alone."""

    def lose_the_lane(data: Data) -> None:
        Lane.objects.update(lease_token=uuid4())

    look.behave = lose_the_lane
    due(connection, 2000)
    runner.run_lane(connection.pk)
    assert (states(), StepRun.objects.count()) == (["running"], 0)


def test_wake_up_during_a_turn_is_not_lost(look: Look, connection: Connection) -> None:
    def more_comes(data: Data) -> None:
        look.behave = None
        due(connection, 3000)

    look.behave = more_comes
    due(connection, 2000)
    OrmQ.objects.all().delete()
    runner.run_lane(connection.pk)
    assert (Lane.objects.get().wake_pending, OrmQ.objects.count()) == (
        True,
        1,
    )  # it waits in the queue
    runner.run_lane(connection.pk)
    assert states() == ["succeeded", "succeeded"]


def test_wake_up_that_was_taken_in_vain_during_a_turn_is_queued_again(
    look: Look, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn may last longer than the pace: then another worker takes the message and finds the
    lane held.
    """
    monkeypatch.setattr(lanes, "PACE_SECONDS", 0.0)

    def more_comes(data: Data) -> None:
        look.behave = None
        due(connection, 3000)
        OrmQ.objects.all().delete()
        runner.run_lane(connection.pk)

    look.behave = more_comes
    due(connection, 2000)
    OrmQ.objects.all().delete()
    runner.run_lane(connection.pk)
    assert (Lane.objects.get().wake_pending, OrmQ.objects.count()) == (True, 1)
    runner.run_lane(connection.pk)
    assert states() == ["succeeded", "succeeded"]


def waits() -> list[bool]:
    """Return, for each queued message, True if it may be taken only later."""
    return [
        row.lock > timezone.now() for row in OrmQ.objects.order_by("id") if row.lock is not None
    ]


def test_lane_at_rest_starts_at_once_and_again_a_second_later_at_the_soonest(
    look: Look, connection: Connection
) -> None:
    due(connection, 2000)
    assert waits() == [False]
    runner.run_lane(connection.pk)
    due(connection, 3000)
    assert waits() == [False, True]
    assert Lane.objects.filter(woken_at=F("turn_at") + timedelta(seconds=1)).exists()


def test_lane_waits_for_more_when_many_events_come_at_once(
    look: Look, connection: Connection
) -> None:
    lanes.wake_lanes([connection.pk], gather=True)
    assert waits() == [True]


def test_turn_takes_full_calls_and_leaves_the_rest_for_a_second(
    look: Look, connection: Connection
) -> None:
    """A call that reads forty costs what a call that reads two does, and more may be coming."""
    due(connection, *range(2000, 2000 + 2 * TOGETHER + 2))
    OrmQ.objects.all().delete()
    runner.run_lane(connection.pk)
    assert (states().count("succeeded"), waits()) == (2 * TOGETHER, [True])
    runner.run_lane(connection.pk)
    assert (set(states()), OrmQ.objects.count()) == ({"succeeded"}, 1)


def test_sweep_wakes_what_is_due_and_forgotten(look: Look, connection: Connection) -> None:
    due(connection, 2000)
    OrmQ.objects.all().delete()
    lanes.rewake_forgotten()
    assert OrmQ.objects.count() == 0  # woken a moment ago: its message may still be on the way
    Lane.objects.update(woken_at=timezone.now() - timedelta(seconds=11))
    lanes.rewake_forgotten()
    assert OrmQ.objects.count() == 1


def test_sweep_frees_the_lane_of_a_dead_process(look: Look, connection: Connection) -> None:
    due(connection, 2000)
    lanes.acquire(connection.pk)
    lanes.rewake_forgotten()
    assert OrmQ.objects.count() == 1  # held by this very process, which lives
    Lane.objects.update(lease_holder=F("lease_holder"))
    lane = Lane.objects.get()
    host, pid, _ = lane.lease_holder.split("|")
    Lane.objects.update(lease_holder=f"{host}|{pid}|1")  # the same pid, but started at another time
    lanes.rewake_forgotten()
    assert OrmQ.objects.count() == 2
    runner.run_lane(connection.pk)
    assert states() == ["succeeded"]


def test_lane_of_a_dead_holder_is_woken_at_once_though_a_wake_up_found_it_held(
    look: Look, connection: Connection
) -> None:
    due(connection, 2000)
    assert lanes.acquire(connection.pk) is not None
    host = processes.identify_process().split("|", maxsplit=1)[0]
    lanes.wake_lanes([connection.pk])
    OrmQ.objects.all().delete()
    runner.run_lane(connection.pk)  # the wake-up is taken, and the lane is held
    Lane.objects.update(lease_holder=f"{host}|{os.getpid()}|1")
    lanes.rewake_forgotten()
    assert OrmQ.objects.count() == 1
    runner.run_lane(connection.pk)
    assert states() == ["succeeded"]


def test_try_later_with_a_time_waits_for_it(
    look: Look, connection: Connection, monkeypatch: Any
) -> None:
    at = timezone.now() + timedelta(hours=1)
    monkeypatch.setattr(Look, "outcome", lambda *_: TryLater("later", at=at))
    (activation,) = due(connection, 1)
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, activation.next_at, activation.error) == ("ready", at, "later")


def test_unknown_outcome_waits_for_a_person(
    look: Look, connection: Connection, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Look, "outcome", lambda *_: Unknown("No answer came."))
    (activation,) = due(connection, 1)
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, activation.error) == ("unknown", "look: No answer came.")


def test_subject_is_what_the_first_step_names(
    look: Look, connection: Connection, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Look, "outcome", lambda *_: Done({"number": 1}, subject="INV-0042"))
    (activation,) = due(connection, 1, steps=[LOOK])
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert activation.subject == "INV-0042"


def test_queries_of_a_turn_do_not_grow_with_its_activations(
    look: Look,
    connection: Connection,
    django_assert_num_queries: Any,
    django_assert_max_num_queries: Any,
) -> None:
    due(connection, *range(2))
    with django_assert_max_num_queries(40) as few:
        runner.run_lane(connection.pk)
    due(connection, *range(30))
    with django_assert_num_queries(len(few)):
        runner.run_lane(connection.pk)


def test_cancelled_while_its_step_is_taken_keeps_the_answer_and_takes_no_other(
    look: Look, connection: Connection, member: User
) -> None:
    """F36: the call's result is recorded, the next step is not started."""
    (activation,) = due(connection, 2000, steps=[LOOK, LOOK | {"name": "again"}])

    def somebody_cancels(data: Data) -> None:
        replay.cancel_activation(activation=activation, by=member)

    look.behave = somebody_cancels
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, activation.position, activation.lease_token) == ("cancelled", 1, None)
    assert activation.outputs == {"look": {"number": 2000}}
    assert list(StepRun.objects.values_list("name", "outcome")) == [("look", "done")]


def test_cancelled_during_its_last_step_stays_cancelled(
    look: Look, connection: Connection, member: User
) -> None:
    (activation,) = due(connection, 2000, steps=[LOOK])
    look.behave = lambda _: replay.cancel_activation(activation=activation, by=member)
    runner.run_lane(connection.pk)
    assert (states(), StepRun.objects.get().outcome) == (["cancelled"], "done")


def test_cancelled_one_is_not_replayed_while_its_step_is_taken(
    look: Look, connection: Connection, member: User
) -> None:
    (activation,) = due(connection, 2000, steps=[LOOK])
    refusals: list[str] = []

    def cancel_and_replay(data: Data) -> None:
        replay.cancel_activation(activation=activation, by=member)
        with pytest.raises(lifecycle.NotAllowedNow) as refused:
            replay.replay_where_it_ended(activation=activation, by=member)
        refusals.append(str(refused.value))

    look.behave = cancel_and_replay
    runner.run_lane(connection.pk)
    assert refusals == ["A step of it is just being taken. Try again in a moment."]
    look.behave = None
    activation.refresh_from_db()
    replay.replay_activation(activation=activation, position=0, by=member)
    assert states() == ["ready"]


@pytest.mark.parametrize("at_rest", ["connection", "client"])
def test_connection_paused_while_a_step_is_taken_takes_no_other(
    look: Look, connection: Connection, at_rest: str
) -> None:
    def pause(data: Data) -> None:
        if at_rest == "connection":
            Connection.objects.update(paused_at=timezone.now())
        else:
            Workspace.objects.update(archived_at=timezone.now())

    look.behave = pause
    (activation,) = due(connection, 2000, steps=[LOOK, LOOK | {"name": "again"}])
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, activation.position, activation.attempt) == ("ready", 1, 0)
    assert list(StepRun.objects.values_list("name", flat=True)) == ["look"]
    look.behave = None
    Connection.objects.update(paused_at=None)
    Workspace.objects.update(archived_at=None)
    runner.run_lane(connection.pk)
    assert states() == ["succeeded"]


def test_turn_that_is_over_leaves_the_rest_for_the_next_one(
    look: Look, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Look, "together", 2)
    monkeypatch.setattr(runner, "TURN_SECONDS", 0)
    due(connection, *[2000] * 5, steps=[LOOK])
    OrmQ.objects.all().delete()
    runner.run_lane(connection.pk)
    assert look.waves == [2]
    assert list(Activation.objects.order_by("id").values_list("state", "attempt")) == [
        *[("succeeded", 1)] * 2,
        *[("ready", 0)] * 3,
    ]
    assert OrmQ.objects.count() == 1  # queued again, behind the others
    runner.run_lane(connection.pk)
    runner.run_lane(connection.pk)
    assert (look.waves, states()) == ([2, 2, 1], ["succeeded"] * 5)


def test_turn_that_ends_within_a_list_repeats_no_element(
    look: Look, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Look, "together", 2)
    monkeypatch.setattr(runner, "TURN_SECONDS", 0)
    each = LOOK | {"for_each": "{{ trigger.number }}", "input": {"number": "{{ item }}"}}
    due(connection, [1, 2, 3, 4, 5], steps=[each])
    for _ in range(3):
        runner.run_lane(connection.pk)
    assert (look.waves, look.seen, states()) == ([2, 2, 1], [1, 2, 3, 4, 5], ["succeeded"])
    assert StepRun.objects.get().output == [{"number": number} for number in (1, 2, 3, 4, 5)]


def test_effects_are_stored_before_others_get_their_turn(
    look: Look, connection: Connection
) -> None:
    """Of many e-mails only those under way can go out twice should the process die."""
    seen: list[int] = []
    effect = registry.actions["test/effect"]
    effect.together = 1  # type: ignore[misc]
    effect.behave = lambda _: seen.append(Activation.objects.filter(position=1).count())  # type: ignore[attr-defined]
    due(connection, 1, 2, 3, steps=[LOOK | {"action": "test/effect"}])
    runner.run_lane(connection.pk)
    assert seen == [0, 1, 2]


@pytest.mark.django_db(transaction=True)
def test_what_has_effects_waits_for_the_disk_and_all_else_does_not(
    look: Look, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash of PostgreSQL may bring reads and conditions back, which do no harm; an e-mail may
    not go out twice.
    """
    commits: list[str] = []

    def hold(lease: Lease) -> None:
        held(lease)
        with database.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            commits.append(cursor.fetchone()[0])

    with database.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")  # the tests' database has it off

    held = lanes.hold
    monkeypatch.setattr(lanes, "hold", hold)
    effect = LOOK | {"name": "effect", "action": "test/effect"}
    due(connection, 1, steps=[LOOK, effect, LOOK | {"name": "after"}])
    runner.run_lane(connection.pk)
    with database.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        assert (commits, cursor.fetchone()[0]) == (["on", "off"], "on")
        cursor.execute("RESET synchronous_commit")


def test_workflows_of_a_lane_take_turns(
    look: Look, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workflow with a long queue does not hold up the others of its connection."""
    monkeypatch.setattr(runner, "BATCH", 4)
    monkeypatch.setattr(runner, "TURN_SECONDS", 0)
    due(connection, *[1] * 10, steps=[LOOK])
    due(connection, 2, steps=[LOOK])
    due(connection, 3, 3, steps=[LOOK])
    runner.run_lane(connection.pk)
    assert sorted(look.seen) == [1, 1, 2, 3]


def test_activations_of_a_deleted_workflow_are_told_off(look: Look, connection: Connection) -> None:
    (activation,) = due(connection, 2000)
    assert activation.workflow is not None
    activation.workflow.delete()
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, activation.error_code) == ("failed", "version-gone")


def test_limit_met_halfway_makes_the_rest_wait_without_asking(
    look: Look, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(data: Data) -> None:
        raise RetryLater(
            "Enough for now.", at=timezone.now() + timedelta(minutes=1), tenant_wide=True
        )

    monkeypatch.setattr(Look, "together", 2)
    look.behave = refuse
    due(connection, *[1] * 5)
    runner.run_lane(connection.pk)
    assert look.waves == [2]
    waiting = Activation.objects.values_list("state", "attempt", "error_code", "error")
    assert list(waiting) == [("ready", 0, "waiting", "Enough for now.")] * 5
