import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from taskjuice.queue import invariants


class Command(BaseCommand):
    help = "Lists what is open longer than it may be, and why. Exit code 1 if anything is."

    def add_arguments(self, parser: CommandParser) -> None:
        minutes = invariants.WITHIN.total_seconds() / 60
        parser.add_argument(
            "--minutes",
            type=float,
            default=minutes,
            help="how long an outcome may be open (default: 10)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        overdue = invariants.list_overdue_outcomes(timedelta(minutes=options["minutes"]))
        for outcome in overdue:
            self.stdout.write(str(outcome))
        if overdue:
            sys.exit(1)
        self.stdout.write(
            f"Nothing is open longer than it may be ({len(invariants.CHECKS)} checks)."
        )
