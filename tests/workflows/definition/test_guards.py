"""Limits on a step's writes, with the real engine and journal."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.db import connections, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from connections.errors import RetryLater
from connections.integrations import registry
from connections.models import Call, Connection
from connections.writes.writers import WRITERS
from taskjuice.workspaces.models import User, Workspace
from tests.factories import make_activation, make_connection, make_workflow
from tests.workflows.conftest import Effect, Look
from tests.workflows.writing import Pay, PayWriter, step
from workflows.activations import replay
from workflows.approvals import tasks as approval_tasks
from workflows.definition import guards
from workflows.engine import lanes, runner
from workflows.models import Activation, Approval, Permit, StepRun, Workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def pay() -> Iterator[PayWriter]:
    writer = PayWriter()
    for known in (writer.there, writer.refuses):
        known.clear()
    writer.written.clear()
    registry.add(actions=[Pay()])
    WRITERS[Pay.key] = writer
    yield writer
    del registry.actions[Pay.key], WRITERS[Pay.key]


def due(
    workflow: Workflow,
    connection: Connection,
    *amounts: Any,
    currency: str = "NZD",
    reference: str = "",
) -> list[Activation]:
    found = [
        make_activation(
            workflow,
            connection,
            trigger_data={
                "amount": amount,
                "currency": currency,
                "reference": reference or f"r{number}",
            },
        )
        for number, amount in enumerate(amounts)
    ]
    with transaction.atomic():
        lanes.wake_lanes([connection.pk])
    return found


def guarded(*at: Connection, **guard: Any) -> Workflow:
    return make_workflow(at[0].agency, *at, steps=[step(**guard)])


def run(connection: Connection) -> list[str]:
    """Run another turn of the lane with everything due; return the states of all activations."""
    Activation.objects.filter(state="ready").update(next_at=Now())
    with transaction.atomic():
        lanes.wake_lanes([connection.pk])
    runner.run_lane(connection.pk)
    return list(Activation.objects.order_by("id").values_list("state", flat=True))


def an_hour_later() -> None:
    Permit.objects.update(given_at=F("given_at") - timedelta(hours=1))


def test_writes_above_the_hours_number_wait_their_turn(
    pay: PayWriter, connection: Connection
) -> None:
    waiting = due(guarded(connection, per_hour="2"), connection, 1, 2, 3, 4, 5)[2]
    assert run(connection) == ["succeeded", "succeeded", "ready", "ready", "ready"]
    waiting.refresh_from_db()
    first = Permit.objects.earliest("given_at").given_at
    assert (waiting.next_at, waiting.attempt) == (first + timedelta(hours=1), 0)
    assert waiting.error == (
        "Held back by a limit of this step: 2 writes in the last hour are all that this step may do."
    )
    an_hour_later()
    assert run(connection) == ["succeeded"] * 4 + ["ready"]
    assert pay.written == [1, 2, 3, 4]


def test_amounts_above_the_hours_sum_wait_per_currency(
    pay: PayWriter, connection: Connection
) -> None:
    workflow = guarded(connection, amount_per_hour="1,000")
    due(workflow, connection, 600, 500, 400)
    due(workflow, connection, 1000, currency="USD")
    assert run(connection) == ["succeeded", "ready", "succeeded", "succeeded"]
    an_hour_later()
    assert run(connection) == ["succeeded"] * 4


def test_an_amount_that_never_fits_fails(pay: PayWriter, connection: Connection) -> None:
    (hourly,) = due(guarded(connection, amount_per_hour="1000"), connection, Decimal("1000.01"))
    (single,) = due(guarded(connection, never_above="500"), connection, 501)
    (fine,) = due(guarded(connection, never_above="500"), connection, 500)
    run(connection)
    for activation in (hourly, single, fine):
        activation.refresh_from_db()
    assert (hourly.error_code, hourly.error) == (
        "guard",
        "pay: Payment: 1,000.01 NZD is more than the 1,000 that may be written in an hour.",
    )
    assert (single.error_code, single.error) == (
        "guard",
        "pay: Payment: 501 NZD is more than the 500 it may write at once.",
    )
    assert (fine.state, pay.written) == ("succeeded", [500])
    assert Call.objects.count() == 1  # what is held back is not even entered in the journal


@pytest.mark.parametrize("limit", ["never_above", "amount_per_hour"])
def test_an_amount_nobody_knows_does_not_pass_a_limit(
    pay: PayWriter, connection: Connection, limit: str
) -> None:
    (activation,) = due(guarded(connection, **{limit: "500"}), connection, "")
    run(connection)
    activation.refresh_from_db()
    assert (activation.state, activation.error_code) == ("failed", "guard")


def test_a_retry_is_not_counted_again(pay: PayWriter, connection: Connection) -> None:
    due(guarded(connection, per_hour="1"), connection, 1)
    (activation,) = Activation.objects.all()
    run(connection)
    Activation.objects.update(
        state="ready", position=0, finished_at=None
    )  # as if the outcome had been lost
    assert run(connection) == ["succeeded"]
    assert (pay.written, Permit.objects.count()) == ([1], 1)
    assert Permit.objects.get().activation == activation


def test_what_was_refused_counts_nowhere(pay: PayWriter, connection: Connection) -> None:
    workflow = guarded(connection, per_hour="1", duplicate="skip")
    pay.refuses.add("same")
    due(workflow, connection, 1, reference="same")
    assert run(connection) == ["failed"]
    pay.refuses.clear()
    due(workflow, connection, 1, reference="same")
    assert run(connection) == ["failed", "succeeded"]


def effect(connection: Connection, *numbers: int, **guard: Any) -> list[Activation]:
    given = {
        "name": "look",
        "action": "test/effect",
        "input": {"number": "{{ trigger.number }}"},
        "guard": guard,
    }
    wait = {
        "name": "wait",
        "action": "core/delay",
        "input": {"length": "1", "unit": "days", "until": ""},
    }
    workflow = make_workflow(connection.agency, connection, steps=[given, wait])
    return [
        make_activation(workflow, connection, trigger_data={"number": number}) for number in numbers
    ]


def test_what_was_cancelled_before_it_was_done_takes_nobodys_place(
    look: Look, connection: Connection, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_now(data: Any) -> None:
        raise RetryLater("Not now.")

    monkeypatch.setattr(Effect, "behave", staticmethod(not_now))
    first, second = effect(connection, 7, 7, per_hour="1", duplicate="stop")
    assert (run(connection), Permit.objects.get().activation) == (["ready", "stopped"], first)
    monkeypatch.setattr(Effect, "behave", None)
    replay.cancel_activation(activation=first, by=member)
    replay.replay_where_it_ended(activation=second, by=member)
    assert run(connection) == ["cancelled", "ready"]  # done, and it waits for a day
    assert look.seen == [7, 7]
    replay.replay_where_it_ended(activation=first, by=member)
    assert run(connection)[0] == "stopped"  # its own place was given away
    assert Permit.objects.get().activation == second


def test_what_was_done_counts_although_its_activation_was_cancelled(
    look: Look, connection: Connection, member: User
) -> None:
    first, _ = effect(connection, 1, 2, per_hour="1")
    with transaction.atomic():
        lanes.wake_lanes([connection.pk])
    runner.run_lane(connection.pk)
    replay.cancel_activation(activation=first, by=member)
    assert (run(connection), look.seen) == (["cancelled", "ready"], [1])


@pytest.mark.parametrize(
    ("what", "state", "outcome"), [("skip", "succeeded", "skipped"), ("stop", "stopped", "stopped")]
)
def test_the_same_again_is_not_written(
    pay: PayWriter, connection: Connection, what: str, state: str, outcome: str
) -> None:
    first, second = due(guarded(connection, duplicate=what), connection, 7, 7, reference="same")
    assert run(connection) == ["succeeded", state]
    record = StepRun.objects.get(activation=second)
    assert (record.outcome, record.error) == (
        outcome,
        f"This step was given the same in activation {first.pk}; it is not written twice.",
    )
    assert pay.written == [7]


def test_without_the_guard_the_same_is_written_again(
    pay: PayWriter, connection: Connection
) -> None:
    due(guarded(connection, per_hour="9"), connection, 7, 7, reference="same")
    assert (run(connection), pay.written) == (["succeeded", "succeeded"], [7, 7])


def test_the_same_at_another_client_or_long_ago_is_no_double(
    pay: PayWriter, connection: Connection, other_workspace: Workspace
) -> None:
    other = make_connection(other_workspace)
    workflow = guarded(connection, other, duplicate="skip", days="7")
    due(workflow, connection, 7, reference="same")
    due(workflow, other, 7, reference="same")
    run(connection), run(other)
    Permit.objects.update(given_at=F("given_at") - timedelta(days=7))
    due(workflow, connection, 7, reference="same")
    run(connection)
    assert pay.written == [7, 7, 7]


def test_what_the_provider_has_already_goes_to_later_steps(
    pay: PayWriter, connection: Connection
) -> None:
    pay.there.add("same")
    note = {
        "name": "note",
        "action": "core/set-values",
        "input": {"values": {"seen": "{{ steps.pay.found }}"}},
    }
    workflow = make_workflow(connection.agency, connection, steps=[step(duplicate="skip"), note])
    due(workflow, connection, 7, reference="same")
    assert run(connection) == ["succeeded"]
    assert StepRun.objects.get(name="note").output == {"seen": "same"}
    assert pay.written == []


def test_elements_of_a_list_are_counted_one_by_one(pay: PayWriter, connection: Connection) -> None:
    each = step(per_hour="2") | {
        "for_each": "{{ trigger.amounts }}",
        "input": {"amount": "{{ item }}", "reference": "{{ item }}", "currency": "NZD"},
    }
    workflow = make_workflow(connection.agency, connection, steps=[each])
    make_activation(workflow, connection, trigger_data={"amounts": [1, 2, 3]})
    assert run(connection) == ["ready"]
    assert pay.written == [1, 2]
    an_hour_later()
    assert (run(connection), pay.written) == (["succeeded"], [1, 2, 3])


def test_e_mails_are_held_to_a_number_too(connection: Connection) -> None:
    letter = {"to": "a@b.example", "subject": "{{ trigger.n }}", "body": "x"}
    steps = [
        {"name": "mail", "action": "core/send-email", "input": letter, "guard": {"per_hour": "2"}}
    ]
    workflow = make_workflow(connection.agency, connection, steps=steps)
    for number in range(4):
        make_activation(workflow, connection, trigger_data={"n": str(number)})
    assert run(connection) == ["succeeded", "succeeded", "ready", "ready"]
    assert [letter.subject for letter in mail.outbox] == ["0", "1"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_do_not_pass_the_limit(
    pay: PayWriter, connection: Connection, other_workspace: Workspace
) -> None:
    other = make_connection(other_workspace)
    workflow = guarded(connection, other, per_hour="7")
    for at in (connection, other):
        due(workflow, at, *range(1, 11))
    together = threading.Barrier(2)

    def work(pk: int) -> None:
        together.wait()
        runner.run_lane(pk)
        connections.close_all()

    threads = [threading.Thread(target=work, args=(at.pk,)) for at in (connection, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(pay.written), Permit.objects.count()) == (7, 7)


def test_permits_go_with_their_activation(pay: PayWriter, connection: Connection) -> None:
    due(guarded(connection, per_hour="9"), connection, 1)
    run(connection)
    with connections["default"].cursor() as cursor:
        cursor.execute("DELETE FROM workflows_steprun")
        cursor.execute("DELETE FROM workflows_activation")
    assert Permit.objects.count() == 0


# -- approval
# ---------------------------------------------------------------------------------------------------------


def decide(approved: bool, by: User, comment: str = "") -> None:
    approval_tasks.decide_task(
        approval=Approval.objects.get(state="open"), approved=approved, comment=comment, by=by
    )


def test_a_large_write_waits_until_somebody_approves(
    pay: PayWriter, connection: Connection, member: User
) -> None:
    _, large = due(guarded(connection, approve_above="500"), connection, 500, Decimal("500.01"))
    assert run(connection) == ["succeeded", "ready"]
    large.refresh_from_db()
    assert (large.error, large.attempt) == ("Waits for a decision: Payment (500.01 NZD)?", 0)
    assert (pay.written, Call.objects.count()) == ([500], 1)
    decide(True, member)
    assert run(connection) == ["succeeded", "succeeded"]
    assert (pay.written, Approval.objects.count()) == ([500, Decimal("500.01")], 1)


def test_a_declined_write_is_not_made_and_ends_its_activation(
    pay: PayWriter, connection: Connection, member: User
) -> None:
    (activation,) = due(guarded(connection, approve_above="0"), connection, 1)
    run(connection)
    decide(False, member, "Not this one")
    assert run(connection) == ["stopped"]
    assert (
        StepRun.objects.filter(activation=activation).latest("id").error
        == f"Declined by {member}: Not this one"
    )
    assert (pay.written, Permit.objects.count()) == ([], 0)


def test_who_approved_one_amount_is_asked_again_for_another(
    pay: PayWriter, connection: Connection, member: User
) -> None:
    (activation,) = due(guarded(connection, approve_above="100"), connection, 200)
    run(connection)
    decide(True, member)
    Activation.objects.update(trigger_data=activation.trigger_data | {"amount": 300})
    assert (run(connection), pay.written) == (["ready"], [])
    assert Approval.objects.get(current=True).question == "Payment (300 NZD)?"
    decide(True, member)
    assert (run(connection), pay.written) == (["succeeded"], [300])


def test_what_was_approved_still_keeps_to_the_hour(
    pay: PayWriter, connection: Connection, member: User
) -> None:
    due(guarded(connection, approve_above="0", per_hour="1"), connection, 1, 2)
    run(connection)
    for approval in Approval.objects.filter(state="open"):
        approval_tasks.decide_task(approval=approval, approved=True, comment="", by=member)
    assert (run(connection), pay.written) == (["succeeded", "ready"], [1])
    an_hour_later()
    assert (run(connection), pay.written) == (["succeeded", "succeeded"], [1, 2])


def test_an_e_mail_can_wait_for_approval_on_its_activations_page(
    connection: Connection, as_member: Client
) -> None:
    letter = {"to": "a@b.example", "subject": "Hello", "body": "x"}
    steps = [
        {
            "name": "mail",
            "action": "core/send-email",
            "input": letter,
            "guard": {"approve_above": "0"},
        }
    ]
    activation = make_activation(
        make_workflow(connection.agency, connection, steps=steps), connection
    )
    run(connection)
    page = f"/northwind/activations/{activation.pk}/"
    story = as_member.get(page).context["story"]
    assert story.task.question == "Send an e-mail?"
    as_member.post(f"{story.task_href}approve/", {"next": page})
    assert run(connection) == ["succeeded"]
    assert "a@b.example" in [address for letter in mail.outbox for address in letter.to]


# -- the settings
# -----------------------------------------------------------------------------------------------------


def test_settings_survive_the_form(pay: PayWriter) -> None:
    typed = {
        "per_hour": "20",
        "amount_per_hour": "5,000",
        "approve_above": "0",
        "duplicate": "skip",
        "days": "10",
    }
    stored = guards.as_stored(guards.as_fields(typed))
    assert stored == typed
    assert list(guards.list_errors(Pay(), stored)) == []
    assert guards.in_words(stored) == [
        "Writes an hour: at most 20",
        "Amount an hour: at most 5,000",
        "A person approves: each one",
        "The same within 10 days: skip the step",
    ]


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"per_hour": "0"}, "per_hour"),
        ({"per_hour": "many"}, "per_hour"),
        ({"amount_per_hour": "-1"}, "amount_per_hour"),
        ({"never_above": "1.005"}, "never_above"),
        ({"approve_above": "{{ trigger.total }}"}, "approve_above"),
        ({"duplicate": "perhaps"}, "duplicate"),
        ({"duplicate": "skip", "days": "0"}, "days"),
    ],
)
def test_nonsense_is_refused_at_its_field(
    pay: PayWriter, typed: dict[str, str], field: str
) -> None:
    assert [name for name, _ in guards.list_errors(Pay(), guards.as_stored(typed))] == [field]


def test_steps_without_amounts_have_no_limits_by_amount() -> None:
    letter = registry.actions["core/send-email"]
    assert list(guards.GuardForm(action=letter).fields) == [
        "per_hour",
        "approve",
        "duplicate",
        "days",
    ]
    assert guards.as_stored({"approve": True}) == {"approve_above": "0"}
    assert not guards.can_guard(registry.actions["xero/get-invoice"])
