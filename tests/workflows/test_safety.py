"""The safety pause: what fails again and again stops by itself, loses nothing, and asks a person once."""

import pytest
from django.core import mail
from django.test import Client
from django_q.models import OrmQ

from connections import inbox
from connections.errors import Invalid
from connections.integrations import Data
from connections.models import Connection
from taskjuice.notices import incidents, mailing
from taskjuice.notices.models import Incident
from taskjuice.workspaces.models import AuditEntry, User, Workspace
from tests.factories import make_activation, make_event, make_workflow
from tests.workflows.conftest import Look
from workflows import engine, lanes, lifecycle, safety
from workflows.models import Activation, Lane, Workflow

pytestmark = pytest.mark.django_db

LOOK = {"name": "look", "action": "test/look", "input": {"number": "{{ trigger.number }}"}}


def refuse_odd(data: Data) -> None:
    if data["number"] % 2:
        raise Invalid(["Odd numbers are refused."], status=400)


@pytest.fixture
def workflow(connection: Connection, look: Look) -> Workflow:
    look.behave = refuse_odd
    return make_workflow(
        connection.agency, connection, steps=[LOOK], name="Chase", pause_after=3, trigger="xero/contact-event"
    )


def run(workflow: Workflow, connection: Connection, *numbers: int) -> None:
    for number in numbers:
        make_activation(workflow, connection, trigger_data={"number": number})
    lanes.wake_lanes([connection.pk])
    engine.run_lane(connection.pk)
    workflow.refresh_from_db()


def test_failures_in_a_row_pause_it(workflow: Workflow, connection: Connection) -> None:
    run(workflow, connection, 1, 3)
    assert (workflow.state, workflow.failures) == ("published", 2)
    run(workflow, connection, 5)
    assert (workflow.state, workflow.failures, workflow.held) == ("safety", 3, True)
    assert workflow.paused_because == "look: Odd numbers are refused."
    entry = AuditEntry.objects.get(verb="workflow paused for safety")
    assert (entry.actor, entry.subject, entry.details) == (None, "Chase", {"failures": 3})


def test_one_that_ends_well_begins_the_count_anew(workflow: Workflow, connection: Connection) -> None:
    run(workflow, connection, 1, 3)
    run(workflow, connection, 2)
    assert (workflow.state, workflow.failures) == ("published", 0)
    run(workflow, connection, 1, 2, 5)  # within one batch too
    assert (workflow.state, workflow.failures) == ("published", 1)
    run(workflow, connection, 7)
    assert (workflow.state, workflow.failures) == ("published", 2)


def test_never_where_it_is_switched_off(workflow: Workflow, connection: Connection) -> None:
    Workflow.objects.update(pause_after=0)
    run(workflow, connection, *[1] * 30)
    assert (workflow.state, workflow.failures) == ("published", 30)


def test_meanwhile_everything_waits_and_goes_on_when_it_is_resumed(
    workflow: Workflow, connection: Connection, look: Look, member: User
) -> None:
    run(workflow, connection, 1, 3, 5)
    look.seen.clear()
    run(workflow, connection, 4)
    assert (look.seen, safety.waiting(workflow).count()) == ([], 1)
    lifecycle.resume(workflow=workflow, by=member)
    workflow.refresh_from_db()
    assert (workflow.state, workflow.failures, workflow.held, workflow.paused_because) == (
        "published",
        0,
        False,
        "",
    )
    engine.run_lane(connection.pk)
    assert (look.seen, safety.waiting(workflow).count()) == ([4], 0)


def test_events_that_come_meanwhile_start_activations_that_wait(
    workflow: Workflow, connection: Connection
) -> None:
    run(workflow, connection, 1, 3, 5)
    event = make_event(connection, category="CONTACT")
    assert inbox.announce([event]) == {event.pk: 1}
    engine.run_lane(connection.pk)
    assert Activation.objects.get(event=event).state == "ready"


def test_other_workflows_of_the_lane_run_on(workflow: Workflow, connection: Connection) -> None:
    run(workflow, connection, 1, 3, 5)
    other = make_workflow(connection.agency, connection, steps=[LOOK])
    run(other, connection, 2)
    assert Activation.objects.get(workflow=other).state == "succeeded"


