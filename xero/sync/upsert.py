"""Records into the local copy: one statement per answer, never replaced by an older one, safe to
repeat.
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
from xero.sync.mapping import CONTACTS, INVOICES, KINDS, RecordKind, RecordRow

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
class StoredRecords:
    """The result of storing an answer: ids of the changed rows, and the number of unusable
    records.
    """

    changed: list[UUID] = field(default_factory=list)
    skipped: int = 0


def store_records(
    connection: Connection, kind_name: str, bodies: Sequence[Mapping[str, Any]]
) -> StoredRecords:
    """Store records as Xero just sent them; called wherever some were read.

    They have to be whole: with lines, and amounts of `unitdp=4`.
    """
    kind = KINDS[kind_name]
    rows, refused = kind.map_bodies(list(bodies))
    for reason in refused:
        logger.warning("connection %s: left out one of %s: %s", connection.pk, kind_name, reason)
    changed = _upsert_rows(connection, kind, _keep_latest(rows))
    if changed and kind_name == CONTACTS:
        _rename_in_documents(connection, changed)
        _mark_documents_of_merged(connection, bodies, changed)
    return StoredRecords(changed, len(refused))


def _mark_documents_of_merged(
    connection: Connection, bodies: Sequence[Mapping[str, Any]], changed: Sequence[UUID]
) -> None:
    """Mark the open documents of merged contacts as stale."""
    # Their documents belong to another contact now, though Xero does not call them changed.
    records = map(parse_contact, bodies)
    merged = [
        contact.xero_id
        for contact in records
        if contact.merged_into is not None and contact.xero_id in changed
    ]
    if merged:
        documents = Invoice.objects.filter(connection=connection, contact_xero_id__in=merged)
        open_ids = documents.filter(status__in=OPEN).values_list("xero_id", flat=True)
        mark_stale([(connection.pk, INVOICES, xero_id) for xero_id in open_ids])


def mark_deleted(connection: Connection, kind_name: str, present: Iterable[UUID]) -> int:
    """Mark the records of a kind that comes whole as deleted where they are not `present`."""
    assert not KINDS[kind_name].paged
    rows = KINDS[kind_name].model._default_manager.filter(connection=connection)
    return (
        rows.exclude(xero_id__in=list(present)).exclude(status="DELETED").update(status="DELETED")
    )


def clear_stale(
    connection: Connection, kind_name: str, ids: Sequence[UUID], *, before: datetime
) -> None:
    """Clear the marks of records that a call which began at `before` has read; later marks stay."""
    with transaction.atomic():
        Stale.objects.filter(pk__in=lock_stale(connection, kind_name, ids), at__lte=before).delete()


def lock_stale(
    connection: Connection, kind_name: str, ids: Sequence[UUID] | None = None
) -> list[int]:
    """Lock marks, all or those of `ids`, before the caller's transaction changes them; return their
    keys.

    The caller changes these keys only: another statement would also meet marks that were made
    since, in whatever order.
    """
    # Lock order: by id, the order in which mark_stale writes. Any other order deadlocks with it.
    marks = Stale.objects.filter(connection=connection, kind=kind_name)
    if ids is not None:
        marks = marks.filter(xero_id__in=ids)
    return list(
        marks.order_by("xero_id").select_for_update(of=("self",)).values_list("pk", flat=True)
    )


def mark_stale(marks: Sequence[tuple[int, str, UUID]]) -> None:
    """Mark records that changed at Xero: (connection id, kind, id)."""
    if marks:
        with database.cursor() as cursor:
            cursor.execute(MARK, [list(column) for column in zip(*sorted(set(marks)), strict=True)])


def _keep_latest(rows: list[RecordRow]) -> list[RecordRow]:
    """Return one row per id: an answer may name a record twice when it changed during the call."""
    rows_by_id: dict[UUID, RecordRow] = {}
    for row in rows:
        earlier = rows_by_id.get(row["xero_id"])
        if earlier is None or earlier["updated_utc"] <= row["updated_utc"]:
            rows_by_id[row["xero_id"]] = row
    return list(rows_by_id.values())


def _upsert_rows(connection: Connection, kind: RecordKind, rows: Sequence[RecordRow]) -> list[UUID]:
    if not rows:
        return []
    names, statement = _build_statement(kind.model)
    # One JSON text: quoting it costs a fraction of what arrays of bodies do.
    records_json = exact_json.dumps([{name: row[name] for name in names} for row in rows])
    with database.cursor() as cursor:
        cursor.execute(statement, [connection.workspace_id, connection.pk, records_json])
        return [id for (id,) in cursor.fetchall()]


@cache
def _build_statement(model: type[models.Model]) -> tuple[tuple[str, ...], str]:
    fields = [f for f in model._meta.concrete_fields if f.name not in OURS]
    names = tuple(f.name for f in fields)
    statement = UPSERT.format(
        table=model._meta.db_table,
        columns=", ".join(names),
        declared=", ".join(f"{f.name} {_column_type(f)}" for f in fields),
        updates=", ".join(f"{name} = excluded.{name}" for name in names),
        compared=", ".join(f"old.{name}" for name in names),
        compared_new=", ".join(f"excluded.{name}" for name in names),
    )
    return names, statement


def _column_type(column: "models.Field[Any, Any]") -> str:
    """Return the column's type without its length, so that the column itself refuses a text too
    long.
    """
    column_type = column.db_type(database)
    assert column_type is not None  # concrete fields have one
    return column_type.partition("(")[0]


def _rename_in_documents(connection: Connection, ids: Sequence[UUID]) -> None:
    """Copy the contacts' new names into their documents, which Xero does not mark as changed."""
    with database.cursor() as cursor:
        for table in ("xero_invoice", "xero_payment"):
            cursor.execute(RENAME.format(table=table), [connection.pk, list(ids)])
