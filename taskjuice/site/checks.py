"""System checks of a deployment, for `manage.py check` and before every command."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

EMBEDDED = "DEBUG is off and DATABASE_URL is absent: the embedded PostgreSQL serves."
HINT = "It is for trying things out: no backups, no password, one machine. Name a server in DATABASE_URL."


def register_all() -> None:
    checks.register(embedded_database)


def embedded_database(
    app_configs: Sequence[AppConfig] | None, **_: Any
) -> list[checks.CheckMessage]:
    is_serving = settings.DATABASE_IS_EMBEDDED and not settings.DEBUG
    return [checks.Warning(EMBEDDED, hint=HINT, id="taskjuice.W001")] if is_serving else []
