"""Connecting over the product's pages, against the real sandbox."""

from html import escape

import pytest
from django.test import Client

from connections import disconnection
from connections.models import Connection, ConnectionState, Consent, Grant, GrantState
from connections.oauth import encryption, grants
from connections.providers import providers
from taskjuice.workspaces.models import Agency, AuditEntry, Workspace
from tests.connections.conftest import come_back, connect, start
from tests.sandbox_process import SandboxProcess
from xero.api.client import client_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_connect_stores_grant_and_an_active_connection(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    organisation = sandbox.organisation()
    answer = connect(as_admin, workspace, sandbox, organisation["tenant_id"])
    connection = Connection.objects.get()
    assert answer["Location"] == f"/northwind/harbour-cafe/connections/{connection.pk}/"
    assert (connection.state, connection.name, str(connection.tenant_id)) == (
        ConnectionState.ACTIVE,
        organisation["name"],
        organisation["tenant_id"],
    )
    assert sorted(connection.details) == [
        "country",
        "currency",
        "demo",
        "legal_name",
        "short_code",
        "timezone",
        "timezone_name",
    ]
    assert connection.details["currency"] != ""
    assert Grant.objects.get().state == GrantState.ACTIVE
    page = as_admin.get(answer["Location"])
    assert page.status_code == 200
    assert escape(organisation["name"]) in page.content.decode()


def test_connected_organisation_answers_the_client(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    connect(as_admin, workspace, sandbox, sandbox.organisation()["tenant_id"])
    found = client_for(Connection.objects.get()).get("/Invoices", params={"page": 1, "pageSize": 5})
    assert len(found["Invoices"]) == 5
    connection = Connection.objects.get()
    (left,) = providers.left([connection]).values()
    assert 0 < left.minute_left <= left.minute_limit == 60
    assert 0 < left.day_left < left.day_limit


def test_connect_writes_the_audit_trail(
    as_admin: Client, agency: Agency, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    connect(as_admin, workspace, sandbox, sandbox.organisation()["tenant_id"])
    verbs = list(
        AuditEntry.objects.filter(agency=agency).order_by("id").values_list("verb", flat=True)
    )
    assert verbs == [
        "consent given",
        "organisation connected",
        "client’s time zone changed",
        "connection works",
    ]


def test_picker_ticks_the_only_organisation(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    organisation = sandbox.organisation()
    answer = come_back(
        as_admin, sandbox.allow(start(as_admin, workspace), organisation["tenant_id"])
    )
    page = as_admin.get(answer["Location"]).content.decode()
    assert page.count('name="tenants"') == page.count(" checked>") == 1
    assert Connection.objects.count() == 0


def test_picker_ticks_nothing_among_several(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    tenants = [organisation["tenant_id"] for organisation in sandbox.api("GET", "organisations")]
    answer = come_back(as_admin, sandbox.allow(start(as_admin, workspace), *tenants))
    page = as_admin.get(answer["Location"]).content.decode()
    assert (page.count('name="tenants"'), page.count(" checked>")) == (len(tenants), 0)
    refused = as_admin.post(answer["Location"], {})
    assert refused.status_code == 422
    assert Connection.objects.count() == 0


def test_several_organisations_become_one_connection_each(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    tenants = [organisation["tenant_id"] for organisation in sandbox.api("GET", "organisations")][
        :2
    ]
    connect(as_admin, workspace, sandbox, *tenants)
    assert sorted(str(c.tenant_id) for c in Connection.objects.all()) == sorted(tenants)
    assert Grant.objects.count() == 1


def test_what_was_not_chosen_is_let_go_at_xero(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    tenants = [organisation["tenant_id"] for organisation in sandbox.api("GET", "organisations")][
        :2
    ]
    answer = come_back(as_admin, sandbox.allow(start(as_admin, workspace), *tenants))
    as_admin.post(answer["Location"], {"tenants": tenants[:1]})
    assert [row["tenant_id"] for row in sandbox.api("GET", "connections")] == tenants[:1]


def test_pasted_tenant_is_checked_with_xero(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    first, second = [
        organisation["tenant_id"] for organisation in sandbox.api("GET", "organisations")
    ][:2]
    answer = come_back(as_admin, sandbox.allow(start(as_admin, workspace), first))
    refused = as_admin.post(answer["Location"], {"tenant_id": second})
    assert refused.status_code == 422
    assert Connection.objects.count() == 0
    as_admin.post(answer["Location"], {"tenant_id": first})
    assert str(Connection.objects.get().tenant_id) == first


def test_same_organisation_in_another_client_of_the_agency_is_refused(
    as_admin: Client, workspace: Workspace, other_workspace: Workspace, sandbox: SandboxProcess
) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    connect(as_admin, workspace, sandbox, tenant)
    answer = come_back(as_admin, sandbox.allow(start(as_admin, other_workspace), tenant))
    page = as_admin.get(answer["Location"]).content.decode()
    assert "Already connected in Harbour Café" in page
    refused = as_admin.post(answer["Location"], {"tenants": [tenant]})
    pasted = as_admin.post(answer["Location"], {"tenant_id": tenant})
    assert (refused.status_code, pasted.status_code) == (422, 422)
    assert "already connected in Harbour Café" in pasted.content.decode()
    assert Connection.objects.count() == 1


def test_same_organisation_in_another_agency_is_allowed(
    as_admin: Client,
    as_stranger: Client,
    workspace: Workspace,
    foreign_workspace: Workspace,
    sandbox: SandboxProcess,
) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    connect(as_admin, workspace, sandbox, tenant)
    connect(as_stranger, foreign_workspace, sandbox, tenant)
    ours, theirs = Connection.objects.order_by("id")
    assert (ours.agency_id == theirs.agency_id, ours.tenant_id == theirs.tenant_id) == (False, True)
    page = as_stranger.get(f"/southwind/harbour-cafe/connections/{theirs.pk}/").content.decode()
    assert "northwind" not in page.lower()
    assert as_stranger.get(f"/southwind/harbour-cafe/connections/{ours.pk}/").status_code == 404


def test_disconnect_tells_xero_and_erases_the_tokens(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    organisation = sandbox.organisation()
    connect(as_admin, workspace, sandbox, organisation["tenant_id"])
    connection = Connection.objects.get()
    url = f"/northwind/harbour-cafe/connections/{connection.pk}/disconnect/"
    assert as_admin.post(url, {"name": "Something else"}).status_code == 422
    answer = as_admin.post(url, {"name": organisation["name"].upper()})
    assert answer["Location"] == "/northwind/harbour-cafe/connections/"
    connection.refresh_from_db()
    grant = Grant.objects.get()
    assert (connection.state, grant.state, grant.tokens) == (
        ConnectionState.REVOKED,
        GrantState.REVOKED,
        "",
    )
    assert sandbox.api("GET", "connections") == []
    assert sandbox.api("GET", "state")["issued"]["revocation"] == 1


def test_disconnect_leaves_the_other_agency_connected(
    as_admin: Client,
    as_stranger: Client,
    workspace: Workspace,
    foreign_workspace: Workspace,
    sandbox: SandboxProcess,
) -> None:
    organisation = sandbox.organisation()
    connect(as_admin, workspace, sandbox, organisation["tenant_id"])
    connect(as_stranger, foreign_workspace, sandbox, organisation["tenant_id"])
    ours, theirs = Connection.objects.order_by("id")
    as_admin.post(
        f"/northwind/harbour-cafe/connections/{ours.pk}/disconnect/", {"name": organisation["name"]}
    )
    assert [row["tenant_id"] for row in sandbox.api("GET", "connections")] == [
        organisation["tenant_id"]
    ]
    assert len(client_for(theirs).get("/Organisation")["Organisations"]) == 1


def test_disconnect_while_xero_is_away_is_finished_later(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    organisation = sandbox.organisation()
    connect(as_admin, workspace, sandbox, organisation["tenant_id"])
    sandbox.api("POST", "faults", {"kind": "error_503_before", "path": "/connections*"})
    connection = Connection.objects.get()
    as_admin.post(
        f"/northwind/harbour-cafe/connections/{connection.pk}/disconnect/",
        {"name": organisation["name"]},
    )
    connection.refresh_from_db()
    assert connection.state == ConnectionState.REVOKED
    assert len(sandbox.api("GET", "connections")) == 1
    disconnection.finish_disconnects()
    assert sandbox.api("GET", "connections") == []
    assert Grant.objects.get().tokens == ""


def test_reconnect_with_the_same_organisation_mends_it(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    connect(as_admin, workspace, sandbox, tenant)
    connection = Connection.objects.get()
    Connection.objects.update(state=ConnectionState.ERROR, problem="grant-refused", reason="x")
    begun = as_admin.post(f"/northwind/harbour-cafe/connections/{connection.pk}/reconnect/")
    answer = come_back(as_admin, sandbox.allow(begun["Location"], tenant))
    assert answer["Location"] == f"/northwind/harbour-cafe/connections/{connection.pk}/"
    connection.refresh_from_db()
    assert (connection.state, connection.problem, connection.reason) == (
        ConnectionState.ACTIVE,
        "",
        "",
    )


def test_reconnect_with_another_organisation_stops_and_shows_both(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    first, second = sandbox.api("GET", "organisations")[:2]
    connect(as_admin, workspace, sandbox, first["tenant_id"])
    connection = Connection.objects.get()
    begun = as_admin.post(f"/northwind/harbour-cafe/connections/{connection.pk}/reconnect/")
    answer = come_back(as_admin, sandbox.allow(begun["Location"], second["tenant_id"]))
    page = as_admin.get(answer["Location"]).content.decode()
    assert escape(first["name"]) in page
    assert escape(second["name"]) in page
    as_admin.post(answer["Location"], {"tenants": [second["tenant_id"]]})
    assert [str(c.tenant_id) for c in Connection.objects.all()] == [first["tenant_id"]]
    as_admin.post(f"{answer['Location']}cancel/")
    assert [row["tenant_id"] for row in sandbox.api("GET", "connections")] == [first["tenant_id"]]


def test_tokens_are_sealed_in_the_database(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    connect(as_admin, workspace, sandbox, sandbox.organisation()["tenant_id"])
    grant = Grant.objects.get()
    owner = grants.build_owner_name(grant.provider, grant.app_id, grant.provider_user_id)
    secrets = encryption.unseal(owner, grant.tokens)
    assert grants.get_access_token(grant) == secrets["access_token"]
    assert (secrets["access_token"] in grant.tokens, Consent.objects.get().code_verifier) == (
        False,
        "",
    )
