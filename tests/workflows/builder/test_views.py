"""The list and the page of a workflow."""

from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from connections.models import Connection
from connections.providers import providers
from taskjuice.workspaces.models import Agency, User, Workspace
from tests.factories import make_activation, make_connection, make_workflow
from workflows.builder import queries as builder_queries
from workflows.definition.templates import LARGE_INVOICE
from workflows.models import Activation, Workflow

pytestmark = pytest.mark.django_db

LIST = "/northwind/workflows/"


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Harbour Café Limited")


@pytest.fixture
def elsewhere(other_workspace: Workspace) -> Connection:
    return make_connection(other_workspace, name="Kauri Builders Limited")


def names(client: Client, path: str) -> list[str]:
    return [row.workflow.name for row in client.get(path).context["rows"]]


def test_list_says_what_to_do_first(as_member: Client, as_client_user: Client) -> None:
    assert "Make your first workflow" in as_member.get(LIST).content.decode()
    theirs = as_client_user.get("/northwind/harbour-cafe/workflows/").content.decode()
    assert ("No workflows here" in theirs, "Begin with an empty one" in theirs) == (True, False)


def test_list_is_filtered_by_state_and_name(as_member: Client, agency: Agency) -> None:
    for name, state in [
        ("Alpha", "published"),
        ("Beta", "draft"),
        ("Gamma", "archived"),
        ("Alps", "paused"),
    ]:
        make_workflow(agency, name=name, state=state)
    assert names(as_member, LIST) == ["Alpha", "Alps", "Beta"]
    assert names(as_member, f"{LIST}?state=archived") == ["Gamma"]
    assert names(as_member, f"{LIST}?q=alp") == ["Alpha", "Alps"]
    assert names(as_member, f"{LIST}?state=nonsense&q=beta") == ["Beta"]


def test_client_sees_only_workflows_that_listen_to_them_and_only_their_part(
    as_client_user: Client, agency: Agency, connection: Connection, elsewhere: Connection
) -> None:
    both = make_workflow(
        agency, connection, elsewhere, name="Both", steps=LARGE_INVOICE.draft.steps_as_stored()
    )
    other = make_workflow(agency, elsewhere, name="Other")
    make_activation(both, elsewhere, subject="INV-ELSEWHERE")
    place = "/northwind/harbour-cafe/workflows/"
    assert names(as_client_user, place) == ["Both"]
    page = as_client_user.get(f"{place}{both.pk}/").content.decode()
    assert ("Harbour Café Limited" in page, "Kauri" in page, "INV-ELSEWHERE" in page) == (
        True,
        False,
        False,
    )
    assert as_client_user.get(f"{place}{other.pk}/").status_code == 404
    assert as_client_user.get(f"{place}{10**30}/").status_code == 404


def test_foreign_workflow_is_not_found(as_member: Client, foreign_workspace: Workspace) -> None:
    foreign = make_workflow(foreign_workspace.agency)
    for path in ("", "edit/"):
        assert as_member.get(f"{LIST}{foreign.pk}/{path}").status_code == 404
    for verb in (
        "publish",
        "pause",
        "resume",
        "archive",
        "unarchive",
        "discard",
        "connections",
        "versions/1/restore",
    ):
        assert as_member.post(f"{LIST}{foreign.pk}/{verb}/").status_code == 404
    assert Workflow.objects.values_list("state", flat=True).get() == "published"


def test_figures_are_of_the_last_7_days(
    as_member: Client, agency: Agency, connection: Connection
) -> None:
    workflow = make_workflow(agency, connection)
    make_activation(workflow, connection, state="failed", created_at="2020-01-01T00:00Z")
    for state in (
        ["succeeded"] * 6 + ["stopped"] * 2 + ["failed", "unknown", "running", "cancelled"]
    ):
        make_activation(workflow, connection, state=state)
    for path in (LIST, "/northwind/harbour-cafe/workflows/"):
        (row,) = as_member.get(path).context["rows"]
        assert (row.figures.good, row.figures.bad, row.figures.rate) == (8, 2, 80)
    assert "2 of 10 failed" in as_member.get(LIST).content.decode()


def test_figures_count_all_of_the_week_however_many(
    as_member: Client, agency: Agency, connection: Connection
) -> None:
    """3 of 200 failed, it said, where it was 50 of 3,052: the newest 200 were looked at."""
    workflow = make_workflow(agency, connection)
    made = make_activation(workflow, connection, state="failed")
    made.event = None
    rows = [("failed", 49), ("succeeded", 3002)]
    for state, many in rows:
        copies = [Activation(**row_of(made) | {"state": state}) for _ in range(many)]
        Activation.objects.bulk_create(copies)
    for path in (LIST, "/northwind/harbour-cafe/workflows/"):
        assert "50 of 3,052 failed" in as_member.get(path).content.decode()


