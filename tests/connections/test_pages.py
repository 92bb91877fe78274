"""The pages of connections: what they show, to whom, and what they do with wrong input."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from connections.models import Connection, ConnectionState, Refusal
from taskjuice.workspaces.models import Agency, AuditEntry, Workspace
from tests.factories import make_connection, make_delivery, make_event, make_grant, make_workflow

pytestmark = pytest.mark.django_db
LIST = "/northwind/connections/"


def page(client: Client, url: str, **query: str) -> str:
    answer = client.get(url, query)
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.fixture
def four(workspace: Workspace, other_workspace: Workspace) -> list[Connection]:
    return [
        make_connection(workspace, name="Works"),
        make_connection(
            other_workspace, name="Broken", state="error", problem="grant-refused", reason="x"
        ),
        make_connection(other_workspace, name="Hangs", state="pending", problem="not-reached"),
        make_connection(other_workspace, name="Ended", state="revoked"),
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["Broken", "Hangs", "Works"]),
        ({"state": "connected"}, ["Works"]),
        ({"state": "attention"}, ["Broken"]),
        ({"state": "pending"}, ["Hangs"]),
        ({"state": "disconnected"}, ["Ended"]),
        ({"state": "nonsense"}, ["Broken", "Hangs", "Works"]),
        ({"q": "WORK"}, ["Works"]),
        ({"q": "kauri"}, ["Broken", "Hangs"]),
        ({"q": "100%_\\"}, []),
        ({"page": "999"}, ["Broken", "Hangs", "Works"]),
        ({"page": "x" * 5000, "q": "\x00"}, ["Broken", "Hangs", "Works"]),
    ],
)
def test_list_filters_and_survives_nonsense(
    as_member: Client, four: list[Connection], query: dict[str, str], expected: list[str]
) -> None:
    answer = as_member.get(LIST, query)
    assert [row.connection.name for row in answer.context["rows"]] == expected


def test_list_counts_what_its_filters_show(as_member: Client, four: list[Connection]) -> None:
    counts = as_member.get(LIST).context["counts"]
    assert (counts.connected, counts.attention, counts.pending, counts.disconnected) == (1, 1, 1, 1)
    assert counts.slots_used == 3


def test_list_asks_the_database_the_same_for_one_row_and_for_thirty(
    as_member: Client,
    workspace: Workspace,
    django_assert_num_queries: Any,
    django_assert_max_num_queries: Any,
) -> None:
    make_workflow(workspace.agency, make_connection(workspace))
    page(as_member, LIST)  # the first visit notes the session
    with django_assert_max_num_queries(40) as few:
        page(as_member, LIST)
    for number in range(29):
        connection = make_connection(workspace, name=f"Organisation {number}")
        make_workflow(workspace.agency, connection)
    with django_assert_num_queries(len(few)):
        page(as_member, LIST)


def test_list_of_a_workspace_shows_nothing_of_another(
    as_member: Client, four: list[Connection]
) -> None:
    html = page(as_member, "/northwind/harbour-cafe/connections/")
    assert ("Works" in html, "Hangs" in html) == (True, False)


def test_list_of_another_agency_is_not_found(as_stranger: Client, four: list[Connection]) -> None:
    assert as_stranger.get(LIST).status_code == 404


def test_detail_is_found_only_under_its_own_client(
    as_member: Client, four: list[Connection]
) -> None:
    works = four[0]
    urls = [
        f"/northwind/{slug}/connections/{works.pk}/" for slug in ("harbour-cafe", "kauri-builders")
    ]
    assert [as_member.get(url).status_code for url in urls] == [200, 404]


def test_detail_shows_siblings_of_this_agency_only(
    as_member: Client, workspace: Workspace, foreign_workspace: Workspace
) -> None:
    grant = make_grant()
    mine = make_connection(workspace, name="Mine", grant=grant)
    make_connection(workspace, name="Sibling", grant=grant)
    make_connection(foreign_workspace, name="Stranger’s", grant=grant)
    html = page(as_member, f"/northwind/harbour-cafe/connections/{mine.pk}/")
    assert ("Sibling" in html, "Stranger’s" in html) == (True, False)


def test_detail_hides_consent_and_actions_from_a_client_user(
    as_client_user: Client, workspace: Workspace
) -> None:
    connection = make_connection(workspace, grant=make_grant(provider_user_name="Mere Tamihana"))
    make_event(connection)
    html = page(as_client_user, f"/northwind/harbour-cafe/connections/{connection.pk}/")
    shown = [word in html for word in ("Mere Tamihana", "Disconnect…", "Test now", "Reconnect")]
    assert shown == [False] * 4


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ("grant-refused", "Xero ended the access."),
        ("tenant-gone", "Disconnected in Xero."),
        ("scope-missing", "A permission is missing."),
        ("not-reached", "Not reached yet."),
    ],
)
def test_detail_says_what_is_wrong_and_what_to_do(
    as_member: Client, workspace: Workspace, problem: str, words: str
) -> None:
    state = {"scope-missing": "active", "not-reached": "pending"}.get(problem, "error")
    connection = make_connection(workspace, state=state, problem=problem, reason="<b>x</b>")
    html = page(as_member, f"/northwind/harbour-cafe/connections/{connection.pk}/")
    assert (words in html, "<b>x</b>" in html) == (True, False)


@pytest.mark.parametrize("verb", ["test", "pause", "resume", "reconnect"])
def test_actions_take_nothing_but_post(as_owner: Client, workspace: Workspace, verb: str) -> None:
    connection = make_connection(workspace)
    assert (
        as_owner.get(f"/northwind/harbour-cafe/connections/{connection.pk}/{verb}/").status_code
        == 405
    )


def test_pause_and_resume_are_once_each(
    as_admin: Client, agency: Agency, workspace: Workspace
) -> None:
    connection = make_connection(workspace)
    for verb in ("pause", "pause", "resume", "resume"):
        answer = as_admin.post(f"/northwind/harbour-cafe/connections/{connection.pk}/{verb}/")
        assert answer["Location"] == f"/northwind/harbour-cafe/connections/{connection.pk}/"
    verbs = AuditEntry.objects.filter(agency=agency).order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["connection paused", "connection resumed"]


def test_disconnect_says_which_workflows_stop(as_admin: Client, workspace: Workspace) -> None:
    connection = make_connection(workspace)
    make_workflow(workspace.agency, connection, name="Thank a payer")
    html = page(as_admin, f"/northwind/harbour-cafe/connections/{connection.pk}/disconnect/")
    assert "Thank a payer" in html


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "Other"}, {"name": "\x00"}, {"name": "x" * 10_000}]
)
def test_disconnect_needs_the_name(
    as_admin: Client, workspace: Workspace, body: dict[str, str]
) -> None:
    connection = make_connection(workspace, name="Mine")
    answer = as_admin.post(f"/northwind/harbour-cafe/connections/{connection.pk}/disconnect/", body)
    connection.refresh_from_db()
    assert (answer.status_code, connection.state) == (422, ConnectionState.ACTIVE)


def test_connect_from_the_agency_needs_a_client_of_it(
    as_admin: Client, workspace: Workspace, foreign_other_workspace: Workspace
) -> None:
    url = "/northwind/connections/xero/connect/"
    for slug in ("", "nowhere", "tui-studio", "\x00"):
        assert as_admin.post(url, {"workspace": slug}).status_code == 422
    assert as_admin.post(url, {"workspace": "harbour-cafe"}).status_code == 302
    assert (
        as_admin.post(
            "/northwind/connections/dropbox/connect/", {"workspace": "harbour-cafe"}
        ).status_code
        == 404
    )


def test_webhook_panel_follows_the_check(
    as_member: Client, agency: Agency, workspace: Workspace
) -> None:
    url = "/northwind/connections/webhooks/"
    seen = [as_member.get(url).context["panel"].state]
    now = timezone.now()
    Refusal.objects.create(
        provider="xero", minute=now.replace(second=0, microsecond=0), count=3, last_at=now
    )
    seen.append(as_member.get(url).context["panel"].state)
    make_delivery(verdict="intent to receive")
    seen.append(as_member.get(url).context["panel"].state)
    Refusal.objects.update(minute=now - timedelta(hours=30), last_at=now - timedelta(hours=30))
    seen.append(as_member.get(url).context["panel"].state)
    assert seen == ["none", "refused", "validated", "half"]
    assert "http://localhost:8000/webhooks/xero/" in page(as_member, url)
