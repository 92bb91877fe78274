"""All data of a workspace in one file: complete, its own only, without a secret."""

import csv
import io
import json
from zipfile import ZipFile

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import ForeignKey, Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connections.models import Connection, Grant
from connections.oauth import encryption, grants
from taskjuice.queue.models import Wake
from taskjuice.workspaces import audit, data_exports
from taskjuice.workspaces.holdings import HOLDINGS
from taskjuice.workspaces.models import AuditEntry, DataExport, Deletion, User, Workspace
from tests.factories import (
    make_activation,
    make_call,
    make_client_user,
    make_connection,
    make_consent,
    make_data_export,
    make_event,
    make_grant,
    make_invitation,
    make_ledger,
    make_workflow,
)

TOKEN = "eyCANARY-access-token-of-a-client"
PATH = "/northwind/harbour-cafe/settings/data/"


def fill(place: Workspace, owner: User, name: str) -> Connection:
    """One row of all that a workspace may hold."""
    grant = make_grant()
    sealed = encryption.seal(
        grants.build_owner_name("xero", "app", grant.provider_user_id), {"access_token": TOKEN}
    )
    Grant.objects.filter(pk=grant.pk).update(tokens=sealed)
    link = make_connection(place, name=name, grant=grant)
    workflow = make_workflow(place.agency, link)
    make_activation(
        workflow, link, event=make_event(link), trigger_data={"amount": 12.5, "of": name}
    )
    make_call(link, subject=f"=cmd() {name}")
    make_consent(place, owner, grant=grant, nonce=TOKEN)
    make_client_user(place)
    make_invitation(place.agency, workspace=place, role="client", token=f"{TOKEN} {name}")
    make_ledger(link)
    return link


def made(place: Workspace, owner: User) -> ZipFile:
    data_exports.request(workspace=place, by=owner)
    export = place.data_exports.get()
    data_exports.take_turn(export.pk)
    return ZipFile(io.BytesIO(b"".join(data_exports.stream(place.data_exports.get()))))


def lines(archive: ZipFile, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in archive.read(name).splitlines()]


def test_export_holds_every_table_of_the_workspace(workspace: Workspace, owner: User) -> None:
    fill(workspace, owner, "Tui Studio")
    archive = made(workspace, owner)
    filled = [h.name for h in HOLDINGS.values() if h.exported and h.rows(workspace.pk).exists()]
    expected = {f"{name}.{kind}" for name in filled for kind in ("jsonl", "csv")}
    assert len(filled) >= 16
    assert set(archive.namelist()) == expected | {"README.txt"}
    assert [row["name"] for row in lines(archive, "connections.jsonl")] == ["Tui Studio"]
    assert [row["trigger_data"] for row in lines(archive, "activations.jsonl")] == [
        {"amount": 12.5, "of": "Tui Studio"}
    ]
    assert "invoices: 1 rows" in archive.read("README.txt").decode()


def test_export_is_of_one_workspace_only(
    workspace: Workspace, other_workspace: Workspace, foreign_workspace: Workspace, owner: User
) -> None:
    for place, name in (
        (workspace, "OWN"),
        (other_workspace, "SISTER-CANARY"),
        (foreign_workspace, "FOREIGN-CANARY"),
    ):
        fill(place, owner, name)
    archive = made(workspace, owner)
    text = b"".join(archive.read(name) for name in archive.namelist()).decode()
    assert ("OWN" in text, "SISTER-CANARY" in text, "FOREIGN-CANARY" in text) == (
        True,
        False,
        False,
    )


def test_export_holds_no_secret(workspace: Workspace, owner: User) -> None:
    link = fill(workspace, owner, "Tui Studio")
    archive = made(workspace, owner)
    text = b"".join(archive.read(name) for name in archive.namelist()).decode()
    grant = link.grant
    assert grant is not None
    grant.refresh_from_db()
    invitation = workspace.invitations.get()
    consent = link.workspace.consent_set.get()
    secrets = [
        TOKEN,
        grant.tokens,
        owner.password,
        invitation.token_hash,
        consent.state_hash,
        consent.session_hash,
    ]
    assert [secret for secret in secrets if secret in text] == []


def test_spreadsheet_runs_nothing_that_a_stranger_typed(workspace: Workspace, owner: User) -> None:
    fill(workspace, owner, "Tui Studio")
    rows = csv.DictReader(io.StringIO(made(workspace, owner).read("calls.csv").decode("utf-8-sig")))
    assert [row["subject"] for row in rows] == ["'=cmd() Tui Studio"]


def test_large_table_makes_numbered_files(
    workspace: Workspace, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_exports, "ROWS", 2)
    ids = [make_client_user(workspace).client_user.pk for _ in range(5)]
    archive = made(workspace, owner)
    names = [name for name in archive.namelist() if name.startswith("client-users")]
    assert names == [f"client-users-{n:04}.{kind}" for n in (1, 2, 3) for kind in ("jsonl", "csv")]
    assert [
        row["id"] for name in names if name.endswith("jsonl") for row in lines(archive, name)
    ] == ids