def test_those_under_way_when_it_pauses_take_no_further_step(
    workflow: Workflow, connection: Connection, look: Look
) -> None:
    two = make_workflow(connection.agency, connection, steps=[LOOK, LOOK | {"name": "again"}])
    look.behave = lambda _: Workflow.objects.update(state="safety", held=True)
    run(two, connection, 2)
    activation = Activation.objects.get()
    assert (activation.state, activation.position, activation.attempt) == ("ready", 1, 0)


def test_sweep_does_not_wake_a_lane_for_what_is_held(workflow: Workflow, connection: Connection) -> None:
    run(workflow, connection, 1, 3, 5)
    run(workflow, connection, 2)
    OrmQ.objects.all().delete()
    Lane.objects.update(wake_pending=False)
    lanes.rewake_forgotten()
    assert OrmQ.objects.count() == 0


def test_archiving_lets_nothing_go_and_it_comes_back_as_it_was(
    workflow: Workflow, connection: Connection, look: Look, member: User
) -> None:
    run(workflow, connection, 1, 3, 5)
    lifecycle.archive(workflow=workflow, by=member)
    look.seen.clear()
    run(workflow, connection, 2)
    assert look.seen == []
    lifecycle.unarchive(workflow=workflow, by=member)
    workflow.refresh_from_db()
    assert workflow.state == "safety"


def test_team_is_told_once_and_no_more_once_it_runs_again(
    workflow: Workflow, connection: Connection, owner: User, admin: User, member: User
) -> None:
    run(workflow, connection, 1, 3, 5)
    incidents.look()
    run(workflow, connection, 7)
    incidents.look()
    assert (mailing.send_immediate(), mailing.send_immediate()) == (2, 0)
    assert [letter.to for letter in mail.outbox] == [[owner.email], [admin.email]]
    assert mail.outbox[0].subject == (
        "TaskJuice: A workflow paused itself after failures in a row: Chase: look: Odd numbers are refused."
    )
    assert f"/northwind/workflows/{workflow.pk}/\n" in mail.outbox[0].body
    lifecycle.resume(workflow=workflow, by=member)
    incidents.look()
    assert not Incident.objects.filter(kind="safety", closed_at=None).exists()


def test_page_says_why_and_resumes(workflow: Workflow, connection: Connection, as_member: Client) -> None:
    run(workflow, connection, 1, 3, 5)
    run(workflow, connection, 2)
    address = f"/northwind/workflows/{workflow.pk}/"
    page = as_member.get(address).content.decode()
    assert "It paused itself after 3 failures in a row. The last one: look: Odd numbers are refused." in page
    assert "1 activation waits;" in page
    assert "Paused (safety)" in as_member.get("/northwind/workflows/?state=safety").content.decode()
    assert "Chase paused itself" in as_member.get("/northwind/").content.decode()
    assert as_member.post(f"{address}resume/").status_code == 302
    assert "paused itself" not in as_member.get(address).content.decode()


def test_limit_is_set_on_the_page(workflow: Workflow, as_member: Client) -> None:
    address = f"/northwind/workflows/{workflow.pk}/safety/"
    assert as_member.post(address, {"pause_after": "7"}).status_code == 302
    workflow.refresh_from_db()
    assert workflow.pause_after == 7
    entry = AuditEntry.objects.get(verb="workflow safety changed")
    assert entry.details == {"before": 3, "after": 7}


def test_wrong_limit_is_told_at_its_field_and_kept(workflow: Workflow, as_member: Client) -> None:
    answer = as_member.post(f"/northwind/workflows/{workflow.pk}/safety/", {"pause_after": "-4"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "greater than or equal to 0" in page
    assert 'value="-4"' in page
    workflow.refresh_from_db()
    assert workflow.pause_after == 3


def test_client_user_reads_the_reason_and_changes_nothing(
    workflow: Workflow, connection: Connection, workspace: Workspace, as_client_user: Client
) -> None:
    run(workflow, connection, 1, 3, 5)
    address = f"/northwind/harbour-cafe/workflows/{workflow.pk}/"
    page = as_client_user.get(address).content.decode()
    assert ("It paused itself" in page, "then resume" in page, 'action="' + address + 'safety/"' in page) == (
        True,
        False,
        False,
    )
    assert as_client_user.post(f"{address}resume/").status_code == 403
