"""The safety pause: repeated failures at an organisation stop there, lose nothing, notify once."""

import pytest
from django.core import mail
from django.test import Client
from django_q.models import OrmQ

from connections.errors import Invalid
from connections.integrations import Data
from connections.models import Connection
from connections.webhooks import fan_out
from taskjuice.notifications import incidents, mailing
from taskjuice.notifications.models import Incident
from taskjuice.workspaces.models import AuditEntry, User, Workspace
from tests.factories import make_activation, make_connection, make_event, make_workflow
from tests.workflows.conftest import Look
from workflows.definition.drafts import Draft, Step
from workflows.engine import lanes, lifecycle, organisation_pauses, runner, safety_pause
from workflows.models import Activation, Lane, OrganisationPause, Workflow, WorkflowConnection

pytestmark = pytest.mark.django_db

LOOK = {"name": "look", "action": "test/look", "input": {"number": "{{ trigger.number }}"}}


def refuse_odd(data: Data) -> None:
    if data["number"] % 2:
        raise Invalid(["Odd numbers are refused."], status=400)


@pytest.fixture
def workflow(connection: Connection, look: Look) -> Workflow:
    look.behave = refuse_odd
    return make_workflow(
        connection.agency,
        connection,
        steps=[LOOK],
        name="Chase",
        pause_after=3,
        trigger="xero/contact-event",
    )


@pytest.fixture
def elsewhere(workflow: Workflow, other_workspace: Workspace) -> Connection:
    """Return another client's organisation that the workflow runs at."""
    found = make_connection(other_workspace, name="Kauri Builders Limited")
    WorkflowConnection.objects.create(agency=found.agency, workflow=workflow, connection=found)
    return found


def run(workflow: Workflow, connection: Connection, *numbers: int) -> None:
    for number in numbers:
        make_activation(workflow, connection, trigger_data={"number": number})
    lanes.wake_lanes([connection.pk])
    runner.run_lane(connection.pk)
    workflow.refresh_from_db()


def failures(connection: Connection) -> int:
    return WorkflowConnection.objects.values_list("failures", flat=True).get(connection=connection)


def paused() -> list[tuple[int, bool, str]]:
    return list(
        OrganisationPause.objects.order_by("pk").values_list("connection", "by_safety", "why")
    )


def resume(workflow: Workflow, connection: Connection, by: User) -> None:
    organisation_pauses.resume_at(workflow=workflow, connections=[connection], by=by)


def test_failures_in_a_row_pause_it(workflow: Workflow, connection: Connection) -> None:
    run(workflow, connection, 1, 3)
    assert (paused(), failures(connection)) == ([], 2)
    run(workflow, connection, 5)
    why = "3 failures in a row. The last one: look: Odd numbers are refused."
    assert (workflow.state, paused()) == ("published", [(connection.pk, True, why)])
    entry = AuditEntry.objects.get(verb="workflow paused for safety")
    assert (entry.actor, entry.subject, entry.workspace) == (None, "Chase", connection.workspace)
    assert entry.details == {"failures": 3, "organisation": connection.name}


def test_what_fails_at_one_client_stops_no_other(
    workflow: Workflow, connection: Connection, elsewhere: Connection, look: Look
) -> None:
    run(workflow, connection, 1, 3, 5)
    look.seen.clear()
    run(workflow, elsewhere, 2)
    assert ([one for one, *_ in paused()], look.seen) == ([connection.pk], [2])


def test_what_goes_well_at_one_client_hides_no_failures_of_another(
    workflow: Workflow, connection: Connection, elsewhere: Connection
) -> None:
    for number in (1, 3, 5):
        run(workflow, connection, number)
        run(workflow, elsewhere, 2)
    assert [one for one, *_ in paused()] == [connection.pk]


def test_one_that_ends_well_begins_the_count_anew(
    workflow: Workflow, connection: Connection
) -> None:
    run(workflow, connection, 1, 3)
    run(workflow, connection, 2)
    assert (paused(), failures(connection)) == ([], 0)
    run(workflow, connection, 1, 2, 5)  # within one batch too
    assert (paused(), failures(connection)) == ([], 1)
    run(workflow, connection, 7)
    assert (paused(), failures(connection)) == ([], 2)


def test_never_where_it_is_switched_off(workflow: Workflow, connection: Connection) -> None:
    Workflow.objects.update(pause_after=0)
    run(workflow, connection, *[1] * 30)
    assert (paused(), failures(connection)) == ([], 30)


def test_meanwhile_everything_waits_and_goes_on_when_it_is_resumed(
    workflow: Workflow, connection: Connection, look: Look, member: User
) -> None:
    run(workflow, connection, 1, 3, 5)
    look.seen.clear()
    run(workflow, connection, 4)
    assert (look.seen, safety_pause.list_waiting(workflow).count()) == ([], 1)
    resume(workflow, connection, member)
    assert (paused(), failures(connection)) == ([], 0)
    runner.run_lane(connection.pk)
    assert (look.seen, safety_pause.list_waiting(workflow).count()) == ([4], 0)


