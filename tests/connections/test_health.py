"""How a connection is told to be, whose consents an agency hangs on, and disconnections made at the
provider.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connections import health, lifecycle, queries
from connections.models import Call, Connection, Grant
from connections.oauth import grant_holders
from connections.providers import RemainingCalls
from taskjuice.notifications import incidents, mailing
from taskjuice.workspaces.models import Agency, AuditEntry, User, Workspace
from tests.connections.conftest import come_back, connect
from tests.factories import make_activation, make_call, make_connection, make_grant, make_workflow
from tests.sandbox_process import SandboxProcess
from workflows.models import Activation

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()


def checked(
    workspace: Workspace, grant: dict[str, Any] | None = None, **fields: Any
) -> dict[str, tuple[str, str]]:
    """Tone and finding by kind, of a connection with these fields."""
    row = make_connection(workspace, grant=make_grant(**grant or {}), **fields)
    found = queries.build_rows([queries.find_connection(workspace, row.pk) or row])[0]
    return {check.kind: (check.tone, check.finding) for check in found.checks}


ALL = "offline_access openid profile email accounting.transactions accounting.contacts accounting.settings".split()


@pytest.mark.parametrize(
    ("grant", "fields", "kind", "expected"),
    [
        ({}, {}, "access", ("good", "works")),
        ({}, {"state": "error", "problem": "grant-refused"}, "access", ("bad", "refused")),
        ({}, {"state": "error", "problem": "tenant-gone"}, "access", ("bad", "tenant-gone")),
        ({}, {"state": "pending", "problem": "not-reached"}, "access", ("warn", "not-reached")),
        ({}, {"paused_at": NOW}, "access", ("warn", "paused")),
        ({"retry_at": NOW + timedelta(hours=1)}, {}, "access", ("warn", "renewing-fails")),
        ({"scopes": ALL}, {}, "permissions", ("good", "all")),
        ({"scopes": ALL[:-1]}, {}, "permissions", ("warn", "drifted")),
        ({"scopes": ALL}, {"problem": "scope-missing"}, "permissions", ("warn", "missing")),
        ({"scopes": ALL}, {"problem": "not-permitted"}, "permissions", ("warn", "not-permitted")),
        ({"state": "revoked"}, {}, "access", ("bad", "refused")),
        ({}, {}, "grant", ("good", "used")),
        ({"refreshed_at": NOW - timedelta(days=15)}, {}, "grant", ("warn", "idle")),
        ({"refreshed_at": NOW - timedelta(days=46)}, {}, "grant", ("bad", "dying")),
        ({"state": "revoked"}, {}, "grant", ("bad", "ended")),
        ({}, {"last_webhook_at": NOW}, "webhook", ("good", "heard")),
        ({}, {"last_webhook_at": NOW - timedelta(days=8)}, "webhook", ("mute", "quiet")),
        ({}, {"connected_at": NOW - timedelta(days=8)}, "webhook", ("warn", "never")),
        ({}, {"last_sync_at": NOW}, "sync", ("good", "fresh")),
        ({}, {"last_sync_at": NOW - timedelta(days=2)}, "sync", ("warn", "stale")),
    ],
)
def test_check_finds(
    workspace: Workspace,
    grant: dict[str, Any],
    fields: dict[str, Any],
    kind: str,
    expected: tuple[str, str],
) -> None:
    # Time has passed since the table was read; within a minute the result must stay the same.
    passed = timezone.now() - NOW
    moved = {
        name: value + passed if isinstance(value, datetime) else value
        for name, value in fields.items()
    }
    assert checked(workspace, grant, **moved)[kind] == expected


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (None, ("mute", "unknown")),
        (RemainingCalls(9, 60, 0, 5000), ("bad", "spent")),
        (RemainingCalls(9, 60, 499, 5000), ("warn", "low")),
        (RemainingCalls(0, 60, 4000, 5000), ("warn", "minute")),
        (RemainingCalls(9, 60, 4000, 5000), ("good", "enough")),
    ],
)
def test_check_of_the_budget(
    workspace: Workspace, left: RemainingCalls | None, expected: tuple[str, str]
) -> None:
    found = health.list_checks(
        make_connection(workspace), writes=health.WriteCounts(), left=left, now=timezone.now()
    )
    assert [(check.tone, check.finding) for check in found if check.kind == "budget"] == [expected]


@pytest.mark.parametrize(
    ("failed", "total", "expected"),
    [
        (0, 0, ("mute", "none")),
        (0, 4, ("good", "few")),
        (1, 1, ("warn", "some")),
        (2, 2, ("warn", "some")),
        (1, 11, ("good", "few")),
        (3, 20, ("warn", "some")),
        (3, 6, ("bad", "many")),
    ],
)
def test_check_of_writes_counts_the_last_week(
    workspace: Workspace, failed: int, total: int, expected: tuple[str, str]
) -> None:
    row = make_connection(workspace)
    for number in range(total):
        make_call(row, state="failed" if number < failed else "confirmed")
    make_call(row, state="intended")
    make_call(row, state="failed", messages=["Invoice # must be unique."])  # its person corrects it
    old = make_call(row, state="failed")
    Call.objects.filter(pk=old.pk).update(created_at=Now() - timedelta(days=8))
    found = queries.build_rows([row])[0]
    assert (found.writes.failed, found.writes.total) == (failed, total)
    assert [(check.tone, check.finding) for check in found.checks if check.kind == "writes"] == [
        expected
    ]


def test_broken_connection_is_advised_to_reconnect_and_called_nothing_else(
    as_member: Client, workspace: Workspace
) -> None:
    old = timezone.now() - timedelta(days=20)
    grant = make_grant(refreshed_at=old)
    row = make_connection(
        workspace, grant=grant, state="error", problem="tenant-gone", last_sync_at=old
    )
    found = queries.build_rows([queries.find_connection(workspace, row.pk) or row])[0]
    assert {check.next for check in found.checks if check.tone in {"bad", "warn"}} == {"reconnect"}
    page = as_member.get(f"/northwind/harbour-cafe/connections/{row.pk}/").content.decode()
    assert "Alive" not in page
    assert "token is alive" not in page


def test_worst_check_comes_first() -> None:
    found = [
        health.HealthCheck("a", "good", ""),
        health.HealthCheck("b", "warn", ""),
        health.HealthCheck("c", "bad", ""),
    ]
    assert (health.find_worst_check(found), health.find_worst_check(found[:1])) == (found[2], None)


def test_list_says_reason_and_next_step(as_member: Client, workspace: Workspace) -> None:
    make_connection(workspace, state="error", problem="tenant-gone")
    assert (
        "Disconnected in Xero: reconnect"
        in as_member.get("/northwind/connections/").content.decode()
    )


# -- grants --


def test_consents_show_what_hangs_on_whom(
    as_admin: Client, admin: User, workspace: Workspace, foreign_workspace: Workspace
) -> None:
    grant = make_grant(provider_user_name="Mere Tamihana", granted_by=admin)
    make_connection(workspace, name="Ours", grant=grant)
    make_connection(foreign_workspace, name="Theirs", grant=grant)
    make_connection(
        foreign_workspace, name="Elsewhere", grant=make_grant(provider_user_name="Somebody Else")
    )
    page = as_admin.get("/northwind/connections/grants/").content.decode()
    shown = [word in page for word in ("Mere Tamihana", "Ours", "Theirs", "Somebody Else")]
    assert shown == [True, True, False, False]


def test_agencies_that_share_a_xero_user_see_their_own_person(
    as_admin: Client,
    admin: User,
    as_stranger: Client,
    workspace: Workspace,
    foreign_workspace: Workspace,
    sandbox: SandboxProcess,
) -> None:
    first, second = [each["tenant_id"] for each in sandbox.api("GET", "organisations")[:2]]
    connect(as_admin, workspace, sandbox, first, user="mere")
    connect(as_stranger, foreign_workspace, sandbox, second, user="mere")
    ours, theirs = (
        Connection.objects.get(agency=workspace.agency),
        Connection.objects.exclude(agency=workspace.agency).get(),
    )
    assert ours.grant == theirs.grant
    pages = {
        "ours": [
            as_admin.get(f"/northwind/harbour-cafe/connections/{ours.pk}/"),
            as_admin.get("/northwind/connections/grants/"),
        ],
        "theirs": [
            as_stranger.get(f"/southwind/harbour-cafe/connections/{theirs.pk}/"),
            as_stranger.get("/southwind/connections/grants/"),
        ],
    }
    shown = {
        who: [
            ("Ada Admin" in page.content.decode(), "Sam Stranger" in page.content.decode())
            for page in both
        ]
        for who, both in pages.items()
    }
    assert shown == {"ours": [(True, False)] * 2, "theirs": [(False, True)] * 2}
    assert [held.by for held in grant_holders.list_held_by_user(workspace.agency, admin)] == [admin]


def test_consents_ask_the_same_for_one_and_for_thirty(
    as_admin: Client, workspace: Workspace, django_assert_num_queries: Any
) -> None:
    make_connection(workspace)
    as_admin.get("/northwind/connections/grants/")
    with CaptureQueriesContext(database) as few:
        as_admin.get("/northwind/connections/grants/")
    for _ in range(30):
        make_connection(workspace)
    with django_assert_num_queries(len(few)):
        as_admin.get("/northwind/connections/grants/")


def test_grant_of_another_agency_cannot_be_handed_over(
    as_admin: Client, workspace: Workspace, foreign_workspace: Workspace
) -> None:
    grant = make_connection(foreign_workspace).grant_id
    for method in (as_admin.get, as_admin.post):
        assert method(f"/northwind/connections/grants/{grant}/hand-over/").status_code == 404


def test_removing_a_member_shows_what_hangs_on_their_consent(
    as_owner: Client, agency: Agency, member: User, workspace: Workspace
) -> None:
    grant = make_grant()
    make_connection(workspace, name="Hangs On Max", grant=grant, connected_by=member)
    seat = agency.memberships.get(user=member)
    page = as_owner.get(f"/northwind/team/{seat.pk}/remove/").content.decode()
    assert ("Hangs On Max" in page, f"/grants/{grant.pk}/hand-over/" in page) == (True, True)


def test_hand_over_moves_what_the_new_consent_covers(
    as_admin: Client, agency: Agency, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    first, second = [each["tenant_id"] for each in sandbox.api("GET", "organisations")[:2]]
    connect(as_admin, workspace, sandbox, first, second, user="mere")
    old = Grant.objects.get()
    url = f"/northwind/connections/grants/{old.pk}/hand-over/"
    answer = come_back(
        as_admin, sandbox.allow(as_admin.post(url)["Location"], first, user="oliver")
    )
    assert answer["Location"] == url  # the second is still to go
    held = {
        str(row.tenant_id): row.grant.provider_user_name
        for row in Connection.objects.all()
        if row.grant
    }
    assert held == {first: "Oliver Grant", second: "Mere Tamihana"}
    assert {row.state for row in Connection.objects.all()} == {"active"}
    assert [len(each.connections) for each in grant_holders.list_holders(agency)] == [1, 1]
    noted = AuditEntry.objects.get(verb="organisation handed over").details
    assert (noted["before"], noted["after"]) == ("Mere Tamihana", "Oliver Grant")


def test_hand_over_to_the_same_person_changes_nothing(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    connect(as_admin, workspace, sandbox, tenant)
    old = Grant.objects.get()
    begun = as_admin.post(f"/northwind/connections/grants/{old.pk}/hand-over/")
    answer = as_admin.get(
        come_back(as_admin, sandbox.allow(begun["Location"], tenant))["Location"]
    ).content.decode()
    assert "You consented as Mere Tamihana again" in answer
    assert (Connection.objects.get().grant, Connection.objects.get().state) == (old, "active")


# -- disconnections at the provider --


def test_disconnection_at_xero_is_noticed_within_a_day_and_told_once(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    first, second = [each["tenant_id"] for each in sandbox.api("GET", "organisations")[:2]]
    connect(as_admin, workspace, sandbox, first, second)
    assert (lifecycle.check_listed_tenants(), lifecycle.check_listed_tenants()) == (1, 0)
    (gone,) = [row["id"] for row in sandbox.api("GET", "connections") if row["tenant_id"] == first]
    sandbox.api("DELETE", f"connections/{gone}")
    Grant.objects.update(listed_at=Now() - timedelta(hours=23))
    assert lifecycle.check_listed_tenants() == 0
    for _ in range(2):
        Grant.objects.update(listed_at=Now() - timedelta(hours=25))
        assert lifecycle.check_listed_tenants() == 1
    states = {str(row.tenant_id): (row.state, row.problem) for row in Connection.objects.all()}
    assert states == {first: ("error", "tenant-gone"), second: ("active", "")}
    incidents.look()
    assert (mailing.send_immediate(), mailing.send_immediate()) == (2, 0)  # owner and admin


def test_provider_that_cannot_list_is_asked_again_in_an_hour(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    connect(as_admin, workspace, sandbox, sandbox.organisation()["tenant_id"])
    sandbox.api("POST", "faults", {"kind": "error_503_before", "path": "/connections"})
    assert lifecycle.check_listed_tenants() == 1
    assert Connection.objects.get().state == "active"
    Grant.objects.update(listed_at=Now() - timedelta(hours=24))
    assert lifecycle.check_listed_tenants() == 1


def test_what_waited_for_a_connection_goes_on_when_it_is_mended(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    connect(as_admin, workspace, sandbox, tenant)
    row = Connection.objects.get()
    workflow = make_workflow(workspace.agency, row)
    later = timezone.now() + timedelta(minutes=15)
    held = make_activation(workflow, row, error_code="waiting", next_at=later)
    resting = make_activation(workflow, row, next_at=later)
    Connection.objects.update(state="error", problem="grant-refused")
    page = as_admin.get(f"/northwind/harbour-cafe/connections/{row.pk}/").content.decode()
    assert ("2 activations, 1 of them held up" in page, "Resume all" in page) == (True, False)
    begun = as_admin.post(f"/northwind/harbour-cafe/connections/{row.pk}/reconnect/")
    come_back(as_admin, sandbox.allow(begun["Location"], tenant))
    due = Activation.objects.filter(next_at__lte=Now()).values_list("pk", flat=True)
    assert (list(due), resting.pk != held.pk) == ([held.pk], True)


def test_resume_all_makes_what_waits_due(as_member: Client, workspace: Workspace) -> None:
    row = make_connection(workspace)
    workflow = make_workflow(workspace.agency, row)
    held = make_activation(
        workflow, row, error_code="waiting", next_at=timezone.now() + timedelta(minutes=15)
    )
    answer = as_member.post(f"/northwind/harbour-cafe/lanes/{row.pk}/resume/")
    assert answer["Location"] == f"/northwind/harbour-cafe/connections/{row.pk}/"
    assert Activation.objects.filter(pk=held.pk, next_at__lte=Now()).exists()
    assert AuditEntry.objects.latest("id").verb == "waiting activations resumed"
