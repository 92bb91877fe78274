"""Check the audit trail's hash chain of every agency."""

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from taskjuice.workspaces import chain

NOT_WHAT_WAS_WRITTEN = "The audit trail is not what was written."
OTHER_ENTRY = """not what was noted: {line}
  Another entry has this number now, or none that fits. The chain was computed anew over changed entries, or this
  database was restored from a backup older than the note and has gone on since. Compare with an output from before
  the backup: it has to be right. If it is not, or nothing was restored, entries were tampered with."""
END_MISSING = """agency {agency}: {entries} not in this database: {line}
  {here}
  A restore from a backup that is older than the note looks like this; so does cutting off the end."""
HERE = "The entries up to {number} ({at:%Y-%m-%d %H:%M:%S} UTC) were recomputed and are what was written."
NOTHING_HERE = "This database holds no entry of the agency."
ENDS_EARLIER = """The audit trail is whole and ends earlier than was noted.
If this database was restored from a backup:
  - the last entry of each agency named above has to be from shortly before the backup, none from after it;
  - an output of this command from before the backup has to be right: verify_audit --against that-output;
  - keep the noted file, the only trace of the entries that are gone;
  - keep the output of this run: it is what later ones are compared with.
If it was not restored, somebody with the power of the tables' owner has cut off the end: treat it as tampering."""


class Command(BaseCommand):
    help = (
        "Check that no audit entry was changed, deleted or slipped in. Prints `<agency id> <number> <hash> <slug>` per"
        " agency: kept outside this database, those lines prove later (--against) that not even a new chain was"
        " computed over changed entries, and that no entry at the end is missing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--against", type=Path, metavar="FILE", help="an earlier output of this command"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        verdicts = {verdict.agency_id: verdict for verdict in chain.verify_all()}
        for verdict in verdicts.values():
            self.stdout.write(
                f"{verdict.agency_id} {verdict.number} {verdict.hash or '-'} {verdict.name}"
            )
            if verdict.broken:
                self.stderr.write(
                    f"broken in agency {verdict.agency_id} ({verdict.name}): {verdict.broken}"
                )
        is_broken = any(verdict.broken for verdict in verdicts.values())
        differences = self._differences(options["against"], verdicts) if options["against"] else []
        for difference in differences:
            self.stderr.write(_describe(difference))
        if is_broken or not all(difference.is_end_missing for difference in differences):
            raise CommandError(NOT_WHAT_WAS_WRITTEN)
        if differences:
            raise CommandError(ENDS_EARLIER)
        self.stdout.write("Every chain is whole.")

    def _differences(
        self, file: Path, verdicts: Mapping[int, chain.Verdict]
    ) -> list[chain.Difference]:
        noted = chain.read_noted(file.read_text())
        if not noted:
            raise CommandError(f"{file} is no output of this command: nothing is noted in it.")
        return list(chain.compare_with_noted(noted, verdicts))


def _describe(difference: chain.Difference) -> str:
    noted, last = difference.noted, difference.last_number
    if not difference.is_end_missing:
        return OTHER_ENTRY.format(line=noted.line)
    if last + 1 == noted.number:
        entries = f"entry {noted.number} was noted and is"
    else:
        entries = f"entries {last + 1} to {noted.number} were noted and are"
    here = HERE.format(number=last, at=difference.last_at) if difference.last_at else NOTHING_HERE
    return END_MISSING.format(agency=noted.agency_id, entries=entries, line=noted.line, here=here)
