"""Home pages, the frame around every page, and what needs attention."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connections.models import Budget, ConnectionState
from taskjuice.workspaces.models import Agency, User, Workspace
from tests.conftest import SignIn
from tests.factories import (
    make_activation,
    make_client_user,
    make_connection,
    make_member,
    make_workflow,
)
from workflows.models import ActivationState, Lane

PRODUCT, NARROW = 'data-frame="product"', 'data-frame="narrow"'


def rail(client: Client, path: str) -> list[str]:
    return [link.text for link in client.get(path).context["frame"].rail]


def test_root_asks_strangers_to_sign_in(as_anonymous: Client) -> None:
    assert as_anonymous.get("/")["Location"] == "/accounts/login/?next=/"


def test_root_leads_each_person_home(
    as_owner: Client, as_client_user: Client, workspace: Workspace
) -> None:
    assert as_owner.get("/")["Location"] == "/northwind/"
    assert as_client_user.get("/")["Location"] == "/northwind/harbour-cafe/"


def test_root_offers_a_choice_to_a_person_of_several_places(
    sign_in: SignIn, agency: Agency, foreign_agency: Agency, workspace: Workspace
) -> None:
    person = make_member(agency)
    make_member(foreign_agency, user=person)
    make_client_user(workspace, user=person)
    client = sign_in(person)
    assert client.get("/")["Location"] == "/places/"
    answer = client.get("/places/")
    assert list(answer.context["agencies"]) == [agency, foreign_agency]
    assert NARROW in answer.content.decode()


def test_rail_offers_staff_what_their_role_may_open(as_owner: Client, as_member: Client) -> None:
    assert rail(as_owner, "/northwind/")[:2] == ["Home", "Clients"]
    assert set(rail(as_owner, "/northwind/")) - set(rail(as_member, "/northwind/")) == {"Settings"}


def test_rail_of_a_client_is_reduced(as_client_user: Client) -> None:
    shown = set(rail(as_client_user, "/northwind/harbour-cafe/"))
    assert shown & {"Clients", "Audit", "Settings", "Deliveries"} == set()
    assert "Home" in shown


def test_rail_marks_the_page_one_is_on(as_owner: Client) -> None:
    links = as_owner.get("/northwind/clients/new/").context["frame"].rail
    assert [link.text for link in links if link.current] == ["Clients"]


def test_broken_connection_shows_the_banner_to_staff_and_not_to_the_client(
    as_owner: Client, as_client_user: Client, workspace: Workspace
) -> None:
    make_connection(workspace, name="Harbour Café Limited", state=ConnectionState.ERROR)
    assert "A connection needs to be reauthorised: Harbour Café Limited" in text(
        as_owner, "/northwind/"
    )
    assert "needs to be reauthorised" not in text(as_client_user, "/northwind/harbour-cafe/")
    make_connection(workspace, state=ConnectionState.ERROR)
    assert "2 connections need to be reauthorised" in text(as_owner, "/northwind/")


def test_banner_stays_out_of_other_clients_and_agencies(
    as_owner: Client, as_stranger: Client, workspace: Workspace, other_workspace: Workspace
) -> None:
    make_connection(workspace, state=ConnectionState.ERROR)
    assert "reauthorised" not in text(as_owner, "/northwind/kauri-builders/")
    assert "reauthorised" not in text(as_stranger, "/southwind/")


def test_attention_is_ordered_by_what_it_blocks(
    as_owner: Client, agency: Agency, workspace: Workspace
) -> None:
    broken = make_connection(workspace, state=ConnectionState.ERROR)
    flow = make_workflow(agency, broken)
    make_activation(flow, broken, state=ActivationState.FAILED)
    make_activation(flow, broken, state=ActivationState.UNKNOWN)
    make_activation(flow, broken, state=ActivationState.UNKNOWN)
    Lane.objects.update_or_create(
        connection=broken, defaults={"parked_until": timezone.now() + timedelta(hours=2)}
    )
    items = as_owner.get("/northwind/").context["frame"].attention.items
    assert [(item.kind, item.count) for item in items] == [
        ("reauthorise", 1),
        ("unknown", 2),
        ("failed", 1),
        ("parked", 1),
    ]


def test_many_are_counted_and_beyond_that_said_to_be_more(
    as_owner: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(102):
        make_connection(workspace, state=ConnectionState.ERROR)
    assert text(as_owner, "/northwind/").count("102 connections need to be reauthorised") == 3
    monkeypatch.setattr("taskjuice.site.attention.COUNTED", 101)
    assert text(as_owner, "/northwind/").count("101+ connections need to be reauthorised") == 3


def test_failures_of_last_week_need_no_attention(
    as_owner: Client, agency: Agency, workspace: Workspace
) -> None:
    link = make_connection(workspace)
    old = timezone.now() - timedelta(days=7)
    make_activation(make_workflow(agency, link), link, state=ActivationState.FAILED, created_at=old)
    assert as_owner.get("/northwind/").context["frame"].attention.items == []


def test_home_shows_connections_that_need_a_person_first(
    as_owner: Client, workspace: Workspace, other_workspace: Workspace
) -> None:
    fine = make_connection(workspace)
    broken = make_connection(other_workspace, state=ConnectionState.ERROR)
    make_connection(workspace, state=ConnectionState.REVOKED)

    def shown(path: str) -> list[object]:
        return [row.connection for row in as_owner.get(path).context["cards"].connections]

    assert shown("/northwind/") == [broken, fine]
    assert shown("/northwind/harbour-cafe/") == [fine]


def test_home_shows_connections_with_the_fewest_calls_left_first(
    as_owner: Client, workspace: Workspace, other_workspace: Workspace
) -> None:
    idle, busy, yesterdays = (
        make_connection(workspace),
        make_connection(other_workspace),
        make_connection(workspace),
    )
    now = timezone.now()
    for link, used, ends in (
        (busy, 4200, now + timedelta(hours=1)),
        (yesterdays, 4900, now - timedelta(hours=1)),
    ):
        Budget.objects.create(
            provider="xero", tenant_id=link.tenant_id, day_used=used, day_ends=ends
        )
    found = as_owner.get("/northwind/").context["cards"].connections
    assert [(row.connection, row.day_left) for row in found] == [
        (busy, 800),
        (idle, None),
        (yesterdays, 5000),
    ]


def test_home_counts_the_weeks_activations_by_the_persons_days(
    as_owner: Client, owner: User, agency: Agency, workspace: Workspace
) -> None:
    User.objects.filter(pk=owner.pk).update(timezone="Pacific/Auckland")
    link = make_connection(workspace)
    flow = make_workflow(agency, link)
    today = timezone.localtime(timezone=ZoneInfo("Pacific/Auckland")).replace(
        hour=0, minute=0, second=0
    )
    for state, at in (
        (ActivationState.SUCCEEDED, today),
        (ActivationState.STOPPED, today),
        (ActivationState.FAILED, today - timedelta(seconds=1)),
        (ActivationState.READY, today - timedelta(days=6)),
        (ActivationState.SUCCEEDED, today - timedelta(days=6, seconds=1)),
    ):
        make_activation(flow, link, state=state, created_at=at)
    week = as_owner.get("/northwind/").context["cards"].week
    assert [(day.good, day.bad, day.other) for day in week.bars] == [
        (0, 0, 1),
        *[(0, 0, 0)] * 4,
        (0, 1, 0),
        (2, 0, 0),
    ]
    assert (week.bars[-1].start, week.total, week.bad, week.highest) == (today.date(), 4, 1, 2)


def test_home_counts_what_is_new_at_once_and_days_gone_by_once_a_minute(
    as_owner: Client, agency: Agency, workspace: Workspace
) -> None:
    link = make_connection(workspace)
    flow = make_workflow(agency, link)

    def totals() -> list[int]:
        return [day.total for day in as_owner.get("/northwind/").context["cards"].week.bars]

    now = timezone.now()
    for days in (0, 1, 3):
        make_activation(flow, link, created_at=now - timedelta(days=days))
    assert totals() == [0, 0, 0, 1, 0, 1, 1]
    for days in (0, 1, 3):
        make_activation(flow, link, created_at=now - timedelta(days=days))
    assert totals() == [0, 0, 0, 1, 0, 2, 2]
    caches["process"].clear()  # as a minute does
    assert totals() == [0, 0, 0, 2, 0, 2, 2]


def test_banner_leads_to_the_one_connection_or_to_the_list(
    as_owner: Client, workspace: Workspace
) -> None:
    broken = make_connection(workspace, state=ConnectionState.ERROR)
    attention = as_owner.get("/northwind/").context["frame"].attention
    assert attention.broken.href == f"/northwind/harbour-cafe/connections/{broken.pk}/"
    make_connection(workspace, state=ConnectionState.ERROR)
    attention = as_owner.get("/northwind/").context["frame"].attention
    assert attention.broken.href == "/northwind/connections/?state=attention"


def test_client_list_names_organisations_workflows_and_last_activity(
    as_member: Client, agency: Agency, workspace: Workspace, other_workspace: Workspace
) -> None:
    link = make_connection(workspace, name="Harbour Café Limited")
    make_connection(workspace, state=ConnectionState.REVOKED)
    last = make_activation(make_workflow(agency, link), link)
    last.refresh_from_db()
    rows = as_member.get("/northwind/clients/").context["page"]
    assert [
        ([one.name for one in row.living], row.workflows, row.people, row.active_at) for row in rows
    ] == [
        (["Harbour Café Limited"], 1, 0, last.created_at),
        ([], 0, 0, None),
    ]


@pytest.mark.parametrize("path", ["/northwind/", "/northwind/harbour-cafe/"])
def test_home_asks_the_same_number_of_queries_for_one_row_and_for_thirty(
    as_owner: Client, agency: Agency, workspace: Workspace, path: str
) -> None:
    def fill(number: int) -> None:
        for _ in range(number):
            link = make_connection(workspace)
            flow = make_workflow(agency, link)
            make_activation(flow, link, state=ActivationState.FAILED)
            make_activation(flow, link, state=ActivationState.UNKNOWN)

    def asked() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert as_owner.get(path).status_code == 200
        return len(caught)

    fill(1)
    asked()  # the first request of a session notes that it was seen
    few = asked()
    fill(29)
    assert asked() == few


def test_home_asks_nothing_twice(as_owner: Client, workspace: Workspace) -> None:
    make_connection(workspace, state=ConnectionState.ERROR)
    with CaptureQueriesContext(connection) as asked:
        as_owner.get("/northwind/")
    found = [query["sql"] for query in asked if "usersession" not in query["sql"]]
    assert sorted({sql for sql in found if found.count(sql) > 1}) == []


def test_theme_is_remembered_and_forgotten(as_owner: Client) -> None:
    answer = as_owner.post("/theme/", {"theme": "dark", "next": "/northwind/"})
    assert (answer["Location"], answer.cookies["theme"].value) == ("/northwind/", "dark")
    assert '<html lang="en-GB" data-theme="dark">' in text(as_owner, "/northwind/")
    as_owner.post("/theme/", {"theme": "", "next": "/northwind/"})
    assert '<html lang="en-GB">' in text(as_owner, "/northwind/")


@pytest.mark.parametrize(
    "following", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "\\\\evil"]
)
def test_theme_never_leads_elsewhere(as_owner: Client, following: str) -> None:
    assert as_owner.post("/theme/", {"theme": "dark", "next": following})["Location"] == "/"


def test_theme_cookie_of_a_stranger_is_ignored(as_owner: Client) -> None:
    as_owner.cookies["theme"] = '"><script>'
    assert '<html lang="en-GB">' in text(as_owner, "/northwind/")


def test_names_are_escaped_everywhere(
    as_owner: Client, owner: User, agency: Agency, workspace: Workspace
) -> None:
    hostile = "<script>alert(1)</script>"
    User.objects.filter(pk=owner.pk).update(name=hostile)
    Agency.objects.filter(pk=agency.pk).update(name=hostile)
    Workspace.objects.filter(pk=workspace.pk).update(name=hostile)
    link = make_connection(workspace, name=hostile, state=ConnectionState.ERROR)
    make_activation(make_workflow(agency, link), link, subject=hostile)
    for path in (
        "/northwind/",
        "/northwind/harbour-cafe/",
        "/northwind/clients/",
        "/northwind/settings/",
        "/me/",
    ):
        assert hostile not in text(as_owner, path), path


def test_missing_page_is_in_the_products_look(as_owner: Client) -> None:
    answer = as_owner.get("/northwind/no-such-client/")
    assert answer.status_code == 404
    assert "Page not found" in answer.content.decode()
    assert NARROW in answer.content.decode()


def test_forbidden_page_says_why(as_member: Client) -> None:
    answer = as_member.get("/northwind/settings/")
    assert answer.status_code == 403
    assert "Ask an owner or admin of the agency." in answer.content.decode()


def test_form_without_its_token_is_refused_in_the_products_look(
    sign_in: SignIn, owner: User
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    answer = client.post("/me/", {"name": "X"})
    assert answer.status_code == 403
    assert "This page has waited too long" in answer.content.decode()


def text(client: Client, path: str) -> str:
    return client.get(path).content.decode()
