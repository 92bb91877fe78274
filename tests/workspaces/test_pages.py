"""Clients, settings, audit trail and profile, clicked through."""

import csv
import io
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from taskjuice.workspaces import audit
from taskjuice.workspaces.exports import safe
from taskjuice.workspaces.models import Agency, AuditEntry, User, Workspace
from tests.factories import (
    make_activation,
    make_connection,
    make_member,
    make_workflow,
    make_workspace,
)


def texts(response: Any) -> str:
    return str(response.content.decode())


def test_new_client_leads_to_its_connections(as_admin: Client, agency: Agency) -> None:
    answer = as_admin.post("/northwind/clients/new/", {"name": "  Tui   Studio ", "slug": ""})
    place = Workspace.objects.get()
    assert (place.name, place.slug, place.agency) == ("Tui Studio", "tui-studio", agency)
    assert (answer.status_code, answer["Location"]) == (302, "/northwind/tui-studio/connections/")


@pytest.mark.parametrize("slug", ["harbour-cafe", "Has Space", "invoices", "a--b"])
def test_new_client_with_an_unusable_address_says_so_and_keeps_the_name(
    as_owner: Client, workspace: Workspace, slug: str
) -> None:
    answer = as_owner.post("/northwind/clients/new/", {"name": "Tui Studio", "slug": slug})
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == ["slug"]
    assert 'value="Tui Studio"' in texts(answer)
    assert Workspace.objects.count() == 1


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\x00b"])
def test_new_client_with_an_unusable_name_is_refused(
    as_owner: Client, agency: Agency, name: str
) -> None:
    answer = as_owner.post("/northwind/clients/new/", {"name": name, "slug": "fine"})
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["name"])
    assert Workspace.objects.count() == 0


@pytest.mark.parametrize(
    ("slug", "problem"),
    [
        ("free-one", ""),
        ("harbour-cafe", "This address is taken."),
        ("invoices", "This address is taken."),
        ("No Good", "Use small letters, digits and single hyphens, for example harbour-cafe."),
    ],
)
def test_address_check_answers_as_one_types(
    as_owner: Client, workspace: Workspace, slug: str, problem: str
) -> None:
    answer = as_owner.get("/northwind/clients/new/address/", {"slug": slug})
    assert (answer.status_code, answer.context["problem"]) == (200, problem)


def test_switcher_finds_clients_by_part_of_the_name(
    as_member: Client,
    workspace: Workspace,
    other_workspace: Workspace,
    foreign_other_workspace: Workspace,
) -> None:
    def found(query: str) -> list[Workspace]:
        return list(as_member.get("/northwind/clients/switch/", {"q": query}).context["places"])

    assert found("") == [workspace, other_workspace]
    assert found("KAURI") == [other_workspace]
    assert found("tui") == []


def test_rename_changes_the_name_only(as_admin: Client, workspace: Workspace) -> None:
    answer = as_admin.post("/northwind/harbour-cafe/rename/", {"name": "Harbour Bistro"})
    workspace.refresh_from_db()
    assert (answer.status_code, workspace.name, workspace.slug) == (
        302,
        "Harbour Bistro",
        "harbour-cafe",
    )


def test_time_zone_of_a_client_is_chosen_and_noted(as_admin: Client, workspace: Workspace) -> None:
    answer = as_admin.post(
        "/northwind/harbour-cafe/settings/time-zone/", {"time_zone": "Australia/Perth"}
    )
    workspace.refresh_from_db()
    assert (answer.status_code, workspace.timezone, workspace.timezone_settled) == (
        302,
        "Australia/Perth",
        True,
    )
    noted = AuditEntry.objects.get(verb="client’s time zone changed")
    assert noted.details == {"before": "UTC", "after": "Australia/Perth"}
    page = texts(as_admin.get("/northwind/harbour-cafe/settings/"))
    assert '<option value="Australia/Perth" selected>' in page


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "a\x00b", "NEWZEALANDSTANDARDTIME"])
def test_time_zone_that_is_none_is_refused(
    as_admin: Client, workspace: Workspace, zone: str
) -> None:
    answer = as_admin.post("/northwind/harbour-cafe/settings/time-zone/", {"time_zone": zone})
    workspace.refresh_from_db()
    assert (answer.status_code, list(answer.context["zone_form"].errors)) == (422, ["time_zone"])
    assert (workspace.timezone, workspace.timezone_settled) == ("UTC", False)


