"""The audit trail's chain: whole under many writers, and every way of meddling with it is found."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test import Client

from taskjuice.workspaces import audit, chain
from taskjuice.workspaces.management.commands import verify_audit
from taskjuice.workspaces.models import Agency, AuditEntry, AuditHead, AuditLink, User, Workspace

whole = pytest.mark.django_db(transaction=True)
TABLES = ("workspaces_auditentry", "workspaces_auditlink", "workspaces_audithead")


def write(agency: Agency, count: int = 3) -> list[AuditEntry]:
    return [
        audit.record(f"deed {n}", by=None, agency=agency, nested={"b": [1, 2.5], "a": "ü"})
        for n in range(count)
    ]


def meddle(statement: str, *values: int, **named: int) -> None:
    """As the tables' owner could, with the triggers off."""
    with connection.cursor() as cursor, transaction.atomic():
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, named or values)
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def verify(**options: Any) -> tuple[str, str]:
    """What the command prints and what it complains of."""
    out, complaints = StringIO(), StringIO()
    try:
        call_command("verify_audit", stdout=out, stderr=complaints, **options)
    except CommandError as error:
        complaints.write(str(error))
    return out.getvalue(), complaints.getvalue()


@whole
def test_chain_of_untouched_entries_is_whole(agency: Agency, foreign_agency: Agency) -> None:
    write(agency)
    write(foreign_agency, 1)
    head = AuditHead.objects.get(agency=agency)
    lines, complaints = verify()
    assert complaints == ""
    assert lines.splitlines() == [
        f"{agency.pk} 3 {bytes(head.hash).hex()} northwind",
        f"{foreign_agency.pk} 1 {bytes(AuditHead.objects.get(agency=foreign_agency).hash).hex()} southwind",
        "Every chain is whole.",
    ]


@whole
def test_entry_that_is_rolled_back_leaves_no_link(agency: Agency) -> None:
    with transaction.atomic():
        write(agency, 2)
        transaction.set_rollback(True)
    write(agency, 1)
    assert list(AuditLink.objects.values_list("number", flat=True)) == [1]
    assert chain.verify(agency.pk).broken == ""


MEDDLING = {
    "changed": (
        "UPDATE workspaces_auditentry SET verb = 'x' WHERE id = %s",
        "number 2 was changed: entry {} is not",
    ),
    "detail": (
        "UPDATE workspaces_auditentry SET details = details || '{\"a\": 1}' WHERE id = %s",
        "number 2 was changed: entry {} is not",
    ),
    "backdated": (
        "UPDATE workspaces_auditentry SET at = at - interval '1 microsecond' WHERE id = %s",
        "number 2 was changed: entry {} is not",
    ),
    "deleted": (
        "DELETE FROM workspaces_auditentry WHERE id = %s",
        "number 2 is missing: entry {} was deleted",
    ),
    "unlinked": (
        "DELETE FROM workspaces_auditlink WHERE entry_id = %s",
        "number 2 is missing: its link was deleted",
    ),
    "cut off": (
        (
            "WITH gone AS (DELETE FROM workspaces_auditlink WHERE entry_id >= %s)"
            " DELETE FROM workspaces_auditentry WHERE id >= (SELECT max(id) - 1 FROM workspaces_auditentry)"
        ),
        "number 3 is missing: links at the end were deleted",
    ),
    "slipped in": (
        (
            "INSERT INTO workspaces_auditentry (agency_id, actor_name, verb, subject, details)"
            " SELECT agency_id, 'x', 'x', '', '{}' FROM workspaces_auditentry WHERE id = %s"
        ),
        "entry {next} stands outside the chain",
    ),
}


# The head belongs to whoever may write the tables: by itself it proves nothing about what lies
# behind it.
HEADS = {
    "set back": (
        (
            "UPDATE workspaces_audithead SET (number, hash) = (SELECT number, hash FROM workspaces_auditlink"
            " WHERE workspaces_auditlink.agency_id = workspaces_audithead.agency_id AND number = 1)"
        ),
        "number 2 lies beyond the head",
    ),
    "set to nothing": (
        "UPDATE workspaces_audithead SET number = 0, hash = ''",
        "number 1 lies beyond the head",
    ),
    "removed": ("DELETE FROM workspaces_audithead", "the head is missing"),
}


