"""`manage.py xero_sandbox …`: the same as `python -m xero.sandbox …`, which replaces this
process.
"""

import os
import sys
from importlib.util import find_spec
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Starts the bundled stand-in for Xero; takes the options of `python -m xero.sandbox`."
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> None:
        if find_spec("aiohttp") is None:
            sys.exit(
                "The sandbox is not part of this install; `uv sync --locked --extra demo` adds it."
            )
        # before Django reads the options: they are the sandbox's, --help included
        self.handle(*argv[2:])

    def handle(self, *arguments: str, **options: Any) -> None:
        os.execv(sys.executable, [sys.executable, "-m", "xero.sandbox", *arguments])  # noqa: S606
