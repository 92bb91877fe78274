"""A connected organisation of the sandbox, and its ledger read into the local copy: for the tests
of both.
"""

from typing import Any

from django.core.cache import cache
from django.test import Client

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.connections.conftest import connect, point_at
from tests.sandbox_process import SandboxProcess
from xero.models import Ledger
from xero.sync import sync


def fresh(sandbox: SandboxProcess, settings: Any) -> SandboxProcess:
    """Without connections and faults of earlier tests; the product points at it."""
    sandbox.api("POST", "reset", {"connections": True})
    point_at(settings, sandbox)
    cache.clear()
    return sandbox


def connected(
    client: Client, workspace: Workspace, sandbox: SandboxProcess, index: int = 0
) -> Connection:
    connect(client, workspace, sandbox, sandbox.organisation(index)["tenant_id"])
    return Connection.objects.select_related("workspace__agency").latest("pk")


def read_all(connection: Connection) -> Ledger:
    """Run the ledger's task until the round is finished."""
    for _ in range(50):
        sync.run_ledger(connection.pk)
        ledger = Ledger.objects.get(pk=connection.pk)
        if ledger.started_at is None and ledger.finished_at is not None:
            return ledger
        assert ledger.not_before is None, ledger.reason
    raise AssertionError("the round does not end")