def test_events_that_come_meanwhile_start_activations_that_wait(
    workflow: Workflow, connection: Connection
) -> None:
    run(workflow, connection, 1, 3, 5)
    event = make_event(connection, category="CONTACT")
    assert fan_out.announce_events([event]) == {event.pk: 1}
    runner.run_lane(connection.pk)
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
    look.behave = lambda _: OrganisationPause.objects.create(
        agency=two.agency, workflow=two, connection=connection, holds=True
    )
    run(two, connection, 2)
    activation = Activation.objects.get()
    assert (activation.state, activation.position, activation.attempt) == ("ready", 1, 0)


def test_sweep_does_not_wake_a_lane_for_what_is_held(
    workflow: Workflow, connection: Connection
) -> None:
    run(workflow, connection, 1, 3, 5)
    run(workflow, connection, 2)
    OrmQ.objects.all().delete()
    Lane.objects.update(wake_pending=False)
    lanes.rewake_forgotten()
    assert OrmQ.objects.count() == 0


def test_archiving_lets_nothing_go(
    workflow: Workflow, connection: Connection, look: Look, member: User
) -> None:
    run(workflow, connection, 1, 3, 5)
    lifecycle.archive_workflow(workflow=workflow, by=member)
    lifecycle.unarchive_workflow(workflow=workflow, by=member)
    lifecycle.resume_workflow(workflow=workflow, by=member)
    look.seen.clear()
    run(workflow, connection, 2)
    assert (look.seen, len(paused())) == ([], 1)


def test_removing_the_organisation_lets_nothing_go(
    workflow: Workflow, connection: Connection, look: Look, member: User
) -> None:
    run(workflow, connection, 1, 3, 5)
    lifecycle.set_connections(workflow=workflow, connections=[], within=[connection], by=member)
    look.seen.clear()
    run(workflow, connection, 2)
    assert (look.seen, safety_pause.list_waiting(workflow).count()) == ([], 1)


def test_workflow_that_an_earlier_release_stopped_everywhere_rests_until_it_is_resumed(
    workflow: Workflow, connection: Connection, look: Look, member: User
) -> None:
    Workflow.objects.update(state="safety", held=True, failures=20, paused_because="look: Refused.")
    run(workflow, connection, 2)
    assert look.seen == []
    lifecycle.resume_workflow(workflow=workflow, by=member)
    runner.run_lane(connection.pk)
    assert look.seen == [2]


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
        f"TaskJuice: A workflow paused itself after failures in a row: Chase at {connection.name}: 3 failures in a "
        "row. The last one: look: Odd numbers are refused."
    )
    assert f"/northwind/harbour-cafe/workflows/{workflow.pk}/\n" in mail.outbox[0].body
    resume(workflow, connection, member)
    incidents.look()
    assert not Incident.objects.filter(kind="safety", closed_at=None).exists()


def test_page_says_why_and_resumes(
    workflow: Workflow, connection: Connection, as_member: Client
) -> None:
    run(workflow, connection, 1, 3, 5)
    run(workflow, connection, 2)
    agency = as_member.get(f"/northwind/workflows/{workflow.pk}/").content.decode()
    assert "It paused itself at 1 of 1 organisation." in agency
    address = f"/northwind/harbour-cafe/workflows/{workflow.pk}/"
    page = as_member.get(address).content.decode()
    assert "3 failures in a row. The last one: look: Odd numbers are refused." in page
    assert "1 activation waits here." in page
    for place in ("/northwind/", "/northwind/harbour-cafe/"):
        assert "Chase" in as_member.get(f"{place}workflows/?state=safety").content.decode()
        assert f"Chase at {connection.name} paused itself" in as_member.get(place).content.decode()
    activation = Activation.objects.get(state="ready")
    for path in ("", f"{activation.pk}/"):
        assert "is paused" in as_member.get(f"/northwind/activations/{path}").content.decode()
    assert (
        as_member.post(f"{address}resume-here/", {"connections": connection.pk}).status_code == 302
    )
    assert "paused itself" not in as_member.get(address).content.decode()
    assert AuditEntry.objects.get(verb="workflow resumed here").workspace == connection.workspace


def test_all_that_paused_themselves_are_resumed_from_the_agency(
    workflow: Workflow, connection: Connection, elsewhere: Connection, as_member: Client
) -> None:
    for organisation in (connection, elsewhere):
        run(workflow, organisation, 1, 3, 5)
    address = f"/northwind/workflows/{workflow.pk}/"
    assert "Starts it again at 2 organisations" in as_member.get(address).content.decode()
    as_member.post(f"{address}resume-here/", {"connections": [connection.pk, elsewhere.pk]})
    assert paused() == []


def test_new_version_ends_safety_pauses_and_no_others(
    workflow: Workflow, connection: Connection, elsewhere: Connection, member: User
) -> None:
    run(workflow, connection, 1, 3, 5)
    organisation_pauses.pause_at(
        workflow=workflow, connections=[elsewhere], until=None, why="", holds=False, by=member
    )
    draft = Draft(
        "xero/contact-event", {"change": "any"}, [Step("note", "core/note", {"text": "Fine"})]
    )
    stamp = lifecycle.current_content(workflow).stamp
    lifecycle.save_draft(workflow=workflow, draft=draft, stamp=stamp, by=member)
    lifecycle.publish_draft(workflow=workflow, by=member)
    assert [one for one, *_ in paused()] == [elsewhere.pk]


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
    assert ("paused itself" in page, "then resume" in page, "resume-here" in page) == (
        True,
        False,
        False,
    )
    assert as_client_user.post(f"{address}resume-here/").status_code == 403
