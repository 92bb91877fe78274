"""Conditions on steps, steps per element of a list, and handling of failures."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from connections.errors import Invalid, RetryLater
from connections.integrations import Data, Done
from connections.models import Connection
from tests.factories import make_activation, make_workflow
from tests.workflows.conftest import Look
from workflows.engine import lanes, runner
from workflows.engine.step_runs import MAX_ELEMENTS
from workflows.models import Activation, StepRun

pytestmark = pytest.mark.django_db

EACH = {
    "name": "each",
    "action": "test/look",
    "input": {"number": "{{ item.amount }}"},
    "for_each": "{{ trigger.lines }}",
}
TOTAL = {
    "name": "total",
    "action": "core/set-values",
    "input": {"values": {"sum": "{{ steps.each | sum: 'number' }}"}},
}
LINES = [{"amount": "1.10"}, {"amount": "2.20"}, {"amount": "3.30"}]


def run(connection: Connection, *steps: Any, **trigger: Any) -> Activation:
    workflow = make_workflow(connection.agency, connection, steps=list(steps))
    activation = make_activation(workflow, connection, trigger_data=trigger)
    lanes.wake_lanes([connection.pk])
    return again(activation)


def again(activation: Activation) -> Activation:
    Activation.objects.filter(pk=activation.pk).update(next_at=F("created_at"))
    runner.run_lane(activation.connection_id)
    activation.refresh_from_db()
    return activation


def outcomes(activation: Activation) -> list[tuple[str, str]]:
    return list(
        StepRun.objects.filter(activation=activation).order_by("id").values_list("name", "outcome")
    )


def only_if(field: str, operator: str, value: str) -> dict[str, Any]:
    return {
        "only_if": {
            "match": "all",
            "rows": [{"field": field, "operator": operator, "value": value}],
        }
    }


def test_step_whose_condition_holds_runs(look: Look, connection: Connection) -> None:
    step = {"name": "look", "action": "test/look", "input": {"number": "7"}}
    activation = run(connection, step | only_if("{{ trigger.n }}", "greater", "5"), n=6)
    assert (activation.state, outcomes(activation)) == ("succeeded", [("look", "done")])


def test_step_whose_condition_fails_is_skipped_and_the_rest_goes_on(
    look: Look, connection: Connection
) -> None:
    step = {"name": "look", "action": "test/look", "input": {"number": "7"}}
    note = {
        "name": "note",
        "action": "core/set-values",
        "input": {"values": {"x": "{{ steps.look | default: 'no' }}"}},
    }
    activation = run(connection, step | only_if("{{ trigger.n }}", "greater", "5"), note, n=3)
    assert (activation.state, outcomes(activation)) == (
        "succeeded",
        [("look", "skipped"), ("note", "done")],
    )
    assert look.seen == []
    records = {row.name: row for row in StepRun.objects.filter(activation=activation)}
    assert records["look"].error == "3 is greater than 5 did not hold"
    assert records["note"].output == {"x": "no"}


def test_condition_that_cannot_be_judged_fails_the_activation(
    look: Look, connection: Connection
) -> None:
    step = {"name": "look", "action": "test/look", "input": {"number": "7"}}
    activation = run(connection, step | only_if("{{ trigger.gone }}", "greater", "5"))
    assert (activation.state, activation.error_code) == ("failed", "expression")


def test_for_each_runs_once_per_element_in_one_wave(look: Look, connection: Connection) -> None:
    activation = run(connection, EACH, TOTAL, lines=LINES)
    assert (activation.state, look.waves) == ("succeeded", [3])
    records = {row.name: row for row in StepRun.objects.filter(activation=activation)}
    assert records["each"].output == [{"number": Decimal(line["amount"])} for line in LINES]
    assert records["total"].output == {"sum": Decimal("6.60")}


def test_for_each_over_an_empty_list_gives_an_empty_list(
    look: Look, connection: Connection
) -> None:
    activation = run(connection, EACH, TOTAL, lines=[])
    assert (activation.state, look.waves) == ("succeeded", [])
    assert StepRun.objects.get(activation=activation, name="each").output == []


def test_for_each_over_something_else_says_so(look: Look, connection: Connection) -> None:
    activation = run(connection, EACH, lines="many")
    assert (activation.state, activation.error) == (
        "failed",
        "each: {{ trigger.lines }} is not a list.",
    )


def test_for_each_is_limited(look: Look, connection: Connection) -> None:
    activation = run(connection, EACH, lines=[{"amount": 1}] * (MAX_ELEMENTS + 1))
    assert (activation.state, activation.error_code, look.waves) == ("failed", "too-many", [])


def test_elements_that_are_done_are_not_repeated(look: Look, connection: Connection) -> None:
    def wait_for_the_second(data: Data) -> None:
        if data["number"] == Decimal("2.20"):
            raise RetryLater("Not now.")

    look.behave = wait_for_the_second
    activation = run(connection, EACH, TOTAL, lines=LINES)
    assert (activation.state, look.seen) == (
        "ready",
        [Decimal("1.10"), Decimal("2.20"), Decimal("3.30")],
    )
    look.behave = None
    again(activation)
    assert activation.state == "succeeded"
    assert look.seen[3:] == [Decimal("2.20")]
    assert StepRun.objects.get(activation=activation, name="total").output == {
        "sum": Decimal("6.60")
    }


def test_failed_element_is_named(look: Look, connection: Connection) -> None:
    def refuse_the_third(data: Data) -> None:
        if data["number"] == Decimal("3.30"):
            raise Invalid(["No."])

    look.behave = refuse_the_third
    activation = run(connection, EACH, lines=LINES)
    assert (activation.state, activation.error) == ("failed", "each: element 3: No.")


def failing(look: Look) -> None:
    def refuse(data: Data) -> None:
        raise Invalid(["No."])

    look.behave = refuse


STEP = {"name": "look", "action": "test/look", "input": {"number": "7"}}
NOTE = {"name": "note", "action": "core/set-values", "input": {"values": {"x": "on"}}}


def test_failure_stops_the_activation(look: Look, connection: Connection) -> None:
    failing(look)
    activation = run(connection, STEP, NOTE)
    assert (activation.state, outcomes(activation)) == ("failed", [("look", "failed")])


def test_step_may_go_on_after_its_failure(look: Look, connection: Connection) -> None:
    failing(look)
    activation = run(connection, STEP | {"on_error": {"then": "continue"}}, NOTE)
    assert (activation.state, activation.error) == ("succeeded", "")
    assert outcomes(activation) == [("look", "failed"), ("note", "done")]


def test_step_may_be_tried_again_after_a_failure(look: Look, connection: Connection) -> None:
    failing(look)
    before = timezone.now()
    activation = run(
        connection, STEP | {"on_error": {"then": "stop", "times": 2, "seconds": 600}}, NOTE
    )
    assert (activation.state, activation.error) == ("ready", "No.")
    assert activation.next_at - before >= timedelta(seconds=600)
    again(activation)
    assert activation.state == "ready"
    again(activation)
    assert (activation.state, activation.error, len(look.seen)) == ("failed", "look: No.", 3)


def test_wrong_input_is_not_tried_again(look: Look, connection: Connection) -> None:
    step = STEP | {
        "input": {"number": "many"},
        "on_error": {"then": "stop", "times": 5, "seconds": 1},
    }
    assert run(connection, step).state == "failed"


def test_success_clears_what_was_said_while_it_waited(look: Look, connection: Connection) -> None:
    def wait(data: Data) -> None:
        raise RetryLater("Not now.")

    look.behave = wait
    activation = run(connection, STEP)
    assert activation.error == "Not now."
    look.behave = None
    assert (again(activation).state, activation.error, activation.error_code) == (
        "succeeded",
        "",
        "",
    )


def test_done_may_rest_the_activation(look: Look, connection: Connection, monkeypatch: Any) -> None:
    until = timezone.now() + timedelta(hours=3)
    monkeypatch.setattr(Look, "outcome", lambda *_: Done({"number": 1}, not_before=until))
    activation = run(connection, STEP, NOTE)
    assert (activation.state, activation.next_at, activation.position, activation.attempt) == (
        "ready",
        until,
        1,
        0,
    )
    assert again(activation).state == "succeeded"
    assert outcomes(activation) == [("look", "done"), ("note", "done")]
