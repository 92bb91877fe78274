"""Records into the local copy: one statement for a whole answer of Xero's, never back in time, the
same twice.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection as database
from django.db import models, transaction

from connections.models import Connection
from taskjuice import exact_json
from xero.models import Invoice, Stale
from xero.records.master_data import parse_contact
from xero.sync.mapping import CONTACTS, INVOICES, KINDS, Kind, Row

logger = logging.getLogger(__name__)

OPEN = ("DRAFT", "SUBMITTED", "AUTHORISED")
OURS = ("id", "workspace", "connection", "first_updated_utc")
# What a table holds that is about the record itself; a change of these is worth a new row version.
UPSERT = """
INSERT INTO {table} AS old (workspace_id, connection_id, first_updated_utc, {columns})
SELECT %s, %s, updated_utc, {columns} FROM jsonb_to_recordset(%s::jsonb) AS new ({declared})
 ORDER BY xero_id
ON CONFLICT (connection_id, xero_id) DO UPDATE SET {updates}
 WHERE excluded.updated_utc >= old.updated_utc AND ({compared}) IS DISTINCT FROM ({compared_new})
RETURNING xero_id
"""
RENAME = """
UPDATE {table} d SET contact_name = c.name
  FROM xero_contact c
 WHERE c.connection_id = %s AND c.xero_id = ANY(%s) AND d.connection_id = c.connection_id
   AND d.contact_xero_id = c.xero_id AND d.contact_name <> c.name
"""
MARK = """
INSERT INTO xero_stale (connection_id, kind, xero_id, tries)
SELECT connection_id, kind, xero_id, 0
  FROM unnest(%s::bigint[], %s::text[], %s::uuid[]) AS new (connection_id, kind, xero_id)
ON CONFLICT (connection_id, kind, xero_id) DO UPDATE SET at = excluded.at, tries = excluded.tries
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an answer: ids of the rows that changed, and how many records were no rows."""

    changed: list[UUID] = field(default_factory=list)
    skipped: int = 0


def take_in(connection: Connection, kind_name: str, bodies: Sequence[Mapping[str, Any]]) -> Taken:
    """Store records as Xero just sent them (whole ones: with lines, `unitdp=4`). Call it wherever
    some were read.
    """
    kind = KINDS[kind_name]
    rows, refused = kind.rows(list(bodies))
    for reason in refused:
        logger.warning("connection %s: left out one of %s: %s", connection.pk, kind_name, reason)
    changed = _store(connection, kind, _latest(rows))
    if changed and kind_name == CONTACTS:
        _rename(connection, changed)
        _read_documents_of_merged(connection, bodies, changed)
    return Taken(changed, len(refused))


def _read_documents_of_merged(
    connection: Connection, bodies: Sequence[Mapping[str, Any]], changed: Sequence[UUID]
) -> None:
    """A merged contact's documents are another contact's now, though Xero does not call them
    changed.
    """
    records = map(parse_contact, bodies)
    merged = [
        one.xero_id for one in records if one.merged_into is not None and one.xero_id in changed
    ]
    if merged:
        of_them = Invoice.objects.filter(connection=connection, contact_xero_id__in=merged)
        open_ids = of_them.filter(status__in=OPEN).values_list("xero_id", flat=True)
        mark_stale([(connection.pk, INVOICES, xero_id) for xero_id in open_ids])


def drop_missing(connection: Connection, kind_name: str, present: Iterable[UUID]) -> int:
    """Kinds that come whole: what did not come is deleted at Xero. It stays here, marked."""
    assert not KINDS[kind_name].paged
    rows = KINDS[kind_name].model._default_manager.filter(connection=connection)
    return (
        rows.exclude(xero_id__in=list(present)).exclude(status="DELETED").update(status="DELETED")
    )


def forget_stale(
    connection: Connection, kind_name: str, ids: Sequence[UUID], *, before: datetime
) -> None:
    """These were read, by a call that began at `before`: only marks made later still ask for a
    read.
    """
    with transaction.atomic():
        Stale.objects.filter(pk__in=lock_stale(connection, kind_name, ids), at__lte=before).delete()


def lock_stale(
    connection: Connection, kind_name: str, ids: Sequence[UUID] | None = None
) -> list[int]:
    """Lock marks, all or those of `ids`, before the caller's transaction changes them; return their
    keys.

    All copies lock them in the order of the ids, as `mark_stale` writes them: else they deadlock.
    Change only these keys then: another statement would also meet marks that were made since, in
    whatever order.
    """
    marks = Stale.objects.filter(connection=connection, kind=kind_name)
    if ids is not None:
        marks = marks.filter(xero_id__in=ids)
    return list(
        marks.order_by("xero_id").select_for_update(of=("self",)).values_list("pk", flat=True)
    )


def mark_stale(marks: Sequence[tuple[int, str, UUID]]) -> None:
    """(connection id, kind, id) of records that changed at Xero."""
    if marks:
        with database.cursor() as cursor:
            cursor.execute(MARK, [list(column) for column in zip(*sorted(set(marks)), strict=True)])


def _latest(rows: list[Row]) -> list[Row]:
    """One row per id: an answer may name a record twice when it changed meanwhile."""
    found: dict[UUID, Row] = {}
    for row in rows:
        known = found.get(row["xero_id"])
        if known is None or known["updated_utc"] <= row["updated_utc"]:
            found[row["xero_id"]] = row
    return list(found.values())


def _store(connection: Connection, kind: Kind, rows: Sequence[Row]) -> list[UUID]:
    if not rows:
        return []
    names, statement = _statement(kind.model)
    # One JSON text: quoting it costs a fraction of what arrays of bodies do.
    given = exact_json.dumps([{name: row[name] for name in names} for row in rows])
    with database.cursor() as cursor:
        cursor.execute(statement, [connection.workspace_id, connection.pk, given])
        return [id for (id,) in cursor.fetchall()]


@cache
def _statement(model: type[models.Model]) -> tuple[tuple[str, ...], str]:
    fields = [f for f in model._meta.concrete_fields if f.name not in OURS]
    names = tuple(f.name for f in fields)
    statement = UPSERT.format(
        table=model._meta.db_table,
        columns=", ".join(names),
        declared=", ".join(f"{f.name} {_type(f)}" for f in fields),
        updates=", ".join(f"{name} = excluded.{name}" for name in names),
        compared=", ".join(f"old.{name}" for name in names),
        compared_new=", ".join(f"excluded.{name}" for name in names),
    )
    return names, statement


def _type(column: "models.Field[Any, Any]") -> str:
    """The column's type without its length: what is too long is the column's own to refuse."""
    found = column.db_type(database)
    assert found is not None  # concrete fields have one
    return found.partition("(")[0]


def _rename(connection: Connection, ids: Sequence[UUID]) -> None:
    """A contact's new name does not touch its documents at Xero; here it is copied into them."""
    with database.cursor() as cursor:
        for table in ("xero_invoice", "xero_payment"):
            cursor.execute(RENAME.format(table=table), [connection.pk, list(ids)])