def test_archived_client_leaves_the_list_and_comes_back(
    as_owner: Client, workspace: Workspace
) -> None:
    as_owner.post("/northwind/harbour-cafe/archive/")
    assert list(as_owner.get("/northwind/clients/").context["page"]) == []
    assert list(as_owner.get("/northwind/clients/?state=archived").context["page"]) == [workspace]
    assert as_owner.post("/northwind/harbour-cafe/rename/", {"name": "X"}).status_code == 403
    as_owner.post("/northwind/harbour-cafe/unarchive/")
    assert list(as_owner.get("/northwind/clients/").context["page"]) == [workspace]


def entry(agency: Agency, verb: str, **values: object) -> AuditEntry:
    place = values.get("workspace")
    named = {"workspace_name": place.name} if isinstance(place, Workspace) else {}
    return AuditEntry.objects.create(
        agency=agency, verb=verb, **{"actor_name": "o@example.com"} | named | values
    )


def test_audit_list_shows_only_this_agency_and_this_client(
    as_owner: Client, agency: Agency, workspace: Workspace, foreign_agency: Agency
) -> None:
    own = audit.record("agency renamed", by=None, agency=agency)
    here = audit.record("client renamed", by=None, agency=agency, workspace=workspace)
    audit.record("agency renamed", by=None, agency=foreign_agency)
    assert list(as_owner.get("/northwind/audit/").context["page"]) == [here, own]
    assert list(as_owner.get("/northwind/harbour-cafe/audit/").context["page"]) == [here]


def test_audit_list_filters(as_owner: Client, agency: Agency) -> None:
    old = entry(
        agency, "client created", subject="Tui", at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    )
    new = entry(
        agency,
        "client renamed",
        actor_name="ada@example.com",
        at=datetime(2026, 2, 1, 0, 30, tzinfo=UTC),
    )

    def found(**query: str) -> list[AuditEntry]:
        return list(as_owner.get("/northwind/audit/", query).context["page"])

    assert found(q="TUI") == [old]
    assert found(q="ada") == [new]
    assert found(verb="client created") == [old]
    assert found(since="2026-02-01") == [new]
    assert found(until="2026-01-31") == [old]
    assert found(since="2026-01-31", until="2026-02-01") == [new, old]


def test_audit_days_are_days_of_the_persons_zone(
    as_owner: Client, owner: User, agency: Agency
) -> None:
    User.objects.filter(pk=owner.pk).update(timezone="Pacific/Auckland")
    late = entry(
        agency, "client created", at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    )  # 1 February there
    assert list(as_owner.get("/northwind/audit/?until=2026-01-31").context["page"]) == []
    assert list(as_owner.get("/northwind/audit/?since=2026-02-01").context["page"]) == [late]


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=0001-01-01",
        "until=9999-12-31",
        "verb=nonsense",
        "page=x",
        "page=-1",
        "page=999",
    ],
)
def test_audit_filter_that_makes_no_sense_is_not_applied(
    as_owner: Client, agency: Agency, query: str
) -> None:
    row = entry(agency, "client created")
    answer = as_owner.get(f"/northwind/audit/?{query}")
    assert (answer.status_code, list(answer.context["page"])) == (200, [row])


def test_audit_filter_offers_the_verbs_that_occur_here(
    as_owner: Client, agency: Agency, foreign_agency: Agency
) -> None:
    for verb in ("client renamed", "agency renamed", "client renamed"):
        entry(agency, verb)
    entry(foreign_agency, "client archived")
    choices = as_owner.get("/northwind/audit/").context["form"].fields["verb"].choices
    assert choices == [
        ("", "Everything"),
        ("agency renamed", "Agency renamed"),
        ("client renamed", "Client renamed"),
    ]


