"""`/healthz` (the process answers) and `/readyz` (it can do its work)."""

import logging
from collections.abc import Callable
from functools import cache

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import Error
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from connections.oauth import checks as stored_secrets
from taskjuice.database import limits, privileges
from taskjuice.queue import heartbeat

logger = logging.getLogger(__name__)

SECONDS = 3.0  # probes do not wait longer


class HealthMiddleware:
    """The middleware that answers health checks early in the chain.

    Probes ask by address, so ALLOWED_HOSTS, sessions and users do not matter.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in {"GET", "HEAD"}:
            if request.path == "/healthz":
                return JsonResponse({"status": "ok"})
            if request.path == "/readyz":
                with limits.set_deadline(SECONDS):
                    return check_readiness()
        return self.get_response(request)


def check_readiness() -> JsonResponse:
    """Return 503 until all checks are true."""
    checks: dict[str, bool | str] = dict.fromkeys(CHECKS, False)
    try:
        for name, is_well in CHECKS.items():
            checks[name] = is_well()
            if not checks[name]:
                break
    except Error as error:
        # The flags answer the probe; the database's own words stay in its log, they may name hosts
        # and roles.
        checks["error"] = type(error).__name__
    ready = all(checks[name] is True for name in CHECKS)
    return JsonResponse(
        {"status": "ok" if ready else "unready", **checks}, status=200 if ready else 503
    )


def _is_database_up() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def _has_all_privileges() -> bool:
    """Return whether the role has all privileges; cached once it has."""
    # What is lacking is for the log only: the answer of a probe is public.
    if missing := _list_missing():
        _list_missing.cache_clear()
        logger.error(
            "the database's role lacks %s: run `manage.py grant_node_role`", "; ".join(missing)
        )
    return not missing


@cache
def _list_missing() -> list[str]:
    return privileges.list_missing()


def _can_open_secrets() -> bool:
    """Return whether TOKEN_KEYS open all stored secrets."""
    # Asked each time: another node may introduce a key at any moment.
    lost = stored_secrets.list_lost_keys()
    if lost:
        logger.error("stored secrets need keys that TOKEN_KEYS does not hold: %s", ", ".join(lost))
    return not lost


def _is_migrated() -> bool:
    """Return whether all migrations are applied; cached once they are."""
    # Cached for good: the code of a running process gets no new migrations.
    if not _are_migrations_applied():
        _are_migrations_applied.cache_clear()
        return False
    return True


@cache
def _are_migrations_applied() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


# In this order; later ones are not asked when an earlier one is false.
CHECKS: dict[str, Callable[[], bool]] = {
    "database": _is_database_up,
    "privileges": _has_all_privileges,
    "migrations": _is_migrated,
    "keys": _can_open_secrets,
    "worker": heartbeat.has_live_worker,
}
