"""A workflow is paused, removed and added at one client, and no button there reaches another."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from connections.models import Connection
from connections.webhooks import fan_out
from taskjuice.workspaces.models import Agency, AuditEntry, User, Workspace
from tests.factories import make_activation, make_connection, make_event, make_workflow
from tests.workflows.conftest import Look
from workflows.engine import lanes, organisation_pauses, runner
from workflows.models import Activation, OrganisationPause, Workflow, WorkflowConnection
from workflows.triggers import intake

pytestmark = pytest.mark.django_db

LOOK = {"name": "look", "action": "test/look", "input": {"number": "{{ trigger.number }}"}}


@pytest.fixture
def elsewhere(other_workspace: Workspace) -> Connection:
    return make_connection(other_workspace, name="Kauri Builders Limited")


@pytest.fixture
def workflow(agency: Agency, connection: Connection, elsewhere: Connection, look: Look) -> Workflow:
    return make_workflow(
        agency, connection, elsewhere, steps=[LOOK], name="Chase", trigger="xero/contact-event"
    )


@pytest.fixture
def here(workflow: Workflow) -> str:
    return f"/northwind/harbour-cafe/workflows/{workflow.pk}/"


def pause(client: Client, here: str, connection: Connection, **typed: Any) -> Any:
    given = {"connections": connection.pk, "until": "", "why": "", "events": "nothing"}
    return client.post(f"{here}pause-here/", given | typed, follow=True)


def announced(*connections: Connection) -> list[int]:
    """Return how many activations an event at each of them starts."""
    events = [make_event(connection, category="CONTACT") for connection in connections]
    started = fan_out.announce_events(events)
    return [started.get(event.pk, 0) for event in events]


def texts(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_pause_here_stops_it_at_this_client_only(
    as_member: Client, here: str, connection: Connection, elsewhere: Connection, workflow: Workflow
) -> None:
    answer = pause(as_member, here, connection, why="Their year end")
    assert texts(answer) == [
        f"Paused at {connection.name}. Events that come now start nothing. Elsewhere it runs on."
    ]
    assert announced(connection, elsewhere) == [0, 1]
    workflow.refresh_from_db()
    assert workflow.state == "published"
    page = answer.content.decode()
    assert ", paused " in page
    assert "Max Member: Their year end." in page
    entry = AuditEntry.objects.get(verb="workflow paused here")
    assert (entry.workspace, entry.details) == (
        connection.workspace,
        {
            "organisation": connection.name,
            "until": None,
            "why": "Their year end",
            "events": "start nothing",
        },
    )


def test_events_wait_where_that_was_chosen_and_run_once_it_is_resumed(
    as_member: Client, here: str, connection: Connection, workflow: Workflow, look: Look
) -> None:
    pause(as_member, here, connection, events="wait")
    make_activation(workflow, connection, trigger_data={"number": 7})
    lanes.wake_lanes([connection.pk])
    runner.run_lane(connection.pk)
    assert (look.seen, announced(connection)) == ([], [1])
    Activation.objects.exclude(trigger_data={"number": 7}).delete()
    as_member.post(f"{here}resume-here/", {"connections": connection.pk})
    runner.run_lane(connection.pk)
    assert (look.seen, OrganisationPause.objects.count()) == ([7], 0)


def test_pause_with_an_end_is_over_that_morning_at_the_client(
    as_member: Client, here: str, connection: Connection, workspace: Workspace
) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(timezone="Pacific/Auckland")
    day = (timezone.now() + timedelta(days=5)).date()
    pause(as_member, here, connection, until=day.isoformat())
    until = OrganisationPause.objects.values_list("until", flat=True).get()
    assert until is not None
    assert f"{until.astimezone(ZoneInfo('Pacific/Auckland')):%Y-%m-%d %H:%M}" == f"{day} 00:00"
    assert announced(connection) == [0]
    OrganisationPause.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert announced(connection) == [1]  # before any sweep met it
    assert (organisation_pauses.end_due_pauses(), organisation_pauses.end_due_pauses()) == (1, 0)
    assert AuditEntry.objects.get(verb="workflow resumed here").actor is None


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"connections": []}, "connections"),
        ({"until": "2020-01-01"}, "until"),
        ({"until": "soon"}, "until"),
        ({"events": "explode"}, "events"),
        ({"why": "x" * 301}, "why"),
    ],
)
def test_nonsense_is_told_at_its_field(
    as_member: Client, here: str, connection: Connection, typed: dict[str, Any], field: str
) -> None:
    answer = pause(as_member, here, connection, **typed)
    assert (answer.status_code, list(answer.context["pause"].errors)) == (422, [field])
    assert OrganisationPause.objects.count() == 0


def test_organisation_of_another_client_is_not_paused_from_here(
    as_member: Client, here: str, connection: Connection, elsewhere: Connection, workflow: Workflow
) -> None:
    pause(as_member, here, connection, connections=[elsewhere.pk])
    assert OrganisationPause.objects.count() == 0
    other = f"/northwind/kauri-builders/workflows/{workflow.pk}/"
    pause(as_member, other, elsewhere)
    as_member.post(f"{here}resume-here/", {"connections": elsewhere.pk})
    assert OrganisationPause.objects.count() == 1


def test_schedule_and_interest_rest_with_the_pause(
    connection: Connection, elsewhere: Connection, workflow: Workflow, member: User
) -> None:
    organisation_pauses.pause_at(
        workflow=workflow, connections=[connection], until=None, why="", holds=False, by=member
    )
    assert [one.connection_id for one in intake.list_interests(["xero/contact-event"])] == [
        elsewhere.pk
    ]


def test_no_verb_in_a_clients_place_reaches_the_others(
    as_member: Client, here: str, workflow: Workflow, connection: Connection
) -> None:
    for verb in ("pause", "archive", "safety", "resume", "unarchive"):
        assert as_member.post(f"{here}{verb}/", {"pause_after": 1}).status_code == 404
    agency = f"/northwind/workflows/{workflow.pk}/"
    for verb in ("edit", "publish", "discard", "versions/1/restore"):
        answer = as_member.post(f"{here}{verb}/", {"do": "save", "name": "Mine"})
        assert (answer.status_code, answer["Location"]) == (302, agency), verb
    assert as_member.get(f"{here}edit/")["Location"] == agency
    workflow.refresh_from_db()
    assert (workflow.state, workflow.name, workflow.pause_after) == ("published", "Chase", 20)
    page = as_member.get(here).content.decode()
    offered = [
        text for text in ("Pause here", "Remove here", "Change for all 2 clients") if text in page
    ]
    assert offered == ["Pause here", "Remove here", "Change for all 2 clients"]
    for path in ("edit/", "archive/", "safety/", '/pause/"'):
        assert f'{here}{path}"' not in page


def test_workflow_of_this_client_alone_is_edited_from_here(
    as_member: Client, agency: Agency, connection: Connection
) -> None:
    mine = make_workflow(agency, connection, name="Mine")
    assert as_member.get(f"/northwind/harbour-cafe/workflows/{mine.pk}/edit/").status_code == 200


def test_agencys_page_says_how_far_its_verbs_reach(as_member: Client, workflow: Workflow) -> None:
    page = as_member.get(f"/northwind/workflows/{workflow.pk}/").content.decode()
    for words in (
        "Stops it at 2 organisations of 2 clients.",
        "It starts nothing more at 2 organisations of 2 clients",
        "2 of 2 clients.",
    ):
        assert words in page, words
    answer = as_member.post(f"/northwind/workflows/{workflow.pk}/pause/", follow=True)
    assert texts(answer)[0].startswith("Paused at 2 organisations of 2 clients.")
    edit = as_member.get(f"/northwind/workflows/{workflow.pk}/edit/").content.decode()
    assert "Publish at 2 organisations" in edit


def test_remove_here_and_add_here(
    as_member: Client, here: str, workflow: Workflow, connection: Connection, elsewhere: Connection
) -> None:
    as_member.post(f"{here}connections/")
    left = WorkflowConnection.objects.filter(workflow=workflow).values_list(
        "connection_id", flat=True
    )
    assert list(left) == [elsewhere.pk]
    page = as_member.get(here).content.decode()
    assert "It does not run here." in page
    assert "Add here" in page
    assert list(as_member.get("/northwind/harbour-cafe/workflows/").context["rows"]) == []
    listed = as_member.get("/northwind/harbour-cafe/workflows/?state=elsewhere")
    assert [row.workflow for row in listed.context["rows"]] == [workflow]
    assert "Not at this client" in listed.content.decode()
    as_member.post(f"{here}connections/", {"connections": connection.pk})
    assert sorted(left.all()) == sorted([connection.pk, elsewhere.pk])


def test_client_user_sees_no_workflow_that_does_not_run_here(
    as_client_user: Client, here: str, workflow: Workflow, connection: Connection
) -> None:
    assert as_client_user.get(here).status_code == 200
    WorkflowConnection.objects.filter(connection=connection).delete()
    assert as_client_user.get(here).status_code == 404
    listed = as_client_user.get("/northwind/harbour-cafe/workflows/?state=elsewhere")
    assert (list(listed.context["rows"]), "Not at this client" in listed.content.decode()) == (
        [],
        False,
    )