def test_figures_beyond_what_is_counted_say_so(
    as_member: Client, agency: Agency, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder_queries, "COUNTED", 2)
    workflow = make_workflow(agency, connection)
    for state in ["succeeded"] * 3 + ["failed"]:
        make_activation(workflow, connection, state=state)
    assert "1 of 2+ failed" in as_member.get(LIST).content.decode()


def row_of(activation: Activation) -> dict[str, Any]:
    """Return the columns of a row, to copy it."""
    names = [column.attname for column in Activation._meta.concrete_fields]
    return {
        name: getattr(activation, name)
        for name in names
        if name not in {"id", "created_at", "next_at"}
    }


def test_list_runs_the_same_queries_for_1_and_30(
    as_member: Client,
    agency: Agency,
    connection: Connection,
    elsewhere: Connection,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    make_workflow(agency, connection)
    as_member.get(LIST)
    with CaptureQueriesContext(database) as few:
        as_member.get(LIST)
    for _ in range(29):
        make_activation(make_workflow(agency, connection, elsewhere), connection)
    with django_assert_num_queries(len(few)):
        as_member.get(LIST)


def test_detail_tells_the_steps_in_words(
    as_member: Client, agency: Agency, connection: Connection
) -> None:
    workflow = make_workflow(agency, connection, steps=LARGE_INVOICE.draft.steps_as_stored())
    detail = as_member.get(f"{LIST}{workflow.pk}/").context["detail"]
    assert detail.trigger == "An invoice or bill changes"
    assert [(item.step.title, item.lines[0]) for item in detail.steps[:2]] == [
        ("Get an invoice", "Invoice: {{ trigger.resource_id }}"),
        ("Stop unless", "{{ steps.invoice.Total }} is greater than 1,000"),
    ]


def test_detail_of_a_workflow_from_newer_code_still_opens(
    as_member: Client, agency: Agency, connection: Connection
) -> None:
    steps = [{"name": "x", "action": "gone/action", "input": {"a": {"b": [1]}}}]
    workflow = make_workflow(agency, connection, trigger="gone/trigger", steps=steps)
    assert "gone/action" in as_member.get(f"{LIST}{workflow.pk}/").content.decode()
    assert as_member.get(f"{LIST}{workflow.pk}/edit/").status_code == 200


def test_verbs_change_the_state_and_say_so(
    as_member: Client, agency: Agency, connection: Connection
) -> None:
    workflow = make_workflow(agency, connection)
    seen = []
    for verb in ("pause", "resume", "archive", "unarchive"):
        page = as_member.post(f"{LIST}{workflow.pk}/{verb}/", follow=True)
        workflow.refresh_from_db()
        seen.append(
            (
                workflow.state,
                [str(message).split(".")[0].split(":")[0] for message in page.context["messages"]],
            )
        )
    assert seen == [
        ("paused", ["Paused at 1 organisation of 1 client"]),
        ("published", ["Resumed at 1 organisation of 1 client"]),
        ("archived", ["Archived"]),
        ("paused", ["It is back"]),
    ]


def test_connections_change_at_once_and_only_here(
    as_member: Client,
    agency: Agency,
    connection: Connection,
    elsewhere: Connection,
    foreign_workspace: Workspace,
) -> None:
    workflow = make_workflow(agency, connection, elsewhere)
    as_member.post(
        f"/northwind/harbour-cafe/workflows/{workflow.pk}/connections/", {"connections": []}
    )
    assert list(workflow.applications.values_list("connection_id", flat=True)) == [elsewhere.pk]
    foreign = make_connection(foreign_workspace)
    as_member.post(
        f"{LIST}{workflow.pk}/connections/", {"connections": [connection.pk, foreign.pk]}
    )
    assert list(workflow.applications.values_list("connection_id", flat=True)) == [elsewhere.pk]


def test_client_user_changes_nothing(
    as_client_user: Client, agency: Agency, connection: Connection
) -> None:
    workflow = make_workflow(agency, connection)
    for verb in ("publish", "pause-here", "resume-here", "connections"):
        assert (
            as_client_user.post(
                f"/northwind/harbour-cafe/workflows/{workflow.pk}/{verb}/"
            ).status_code
            == 403
        )


def test_connections_know_which_live_workflows_they_feed(
    agency: Agency, connection: Connection, elsewhere: Connection, owner: User
) -> None:
    make_workflow(agency, connection, name="B")
    make_workflow(agency, connection, elsewhere, name="A")
    make_workflow(agency, connection, name="C", state="paused")
    found = providers.workflows_using([connection.pk, elsewhere.pk])
    assert found == {connection.pk: ["A", "B"], elsewhere.pk: ["A"]}


def test_history_survives_its_workflow(
    as_member: Client, agency: Agency, connection: Connection
) -> None:
    activation = make_activation(
        make_workflow(agency, connection, name="Gone"), connection, state="succeeded"
    )
    Workflow.objects.all().delete()
    assert (
        "Gone (deleted)"
        in as_member.get(f"/northwind/activations/{activation.pk}/").content.decode()
    )
    assert Activation.objects.count() == 1