def test_killed_turn_is_gone_on_with(
    workspace: Workspace, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(workspace, owner, "Tui Studio")
    data_exports.request(workspace=workspace, by=owner)
    export = workspace.data_exports.get()
    pieces = data_exports._next_piece
    with monkeypatch.context() as patch:
        left = iter([True, True])

        def dies(row: DataExport) -> bool:
            next(left)
            return pieces(row)

        patch.setattr(data_exports, "_next_piece", dies)
        with pytest.raises(StopIteration):
            data_exports.take_turn(export.pk)
    data_exports.take_turn(export.pk)  # somebody else's turn, as far as anybody knows
    assert workspace.data_exports.get().is_under_way
    DataExport.objects.update(claimed_until=timezone.now())
    data_exports.take_turn(export.pk)
    archive = ZipFile(io.BytesIO(b"".join(data_exports.stream(workspace.data_exports.get()))))
    assert len(archive.namelist()) == len(set(archive.namelist()))
    assert [row["name"] for row in lines(archive, "workspaces.jsonl")] == ["Harbour Café"]


def test_export_that_never_gets_on_fails(workspace: Workspace, owner: User) -> None:
    export = make_data_export(workspace, finished_at=None, expires_at=None, attempts=5)
    data_exports.take_turn(export.pk)
    assert workspace.data_exports.get().failed_at is not None


def test_export_expires(workspace: Workspace) -> None:
    make_data_export(workspace, expires_at=timezone.now())
    data_exports.sweep()
    assert DataExport.objects.count() == 0


def test_one_export_is_under_way_at_a_time(as_admin: Client, workspace: Workspace) -> None:
    for _ in range(2):
        assert as_admin.post(f"{PATH}export/").status_code == 302
    assert workspace.data_exports.count() == 1
    assert as_admin.get(PATH).context["under_way"]


def test_admin_downloads_and_the_trail_says_so(
    as_admin: Client, workspace: Workspace, owner: User
) -> None:
    made(workspace, owner)
    export = workspace.data_exports.get()
    answer = as_admin.post(f"{PATH}exports/{export.pk}/download/")
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert ZipFile(io.BytesIO(content)).testzip() is None
    assert answer["Content-Disposition"].startswith('attachment; filename="harbour-cafe-')
    assert (
        AuditEntry.objects.order_by("-id").values_list("verb", flat=True)[0]
        == "data export downloaded"
    )


def test_expired_export_is_not_served(as_admin: Client, workspace: Workspace) -> None:
    export = make_data_export(workspace, expires_at=timezone.now())
    assert as_admin.post(f"{PATH}exports/{export.pk}/download/").status_code == 404


def test_export_of_another_client_is_not_found(
    as_admin: Client, workspace: Workspace, other_workspace: Workspace
) -> None:
    export = make_data_export(other_workspace)
    for verb in ("download", "remove"):
        assert as_admin.post(f"{PATH}exports/{export.pk}/{verb}/").status_code == 404


# Of no workspace, or of many: deliveries carry several organisations' events, workflows are the
# agency's.
NOT_HELD = {"DataExportPart", "Told", "StrayEvent", "TokenRefresh", "Deletion"}


def _points_inside(model: type[Model], held: set[type[Model]]) -> bool:
    keys = [field for field in model._meta.concrete_fields if isinstance(field, ForeignKey)]
    return any(key.related_model in held for key in keys)


def test_every_table_that_points_into_a_workspace_is_held() -> None:
    """A new table is exported and erased with its workspace, or says why not: holdings.add in its
    app's ready().
    """
    held = {holding.model for holding in HOLDINGS.values() if holding.erased}
    missing = [
        model.__name__
        for model in apps.get_models()
        if model.__module__.split(".")[0] in ("taskjuice", "connections", "xero", "workflows")
        if _points_inside(model, held) and model not in HOLDINGS and model.__name__ not in NOT_HELD
    ]
    assert missing == []


def test_names_of_exported_tables_are_once() -> None:
    names = [holding.name for holding in HOLDINGS.values()]
    assert sorted(names) == sorted(set(names))
    assert Wake not in HOLDINGS


@pytest.mark.parametrize("path", [PATH, "/northwind/settings/data/", "/northwind/audit/"])
def test_lists_ask_the_same_number_of_queries_for_one_row_and_for_thirty(
    as_owner: Client, workspace: Workspace, owner: User, path: str
) -> None:
    def asked(rows: int) -> int:
        for _ in range(rows):
            make_data_export(workspace, requested_by=owner)
            name = f"Gone {Deletion.objects.count()}"
            gone = Deletion.objects.count() + 1_000_000
            Deletion.objects.create(
                agency=workspace.agency, workspace_id=gone, name=name, requested_by=owner
            )
            audit.record(
                "client deleted",
                by=owner,
                agency=workspace.agency,
                workspace=workspace,
                subject=name,
            )
        with CaptureQueriesContext(connection) as caught:
            assert as_owner.get(path).status_code == 200
        return len(caught)

    asked(1)  # the first request of a session notes that it was seen
    few = asked(0)
    assert asked(29) == few