@whole
@pytest.mark.parametrize("is_changed", [False, True], ids=["alone", "with entries changed"])
@pytest.mark.parametrize("how", HEADS)
def test_head_that_was_moved_hides_nothing(
    agency: Agency, tmp_path: Path, how: str, is_changed: bool
) -> None:
    statement, finding = HEADS[how]
    entries = write(agency)
    noted = tmp_path / "heads"
    noted.write_text(verify()[0])
    meddle(statement)
    if is_changed:
        meddle("UPDATE workspaces_auditentry SET verb = 'x' WHERE id = %s", entries[2].pk)
        finding = f"number 3 was changed: entry {entries[2].pk} is not"
    assert chain.verify(agency.pk).broken.startswith(finding)
    assert verify()[1].endswith("The audit trail is not what was written.")
    assert verify(against=noted)[1].endswith("The audit trail is not what was written.")


@whole
@pytest.mark.parametrize("how", MEDDLING)
def test_meddling_is_found(agency: Agency, how: str) -> None:
    statement, finding = MEDDLING[how]
    entries = write(agency)
    meddle(statement, entries[1].pk)
    assert chain.verify(agency.pk).broken.startswith(
        finding.format(entries[1].pk, next=entries[2].pk + 1)
    )
    assert verify()[1].endswith("The audit trail is not what was written.")


@whole
def test_chain_computed_anew_is_found_by_what_was_noted(agency: Agency, tmp_path: Path) -> None:
    write(agency)
    noted = tmp_path / "heads"
    noted.write_text(verify()[0])
    assert verify(against=noted)[1] == ""
    meddle("UPDATE workspaces_auditentry SET verb = 'x'")
    meddle("DELETE FROM workspaces_auditlink")
    meddle("DELETE FROM workspaces_audithead")
    meddle(
        "SELECT count(workspaces_audit_append(e)::text) FROM (SELECT * FROM workspaces_auditentry ORDER BY id) e"
    )
    assert chain.verify(agency.pk).broken == ""
    assert verify(against=noted)[1].startswith(f"not what was noted: {agency.pk} 3 ")


LATER = (
    "SELECT entry_id FROM workspaces_auditlink WHERE agency_id = %(agency)s AND number > %(number)s"
)
LAST = "SELECT number, hash FROM workspaces_auditlink WHERE agency_id = %(agency)s AND number = %(number)s"
CUT_OFF = (
    f"DELETE FROM workspaces_auditentry WHERE id IN ({LATER})",
    "DELETE FROM workspaces_auditlink WHERE agency_id = %(agency)s AND number > %(number)s",
    "DELETE FROM workspaces_audithead WHERE agency_id = %(agency)s AND %(number)s = 0",
    f"UPDATE workspaces_audithead SET (number, hash) = ({LAST}) WHERE agency_id = %(agency)s",
)


def cut_off(agency: Agency, number: int) -> None:
    """Leave the chain as it was after entry `number`, as a restore from a backup of then does."""
    for statement in CUT_OFF:
        meddle(statement, agency=agency.pk, number=number)


@whole
def test_end_that_a_restore_took_away_is_told_from_tampering(
    agency: Agency, foreign_agency: Agency, tmp_path: Path
) -> None:
    entries = write(agency, 5)
    write(foreign_agency, 1)
    noted = tmp_path / "heads"
    noted.write_text(verify()[0])
    lines = noted.read_text().splitlines()
    cut_off(agency, 2)
    cut_off(foreign_agency, 0)
    assert verify()[1] == ""
    printed, complaints = verify(against=noted)
    assert printed.splitlines()[0].startswith(f"{agency.pk} 2 ")
    assert complaints.splitlines() == [
        f"agency {agency.pk}: entries 3 to 5 were noted and are not in this database: {lines[0]}",
        f"  The entries up to 2 ({entries[1].at:%Y-%m-%d %H:%M:%S} UTC) were recomputed and are what was written.",
        "  A restore from a backup that is older than the note looks like this; so does cutting off the end.",
        f"agency {foreign_agency.pk}: entry 1 was noted and is not in this database: {lines[1]}",
        "  This database holds no entry of the agency.",
        "  A restore from a backup that is older than the note looks like this; so does cutting off the end.",
        *verify_audit.ENDS_EARLIER.splitlines(),
    ]


