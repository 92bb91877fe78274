"""Check the audit trail's hash chain of every agency."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from taskjuice.workspaces import chain


class Command(BaseCommand):
    help = (
        "Check that no audit entry was changed, deleted or slipped in. Prints `<agency id> <number> <hash> <slug>` per"
        " agency: kept outside this database, those lines prove later (--against) that not even a new chain was"
        " computed over changed entries."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--against", type=Path, metavar="FILE", help="an earlier output of this command")

    def handle(self, *_: Any, **options: Any) -> None:
        broken = 0
        for verdict in chain.verify_all():
            self.stdout.write(f"{verdict.agency_id} {verdict.number} {verdict.hash or '-'} {verdict.name}")
            if verdict.broken:
                broken += 1
                self.stderr.write(f"broken in agency {verdict.agency_id} ({verdict.name}): {verdict.broken}")
        if options["against"]:
            noted = chain.noted_in(options["against"].read_text())
            if not noted:
                raise CommandError(
                    f"{options['against']} is no output of this command: nothing is noted in it."
                )
            for line in chain.differing(noted):
                broken += 1
                self.stderr.write(f"not what was noted: {line}")
        if broken:
            raise CommandError("The audit trail is not what was written.")
        self.stdout.write("Every chain is whole.")
