"""Deleting a workspace: gone at once, told to Xero, erased, and never stuck."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from connections import lifecycle
from connections.models import Connection, ConnectionState, Grant
from taskjuice.workspaces import chain, deletions
from taskjuice.workspaces.holdings import HOLDINGS
from taskjuice.workspaces.models import Agency, AuditEntry, Deletion, User, Workspace
from tests.conftest import SignIn
from tests.connections.conftest import connect
from tests.factories import make_client_user, make_connection
from tests.sandbox_process import SandboxProcess
from tests.workspaces.test_data_exports import fill

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/northwind/harbour-cafe/settings/delete/"


def held(workspace_id: int) -> dict[str, int]:
    """How many rows each table holds of the workspace, where there are any."""
    counts = {h.model.__name__: h.rows(workspace_id).count() for h in HOLDINGS.values() if h.erased}
    return {name: count for name, count in counts.items() if count}


def run() -> Deletion:
    deletion = Deletion.objects.get()
    deletions.take_turn(deletion.pk)
    deletion.refresh_from_db()
    return deletion


def test_deletion_tells_xero_erases_tokens_and_rows_and_keeps_the_trail(
    as_admin: Client,
    agency: Agency,
    workspace: Workspace,
    other_workspace: Workspace,
    owner: User,
    sandbox: SandboxProcess,
) -> None:
    connect(as_admin, workspace, sandbox, sandbox.organisation()["tenant_id"])
    Grant.objects.update(granted_by=None)
    fill(other_workspace, owner, "Sister")
    before = held(other_workspace.pk)
    assert as_admin.post(PATH, {"name": "harbour  café"}).status_code == 302
    assert as_admin.get("/northwind/harbour-cafe/").status_code == 404
    deletion = run()
    assert (deletion.finished_at is not None, deletion.warning) == (True, "")
    assert sandbox.api("GET", "connections") == []
    assert (
        Grant.objects.exclude(connections__workspace=other_workspace).values_list(
            "tokens", flat=True
        )[0]
        == ""
    )
    assert (held(workspace.pk), Workspace.objects.filter(pk=workspace.pk).exists()) == ({}, False)
    assert held(other_workspace.pk) == before
    verbs = AuditEntry.objects.filter(agency=agency, workspace_name="Harbour Café").values_list(
        "verb", flat=True
    )
    assert list(verbs.order_by("id"))[-1] == "client deletion begun"
    assert AuditEntry.objects.order_by("-id")[0].verb == "client deleted"
    assert as_admin.get("/northwind/audit/").status_code == 200
    assert chain.verify(agency.pk).broken == ""


def test_every_row_goes(workspace: Workspace, owner: User) -> None:
    fill(workspace, owner, "Tui")
    Connection.objects.update(provider_connection_id=None)
    Grant.objects.update(tokens="")
    deletions.request(workspace=workspace, by=owner)
    assert run().finished_at is not None
    assert held(workspace.pk) == {}


def test_deletion_waits_for_xero_and_then_goes_on_without_it(
    as_admin: Client, workspace: Workspace, owner: User, sandbox: SandboxProcess
) -> None:
    connect(as_admin, workspace, sandbox, sandbox.organisation()["tenant_id"])
    name = Connection.objects.get().name
    for path in ("/connections*", "/connect/*"):
        sandbox.api("POST", "faults", {"kind": "error_503_before", "path": path, "remaining": None})
    deletions.request(workspace=workspace, by=owner)
    deletion = run()
    assert (deletion.finished_at, Connection.objects.get().state) == (None, ConnectionState.REVOKED)
    Deletion.objects.update(requested_at=timezone.now() - deletions.PATIENCE - timedelta(seconds=1))
    deletion = run()
    assert deletion.finished_at is not None
    assert (
        deletion.warning
        == f"Xero could not be told. Remove TaskJuice there, under Connected apps, of: {name}."
    )
    assert (Grant.objects.get().tokens, Connection.objects.count()) == ("", 0)


def test_grant_that_another_client_needs_stays(
    as_admin: Client,
    workspace: Workspace,
    other_workspace: Workspace,
    owner: User,
    sandbox: SandboxProcess,
) -> None:
    first, second = [
        organisation["tenant_id"] for organisation in sandbox.api("GET", "organisations")
    ][:2]
    connect(as_admin, workspace, sandbox, first)
    connect(as_admin, other_workspace, sandbox, second)
    deletions.request(workspace=workspace, by=owner)
    assert run().finished_at is not None
    kept = Connection.objects.get()
    assert [row["tenant_id"] for row in sandbox.api("GET", "connections")] == [second]
    assert lifecycle.check_connection(kept, by=owner).problem == ""


def test_deletion_is_done_once_however_often_it_is_asked_for(
    workspace: Workspace, owner: User
) -> None:
    for _ in range(2):
        deletions.request(workspace=workspace, by=owner)
    assert (Deletion.objects.count(), OrmQ.objects.count()) == (1, 1)
    run()
    deletions.take_turn(Deletion.objects.get().pk)
    assert AuditEntry.objects.filter(verb="client deleted").count() == 1


def test_lost_deletion_is_found_by_the_sweep(workspace: Workspace, owner: User) -> None:
    deletions.request(workspace=workspace, by=owner)
    OrmQ.objects.all().delete()
    deletions.sweep()
    assert OrmQ.objects.count() == 1


def test_wrong_name_deletes_nothing(as_admin: Client, workspace: Workspace) -> None:
    answer = as_admin.post(PATH, {"name": "Kauri Builders"})
    assert (answer.status_code, answer.context["form"].errors["name"]) == (
        422,
        ["This is not the client’s name."],
    )
    assert Deletion.objects.count() == 0


def test_client_that_is_being_deleted_is_nowhere(
    as_admin: Client, sign_in: SignIn, workspace: Workspace, owner: User
) -> None:
    reader = sign_in(make_client_user(workspace))
    make_connection(workspace)
    deletions.request(workspace=workspace, by=owner)
    assert as_admin.get("/northwind/harbour-cafe/connections/").status_code == 404
    assert reader.get("/northwind/harbour-cafe/").status_code == 404
    assert "Harbour Café" not in as_admin.get("/northwind/clients/?state=archived").content.decode()
    assert "Being deleted" in as_admin.get("/northwind/settings/data/").content.decode()