@whole
def test_end_that_is_missing_excuses_no_changed_entry(agency: Agency, tmp_path: Path) -> None:
    entries = write(agency, 5)
    noted = tmp_path / "heads"
    noted.write_text(verify()[0])
    cut_off(agency, 3)
    meddle("UPDATE workspaces_auditentry SET verb = 'x' WHERE id = %s", entries[1].pk)
    complaints = verify(against=noted)[1]
    assert f"number 2 was changed: entry {entries[1].pk} is not what was written" in complaints
    assert complaints.endswith("The audit trail is not what was written.")


@whole
def test_entry_written_after_a_restore_under_a_noted_number_is_explained(
    agency: Agency, tmp_path: Path
) -> None:
    write(agency, 2)
    before, after = tmp_path / "before the backup", tmp_path / "after it"
    before.write_text(verify()[0])
    write(agency, 3)
    after.write_text(verify()[0])
    cut_off(agency, 2)
    write(agency, 4)
    complaints = verify(against=after)[1]
    assert complaints.startswith(f"not what was noted: {agency.pk} 5 ")
    assert "Compare with an output from before\n  the backup" in complaints
    assert complaints.endswith("The audit trail is not what was written.")
    assert verify(against=before)[1] == ""


def test_file_that_notes_nothing_proves_nothing(agency: Agency, tmp_path: Path) -> None:
    noted = tmp_path / "heads"
    noted.write_text("Every chain is whole.\n")
    with pytest.raises(CommandError, match="nothing is noted in it"):
        call_command("verify_audit", against=noted)


@whole
def test_fifty_writers_at_once_make_one_chain(agency: Agency) -> None:
    def one(number: int) -> None:
        try:
            for _ in range(4):
                with transaction.atomic():
                    audit.record(f"deed {number}", by=None, agency=agency)
                    Agency.objects.filter(pk=agency.pk).select_for_update().get()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(50) as pool:
        list(pool.map(one, range(50)))
    assert AuditHead.objects.get(agency=agency).number == 200
    assert chain.verify(agency.pk).broken == ""


def test_entry_shows_what_was_before_and_after_and_its_place(
    as_owner: Client, agency: Agency, workspace: Workspace, owner: User
) -> None:
    entry = audit.record(
        "client renamed",
        by=owner,
        agency=agency,
        workspace=workspace,
        subject="New",
        before="Old",
        after="New",
    )
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS audit_chain IMMEDIATE")
    found = as_owner.get(f"/northwind/audit/{entry.pk}/").context["found"]
    assert (found.before, found.after, found.number, found.place) == ("Old", "New", 1, workspace)
    assert found.hash == bytes(AuditLink.objects.get().hash).hex()


@pytest.mark.parametrize("path", ["/northwind/audit/{}/", "/northwind/kauri-builders/audit/{}/"])
def test_entry_of_elsewhere_is_not_there(
    as_owner: Client, foreign_agency: Agency, other_workspace: Workspace, path: str
) -> None:
    entry = audit.record("agency renamed", by=None, agency=foreign_agency)
    assert as_owner.get(path.format(entry.pk)).status_code == 404


FILTERS: dict[str, Callable[[Workspace], dict[str, str | int]]] = {
    "who": lambda place: {"who": "Workflow Thank a payer v3"},
    "client": lambda place: {"client": place.pk},
}


@pytest.mark.parametrize("kind", FILTERS)
def test_trail_is_filtered_by_person_and_by_client(
    as_owner: Client, agency: Agency, workspace: Workspace, kind: str
) -> None:
    audit.record("client created", by=None, agency=agency)
    here = audit.record(
        "payment created", by="Workflow Thank a payer v3", agency=agency, workspace=workspace
    )
    page = as_owner.get("/northwind/audit/", FILTERS[kind](workspace)).context["page"]
    assert list(page) == [here]
