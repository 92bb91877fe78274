"""Exports of all data of a workspace as one zip, downloadable for a week.

A worker makes them table by table and keeps the pieces in the database: every node may make and
serve an export without a shared folder, and a killed worker costs one piece.
"""

import csv
import io
import logging
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from taskjuice.queue.wake import enqueue_task
from taskjuice.workspaces import audit, claims
from taskjuice.workspaces.exports import safe
from taskjuice.workspaces.holdings import HOLDINGS, Holding
from taskjuice.workspaces.models import DataExport, DataExportPart, User, Workspace

logger = logging.getLogger(__name__)

TASK = "taskjuice.workspaces.tasks.make_export"
_JSON = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
ROWS = 5000  # of one file
KEPT = timedelta(days=7)
MOST_ATTEMPTS = 5
README = """\
All data that TaskJuice holds of {name}, as of {at:%d %B %Y %H:%M} UTC.

Each table is there twice: as .jsonl, one JSON object per line with everything, and as .csv for a spreadsheet, without
what is nested. Amounts are written digit by digit. Times are UTC. A table of more than {rows} rows makes several files,
numbered. Access tokens, keys and passwords are in none of them.

{tables}
"""


def request(*, workspace: Workspace, by: User) -> None:
    """Start an export, unless one is under way."""
    with suppress(IntegrityError), transaction.atomic():
        export = DataExport.objects.create(
            agency_id=workspace.agency_id, workspace=workspace, requested_by=by
        )
        _note("data export requested", export, by)
        enqueue_task(TASK, export.pk)


def of_workspace(workspace: Workspace) -> list[DataExport]:
    """Return the exports that have not expired, newest first."""
    rows = workspace.data_exports.filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
    return list(rows.select_related("requested_by").order_by("-pk"))


def note_download(export: DataExport, *, by: User) -> None:
    _note("data export downloaded", export, by)


@transaction.atomic
def remove(*, export: DataExport, by: User) -> None:
    """Remove an export before it expires."""
    _note("data export removed", export, by)
    export.delete()


def sweep() -> None:
    """Wake what nobody works on; drop what has expired."""
    DataExport.objects.filter(expires_at__lt=Now()).delete()
    open_ones = DataExport.objects.filter(finished_at=None, failed_at=None)
    for pk in claims.waiting(open_ones).values_list("pk", flat=True)[:20]:
        enqueue_task(TASK, pk)


def take_turn(pk: int) -> None:
    """Go on with an export for a while. Harmless when it is finished or somebody else is at it."""
    row = DataExport.objects.filter(pk=pk, finished_at=None, failed_at=None)
    if not claims.take(row):
        return
    row.update(attempts=F("attempts") + 1)
    export = row.select_related("workspace").get()
    if export.attempts > MOST_ATTEMPTS:
        logger.error("export %s failed: no progress in %s turns", pk, MOST_ATTEMPTS)
        row.update(failed_at=Now(), expires_at=Now() + KEPT)
        return
    ends = time.monotonic() + claims.TURN_SECONDS
    while time.monotonic() < ends:
        if not _next_piece(export):
            row.update(finished_at=Now(), expires_at=Now() + KEPT)
            return
    with transaction.atomic():
        claims.give_back(row)
        enqueue_task(TASK, pk)


def _next_piece(export: DataExport) -> bool:
    """Make the next files and store the position; return False when all are made."""
    tables = [holding for holding in HOLDINGS.values() if holding.exported]
    names = [holding.name for holding in tables]
    place = names.index(export.table) if export.table else 0
    if place >= len(tables) or (export.table == names[-1] and export.after == "end"):
        return False
    holding = tables[place]
    rows = _read(holding, export)
    with transaction.atomic():
        for name, content in _files(holding, rows):
            squeezed = zlib.compress(content.encode(), 6)
            DataExportPart.objects.create(
                export=export, name=name, rows=len(rows), content=squeezed
            )
            export.size += len(squeezed)
        export.rows += len(rows)
        _move_on(export, names, place, str(rows[-1][0]) if len(rows) == ROWS else "")
        export.attempts = 0
        export.save(update_fields=["size", "rows", "table", "after", "attempts"])
    return True


def _move_on(export: DataExport, names: Sequence[str], place: int, after: str) -> None:
    if after:
        export.table, export.after = names[place], after
    elif place + 1 < len(names):
        export.table, export.after = names[place + 1], ""
    else:
        export.table, export.after = names[place], "end"


def _read(holding: Holding, export: DataExport) -> list[tuple[Any, ...]]:
    """Return the rows behind the last position, each with its key in front."""
    rows = holding.rows(export.workspace_id).order_by("pk")
    if export.after:
        rows = rows.filter(pk__gt=export.after)
    return list(rows.values_list("pk", *holding.columns)[:ROWS])


def _files(holding: Holding, rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, str]]:
    if not rows:
        return
    names = holding.columns
    lines = (
        _JSON.encode(
            {name: _as_text(value) for name, value in zip(names, row[1:], strict=True)}
        ).decode()
        for row in rows
    )
    yield f"{holding.name}.jsonl", "\n".join(lines) + "\n"
    flat = [(name, names.index(name) + 1) for name in holding.flat_columns]
    sheet = io.StringIO()
    writer = csv.writer(sheet)
    writer.writerow([name for name, _ in flat])
    writer.writerows([safe(row[place]) for _, place in flat] for row in rows)
    yield f"{holding.name}.csv", "\ufeff" + sheet.getvalue()


def _as_text(value: Any) -> Any:
    """Return stored bytes as the text they are: what was sent to a provider."""
    return bytes(value).decode(errors="replace") if isinstance(value, bytes | memoryview) else value


def stream(export: DataExport) -> Iterator[bytes]:
    """Yield the zip file by file; no more than one of them is in memory."""
    parts = list(export.parts.order_by("pk").values_list("pk", "name", "rows"))
    several = {name for _, name, _ in parts if sum(other == name for _, other, _ in parts) > 1}
    counts: dict[str, int] = {}
    numbers: dict[str, int] = {}
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_DEFLATED) as archive:
        for pk, name, rows in parts:
            numbers[name] = numbers.get(name, 0) + 1
            counts[name] = counts.get(name, 0) + rows
            content = zlib.decompress(
                bytes(DataExportPart.objects.values_list("content", flat=True).get(pk=pk))
            )
            archive.writestr(_numbered(name, numbers[name]) if name in several else name, content)
            yield sink.drained()
        archive.writestr("README.txt", _readme(export, counts))
    yield sink.drained()


def _numbered(name: str, number: int) -> str:
    stem, _, kind = name.rpartition(".")
    return f"{stem}-{number:04}.{kind}"


def _readme(export: DataExport, counts: dict[str, int]) -> str:
    tables = "\n".join(
        f"{name.removesuffix('.jsonl')}: {count} rows"
        for name, count in counts.items()
        if name.endswith(".jsonl")
    )
    at = export.finished_at or export.requested_at
    return README.format(name=export.workspace.name, at=at, rows=ROWS, tables=tables)


class _Sink(io.RawIOBase):
    """A write-only file that gives up what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.held += data
        return len(data)

    def drained(self) -> bytes:
        held, self.held = bytes(self.held), bytearray()
        return held


def _note(verb: str, export: DataExport, by: User) -> None:
    place = export.workspace
    audit.record(
        verb, by=by, agency=place.agency, workspace=place, subject=place.name, export=export.pk
    )
