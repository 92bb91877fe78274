"""Tasks for people: asked once, decided once, and their effect on the activation."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection as database
from django.db import transaction
from django.db.models import F
from django.test import Client
from django.utils import timezone

from connections.models import Connection
from taskjuice.notifications import mailing
from taskjuice.site.attention import Attention
from taskjuice.workspaces.gate import WORK, Scope
from taskjuice.workspaces.models import Agency, AuditEntry, User, Workspace
from tests.factories import make_activation, make_approval, make_workflow
from workflows.activations import replay
from workflows.approvals import tasks as approval_tasks
from workflows.definition.drafts import Draft, Step
from workflows.definition.validation import RunScope, list_problems
from workflows.engine import lanes, runner
from workflows.engine.lifecycle import NotAllowedNow
from workflows.models import Activation, Approval, StepRun
from workflows.steps.ask_person import ApprovalForm

pytestmark = pytest.mark.django_db

ASK = {
    "question": "Pay {{ trigger.number }}?",
    "details": "It is {{ trigger.total }}.",
    "to": "",
    "days": "7",
}


def steps(**given: Any) -> list[dict[str, Any]]:
    after = {"values": [{"name": "said", "value": "{{ steps.ask.comment }}"}]}
    return [
        {"name": "ask", "action": "core/approval", "input": ASK | given},
        {"name": "then", "action": "core/set-values", "input": after},
    ]


def asked(connection: Connection, **given: Any) -> Activation:
    workflow = make_workflow(connection.agency, connection, steps=steps(**given))
    told = {"number": "INV-0042", "total": "1150.00"}
    activation = make_activation(workflow, connection, trigger_data=told, subject="INV-0042")
    with transaction.atomic():
        lanes.wake_lanes([connection.pk])
    return again(activation)


def again(activation: Activation) -> Activation:
    runner.run_lane(activation.connection_id)
    activation.refresh_from_db()
    return activation


def output(activation: Activation, name: str = "ask") -> Any:
    return StepRun.objects.filter(activation=activation, name=name).latest("id").output


def test_activation_waits_until_somebody_decides(connection: Connection, member: User) -> None:
    activation = asked(connection)
    task = Approval.objects.get()
    assert (task.question, task.details, task.state) == ("Pay INV-0042?", "It is 1150.00.", "open")
    assert (activation.state, activation.next_at) == ("ready", task.expires_at)
    assert activation.error == "Waits for a decision: Pay INV-0042?"
    approval_tasks.decide_task(approval=task, approved=True, comment=" Fine ", by=member)
    again(activation)
    task.refresh_from_db()
    assert (activation.state, task.state, task.comment) == ("succeeded", "approved", "Fine")
    assert task.decided_at is not None
    assert task.taken_at is not None
    assert output(activation) == {
        "approved": True,
        "by": "Max Member",
        "at": task.decided_at.isoformat(),
        "comment": "Fine",
    }
    assert output(activation, "then") == {"said": "Fine"}
    assert list(AuditEntry.objects.values_list("verb", "subject")) == [
        ("task approved", "Pay INV-0042?")
    ]


@pytest.mark.parametrize(
    ("declined", "state"), [("stop", "stopped"), ("continue", "succeeded"), ("", "stopped")]
)
def test_declined_stops_or_continues(
    connection: Connection, member: User, declined: str, state: str
) -> None:
    activation = asked(connection, declined=declined)
    approval_tasks.decide_task(
        approval=Approval.objects.get(), approved=False, comment="Too much", by=member
    )
    assert again(activation).state == state
    assert output(activation)["approved"] is False


def test_nobody_decides_in_time(connection: Connection, member: User) -> None:
    activation = asked(connection)
    Approval.objects.update(expires_at=F("asked_at"))
    Activation.objects.update(next_at=F("created_at"))
    with pytest.raises(NotAllowedNow, match="The time to decide is over"):
        approval_tasks.decide_task(
            approval=Approval.objects.get(), approved=True, comment="", by=member
        )
    assert again(activation).state == "stopped"
    assert StepRun.objects.latest("id").error == "Nobody decided in time."
    assert Approval.objects.get().state == "expired"


def test_it_is_asked_and_told_once_however_often_the_step_runs(
    connection: Connection, owner: User
) -> None:
    activation = asked(connection)
    for _ in range(3):
        replay.resume_activation(activation=activation, by=owner)
        again(activation)
    task = Approval.objects.get()
    assert (task.told, activation.attempt) == ([owner.email], 0)
    assert (mailing.send_immediate(), mailing.send_immediate()) == (1, 0)
    (letter,) = mail.outbox
    assert letter.to == [owner.email]
    assert letter.subject == "TaskJuice: To decide for Harbour Café: Pay INV-0042?"
    assert f"http://localhost:8000/northwind/harbour-cafe/tasks/{task.pk}/" in letter.body


def test_chosen_colleagues_are_told(connection: Connection, member: User, admin: User) -> None:
    asked(connection, to=f"{member.email.upper()}, {admin.email}")
    assert Approval.objects.get().told == [member.email, admin.email]


def test_strangers_and_client_users_cannot_be_asked(
    connection: Connection, client_user: User
) -> None:
    activation = asked(connection, to=client_user.email)
    assert (activation.state, activation.error_code) == ("failed", "input")
    assert "Only people on your team can decide" in activation.error
    assert Approval.objects.count() == 0
    step = Step("ask", "core/approval", {"question": "Pay?", "days": "7", "to": "a@b.example"})
    draft = Draft("xero/invoice-event", {"change": "any"}, [step])
    assert [
        (p.where, p.field) for p in list_problems(draft, RunScope(connection.agency, [connection]))
    ] == [(0, "to")]


def test_first_decision_counts(connection: Connection, member: User, admin: User) -> None:
    asked(connection)
    task = Approval.objects.get()
    approval_tasks.decide_task(approval=task, approved=False, comment="", by=member)
    with pytest.raises(NotAllowedNow, match="Max Member has declined this already"):
        approval_tasks.decide_task(approval=task, approved=True, comment="", by=admin)
    assert Approval.objects.get().state == "declined"


@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_make_one_decision(
    connection: Connection, member: User, admin: User
) -> None:
    asked(connection)
    task, gate, results = Approval.objects.get(), threading.Barrier(2), []

    def decide(by: User, approved: bool) -> None:
        try:
            gate.wait()
            approval_tasks.decide_task(
                approval=Approval.objects.get(pk=task.pk), approved=approved, comment="", by=by
            )
            results.append("decided")
        except NotAllowedNow:
            results.append("refused")
        finally:
            database.close()

    people = [
        threading.Thread(target=decide, args=(member, True)),
        threading.Thread(target=decide, args=(admin, False)),
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(results) == ["decided", "refused"]
    assert AuditEntry.objects.filter(verb__startswith="task ").count() == 1


def test_decision_while_the_activation_is_being_stored_is_not_overlooked(
    connection: Connection, member: User
) -> None:
    activation = asked(connection)
    Activation.objects.update(state="running")
    approval_tasks.decide_task(
        approval=Approval.objects.get(), approved=True, comment="", by=member
    )
    Activation.objects.update(state="ready", next_at=timezone.now() + timedelta(days=7))
    approval_tasks.resume_overlooked()
    assert again(activation).state == "succeeded"
    before = Activation.objects.get().next_at
    approval_tasks.resume_overlooked()
    assert Activation.objects.get().next_at == before


def test_eighty_tasks_are_one_letter_and_nothing_more_within_a_quarter_of_an_hour(
    connection: Connection, owner: User
) -> None:
    workflow = asked(connection).workflow
    assert workflow is not None
    for _ in range(79):
        make_approval(make_activation(workflow, connection), told=[owner.email])
    assert (mailing.send_immediate(), mailing.send_immediate()) == (1, 0)
    (letter,) = mail.outbox
    assert letter.subject == "TaskJuice: 80 decisions wait at Northwind Books"
    assert ("- and 75 more" in letter.body, letter.body.count("/northwind/tasks/")) == (True, 1)
    assert not Approval.objects.filter(told_at=None).exists()
    make_approval(make_activation(workflow, connection), told=[owner.email])
    assert mailing.send_immediate() == 0
    User.objects.update(notified_at=timezone.now() - timedelta(minutes=15))
    assert (mailing.send_immediate(), len(mail.outbox)) == (1, 2)


def test_colleague_who_left_is_not_waited_for(connection: Connection, owner: User) -> None:
    workflow = asked(connection, to="").workflow
    assert workflow is not None
    task = make_approval(
        make_activation(workflow, connection), told=[owner.email, "gone@northwind.example"]
    )
    mailing.send_immediate()
    task.refresh_from_db()
    assert (sorted(task.reached), task.told_at is not None) == (
        sorted([owner.email, "gone@northwind.example"]),
        True,
    )


def test_cancelled_activation_asks_no_more(connection: Connection, owner: User) -> None:
    activation = asked(connection)
    replay.cancel_activation(activation=activation, by=owner)
    task = Approval.objects.get()
    assert task.state == "withdrawn"
    with pytest.raises(NotAllowedNow, match="no longer asked"):
        approval_tasks.decide_task(approval=task, approved=True, comment="", by=owner)


def test_replay_asks_anew(connection: Connection, owner: User) -> None:
    activation = asked(connection)
    approval_tasks.decide_task(
        approval=Approval.objects.get(), approved=False, comment="", by=owner
    )
    replay.replay_where_it_ended(activation=again(activation), by=owner)
    assert again(activation).state == "ready"
    assert list(Approval.objects.order_by("id").values_list("state", "current")) == [
        ("declined", False),
        ("open", True),
    ]


def test_one_wave_asks_many(connection: Connection) -> None:
    workflow = make_workflow(connection.agency, connection, steps=steps(to="{{ trigger.to }}"))
    for number, to in enumerate(["", "nobody@example.com", ""]):
        told = {"number": f"INV-{number}", "total": "1", "to": to}
        make_activation(workflow, connection, trigger_data=told)
    lanes.wake_lanes([connection.pk])
    runner.run_lane(connection.pk)
    assert list(Activation.objects.order_by("id").values_list("state", flat=True)) == [
        "ready",
        "failed",
        "ready",
    ]
    assert Approval.objects.count() == 2


@pytest.mark.parametrize("days", ["0", "91", "soon", ""])
def test_form_refuses_days(days: str) -> None:
    assert list(ApprovalForm(data=ASK | {"days": days}).errors) == ["days"]


# -- pages --


def test_member_approves_on_the_page(connection: Connection, as_member: Client) -> None:
    activation = asked(connection)
    task = Approval.objects.get()
    shown = as_member.get(f"/northwind/tasks/{task.pk}/").content.decode()
    assert "It is 1150.00." in shown
    assert "Approve" in shown
    answer = as_member.post(f"/northwind/tasks/{task.pk}/approve/", {"comment": "Yes"}, follow=True)
    assert answer.redirect_chain == [(f"/northwind/tasks/{task.pk}/", 302)]
    assert "Approved: the activation goes on." in answer.content.decode()
    assert again(activation).state == "succeeded"
    second = as_member.post(f"/northwind/tasks/{task.pk}/decline/", follow=True).content.decode()
    assert "Max Member has approved this already." in second


def test_activation_offers_the_decision_and_comes_back(
    connection: Connection, as_member: Client
) -> None:
    activation = asked(connection)
    page = f"/northwind/harbour-cafe/activations/{activation.pk}/"
    task = Approval.objects.get()
    place = f"/northwind/harbour-cafe/tasks/{task.pk}/"
    shown = as_member.get(page).content.decode()
    assert f'action="{place}approve/"' in shown
    assert f'formaction="{place}decline/"' in shown
    answer = as_member.post(f"{place}decline/", {"next": page})
    assert answer["Location"] == page
    assert (
        as_member.post(f"{place}decline/", {"next": "https://evil.example/"})["Location"] == place
    )


def test_comment_that_is_too_long_is_kept_and_said(
    connection: Connection, as_member: Client
) -> None:
    asked(connection)
    task = Approval.objects.get()
    answer = as_member.post(f"/northwind/tasks/{task.pk}/approve/", {"comment": "x" * 1001})
    assert answer.status_code == 422
    assert "x" * 1001 in answer.content.decode()
    assert Approval.objects.get().state == "open"


def test_client_user_sees_no_task(connection: Connection, as_client_user: Client) -> None:
    activation = asked(connection)
    shown = as_client_user.get(
        f"/northwind/harbour-cafe/activations/{activation.pk}/"
    ).content.decode()
    assert "Approve" not in shown


def test_list_filters_and_counts(connection: Connection, as_member: Client, member: User) -> None:
    activation = asked(connection)
    for number, state in enumerate(["withdrawn", "expired"]):
        make_approval(activation, step=f"s{number}", state=state, question=f"Question {number}")
    page = as_member.get("/northwind/tasks/?state=open").content.decode()
    assert "Pay INV-0042?" in page
    assert "Question 0" not in page
    assert (
        "Question 1"
        in as_member.get("/northwind/harbour-cafe/tasks/?q=question 1").content.decode()
    )
    assert "No task fits" in as_member.get("/northwind/tasks/?q=nothing").content.decode()


def test_open_tasks_need_attention(
    connection: Connection, agency: Agency, workspace: Workspace, member: User
) -> None:
    asked(connection)
    item = Attention(Scope(member, agency, None, WORK, is_client=False)).tasks
    assert item is not None
    assert (item.count, item.name, item.href) == (
        1,
        "Pay INV-0042?",
        "/northwind/tasks/?state=open",
    )


@pytest.mark.parametrize("place", ["/northwind/tasks/", "/northwind/harbour-cafe/tasks/"])
def test_list_asks_the_database_as_often_for_one_as_for_thirty(
    connection: Connection, as_member: Client, django_assert_num_queries: Any, place: str
) -> None:
    activation = asked(connection)
    as_member.get(place)  # notes when the session was last seen
    with database.execute_wrapper(counter := Counter()):
        as_member.get(place)
    for number in range(29):
        make_approval(activation, step=f"s{number}")
    with django_assert_num_queries(counter.count):
        as_member.get(place)


class Counter:
    count = 0

    def __call__(self, execute: Any, *given: Any) -> Any:
        self.count += 1
        return execute(*given)