def test_audit_search_with_a_null_character_shows_the_page(
    as_owner: Client, agency: Agency
) -> None:
    assert as_owner.get("/northwind/audit/", {"q": "a\x00"}).status_code == 200


def test_audit_export_is_the_filtered_list(
    as_owner: Client, agency: Agency, workspace: Workspace
) -> None:
    entry(agency, "agency renamed")
    at = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    entry(
        agency,
        "client renamed",
        workspace=workspace,
        subject="=HYPERLINK(1)",
        address="192.0.2.1",
        at=at,
    )
    answer = as_owner.get("/northwind/audit/export/?verb=client+renamed")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    assert list(csv.reader(io.StringIO(text))) == [
        ["at (UTC)", "who", "what", "subject", "client", "address", "details"],
        [
            "2026-02-03 04:05:06",
            "o@example.com",
            "client renamed",
            "'=HYPERLINK(1)",
            "Harbour Café",
            "192.0.2.1",
            "",
        ],
    ]
    assert answer["Content-Disposition"] == 'attachment; filename="audit-northwind.csv"'


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_csv_cell_that_looks_like_a_formula_is_text(start: str) -> None:
    assert safe(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize(
    "start", ["\uff1d", "\uff0b", "\uff0d", "\uff20", " =", "\u00a0=", "\u3000\uff1d"]
)
def test_csv_cell_that_hides_its_sign_is_text(start: str) -> None:
    assert safe(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize(
    "inside", ["a;=1+1", "a; =1", "a\t@SUM(1)", "a\n=1", "a|=cmd", "a;\uff1d1"]
)
def test_csv_cell_begins_no_formula_behind_what_may_end_it(inside: str) -> None:
    """Where a semicolon separates, the rest of the text is a cell of its own; quotes do not hold it
    then.
    """
    found = str(safe(inside))
    assert found.replace("'", "") == inside
    assert re.search(r"[;\t\n|][ ]*[=@\uff1d]", found) is None


def test_csv_text_with_signs_inside_stays() -> None:
    for text in ("a-b", "1+1=2", "me@example.com", "50% - paid", "x; y", "Q=A"):
        assert safe(text) == text


def test_csv_numbers_stay_numbers() -> None:
    assert (safe(-5), safe(None), safe("plain")) == (-5, "", "plain")


def test_audit_trail_is_closed_to_clients(as_client_user: Client) -> None:
    assert as_client_user.get("/northwind/harbour-cafe/audit/").status_code == 403
    assert as_client_user.get("/northwind/harbour-cafe/audit/export/").status_code == 403


def test_profile_changes_name_and_zone(as_member: Client, member: User) -> None:
    answer = as_member.post("/me/", {"name": " Max  M ", "time_zone": "Europe/Vienna"})
    member.refresh_from_db()
    assert (answer.status_code, member.name, member.timezone) == (302, "Max M", "Europe/Vienna")


def test_profile_shows_times_in_the_persons_zone(
    as_member: Client, member: User, agency: Agency
) -> None:
    User.objects.filter(pk=member.pk).update(timezone="Pacific/Auckland")
    entry(agency, "client created", at=datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC))
    assert "2 Jul 2026, 00:00:00 NZST" in texts(as_member.get("/northwind/audit/"))


def test_profile_refuses_an_unknown_zone(as_member: Client) -> None:
    answer = as_member.post("/me/", {"name": "Max", "time_zone": "Mars/Olympus"})
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["time_zone"])


@pytest.mark.parametrize(
    "path", ["/northwind/clients/", "/northwind/audit/", "/northwind/settings/"]
)
def test_list_asks_the_same_number_of_queries_for_one_row_and_for_thirty(
    as_owner: Client, agency: Agency, path: str
) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert as_owner.get(path).status_code == 200
        return len(caught)

    fill(agency, 1)
    asked()  # the first request of a session notes that it was seen
    few = asked()
    fill(agency, 29)
    assert asked() == few


def fill(agency: Agency, number: int) -> None:
    for _ in range(number):
        place = make_workspace(agency)
        link = make_connection(place)
        make_activation(make_workflow(agency, link), link)
        make_member(agency)
        audit.record("client created", by=None, agency=agency, workspace=place)
