"""One sandbox for the whole run; tests that change its settings or kill it start their own."""

from collections.abc import Iterator

import pytest

from tests.sandbox_process import SandboxProcess
from tests.xero.sandbox.app import App
from tests.xero.sandbox.receiver import Receiver

DEFAULTS = {"minute_limit": 60, "daily_limit": 5000, "app_minute_limit": 10000, "latency_ms": 0}


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(webhook_delay_ms=20, webhook_retry_seconds=1) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: SandboxProcess) -> Iterator[SandboxProcess]:
    """As if new, but for what tests wrote into the ledgers and for its clock."""
    yield running_sandbox
    running_sandbox.api("POST", "reset", {"connections": True})
    running_sandbox.api("POST", "settings", DEFAULTS)


@pytest.fixture
def app(sandbox: SandboxProcess) -> App:
    """Connected to the first organisation."""
    return App(sandbox).connect()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver
