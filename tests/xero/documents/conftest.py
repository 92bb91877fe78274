"""An organisation of the sandbox whose ledger was read into the local copy."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.sandbox_process import SandboxProcess
from tests.xero.books import read_all
from tests.xero.linked import link, point_at
from xero.sync import schedule as sync_schedule


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: SandboxProcess, settings: Any, db: None) -> SandboxProcess:
    running.api("POST", "reset", {"connections": True})
    point_at(settings, running)
    cache.clear()
    return running


@pytest.fixture
def connection(sandbox: SandboxProcess, workspace: Workspace) -> Connection:
    found = link(sandbox, workspace)
    sync_schedule.start_reading(found)
    read_all(found)
    return found
