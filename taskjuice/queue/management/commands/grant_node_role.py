from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from taskjuice.database import privileges


class Command(BaseCommand):
    help = (
        "Grants a role what web and worker need, and no more, on all tables that are there and that later migrations"
        " make. To be run as the owner of the tables; safe to repeat (docs/deploy.md, Two roles)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", help="the role that DATABASE_URL of web and worker names")

    def handle(self, *args: Any, role: str, **options: Any) -> None:
        try:
            with transaction.atomic():
                privileges.grant_to(role)
        except privileges.CannotGrant as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{role} may do what web and worker need, but neither empty the audit trail nor switch its triggers off."
        )
