"""The command that holds all writes after a restore until everything since the backup is
compared.
"""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from connections.models import Reconciliation
from connections.writes import reconciliation
from xero.sync.reconciliation import UnknownRecord, list_unknown_records

OURS = "Written to Xero by TaskJuice after the backup, and unknown here:"
ANYBODYS = (
    "New in Xero since the backup."
    " Xero does not say whether TaskJuice, a person or another app made it:"
)
NAME_IT = "if a change that needs a decision is this one, choose “It is there” and give {0}."
WHAT_TO_DO = {
    "invoice": NAME_IT,
    "bill": NAME_IT,
    "payment": NAME_IT,
    "contact": "nothing: a step that creates it again stops, because the name is taken.",
}


class Command(BaseCommand):
    help = (
        "After a restore, before web and workers start: `reconcile begin --since"
        " 2026-11-22T02:00:00Z` (when the backup was made) holds all writes and has everything"
        " since then read again. `reconcile status` looks up the writes without an answer"
        " and says what is open; `reconcile release` lets writes go out again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("step", choices=["begin", "status", "release"])
        parser.add_argument("--since", type=_instant, help="when the backup was made, ISO 8601")
        parser.add_argument(
            "--force", action="store_true", help="release although something is open"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            {"begin": self._begin, "status": self._status, "release": self._release}[
                options["step"]
            ](options)
        except reconciliation.ReconciliationRefused as error:
            raise CommandError(str(error)) from error

    def _begin(self, options: dict[str, Any]) -> None:
        if options["since"] is None:
            raise CommandError("Say when the backup was made: --since 2026-11-22T02:00:00Z")
        row = reconciliation.begin_reconciliation(since=options["since"])
        self.stdout.write(
            "Writes are held. Start web and workers: they read what changed"
            f" since {row.since:%Y-%m-%d %H:%M} UTC."
        )

    def _status(self, _: dict[str, Any]) -> None:
        row = reconciliation.find_open()
        if row is None:
            self.stdout.write("No reconciliation is open; writes go out.")
            return
        self.stdout.write(f"Writes are held since {row.begun_at:%Y-%m-%d %H:%M} UTC.")
        self.stdout.write(
            f"{reconciliation.look_up_unsettled()} writes without an answer were looked up."
        )
        self._list_unknown_records(row)
        points = reconciliation.list_open_points(row)
        for point in points:
            self.stdout.write(f"open: {point}")
        if points:
            raise CommandError("Not everything has been compared yet.")
        self.stdout.write("Everything has been compared: `reconcile release` may follow.")

    def _list_unknown_records(self, row: Reconciliation) -> None:
        records = list(list_unknown_records(row))
        ours = [record for record in records if record.is_ours]
        anybodys = [record for record in records if not record.is_ours]
        for head, listed in ((OURS, ours), (ANYBODYS, anybodys)):
            if listed:
                self.stdout.write(head)
            for record in listed:
                self.stdout.write(f"  {_describe(record)}")

    def _release(self, options: dict[str, Any]) -> None:
        row = reconciliation.find_open()
        if row is None:
            raise CommandError("No reconciliation is open.")
        reconciliation.release_writes(row, force=options["force"])
        self.stdout.write(
            "Writes go out again. Steps that may have written before the restore ask a person."
        )


def _describe(record: UnknownRecord) -> str:
    by_id = f"ID {record.xero_id}"
    named = record.name if record.name and record.kind != "payment" else by_id
    do = WHAT_TO_DO[record.kind].format(named)
    return (
        f"{record.organisation}: {record.kind} {record.name or 'without a number'} ({by_id}): {do}"
    )


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
