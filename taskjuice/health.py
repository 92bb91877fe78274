"""`/healthz` (the process answers) and `/readyz` (it can do its work)."""

from collections.abc import Callable

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import Error
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from taskjuice.queue import heartbeat


class HealthMiddleware:
    """First in the chain: health is asked by address, so ALLOWED_HOSTS, sessions and people do not matter."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in {"GET", "HEAD"}:
            if request.path == "/healthz":
                return JsonResponse({"status": "ok"})
            if request.path == "/readyz":
                return readiness()
        return self.get_response(request)


def readiness() -> JsonResponse:
    checks = {"database": False, "migrations": False, "worker": False}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        checks["database"] = True
        executor = MigrationExecutor(connection)
        checks["migrations"] = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        checks["worker"] = checks["migrations"] and heartbeat.is_fresh()
    except Error:  # the flags say how far it came; the database's own words are for the logs of PostgreSQL
        pass
    ready = all(checks.values())
    return JsonResponse({"status": "ok" if ready else "unready", **checks}, status=200 if ready else 503)
