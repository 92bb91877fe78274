"""The local copy against the real sandbox: first read, changes, limits, crashes."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.sandbox_process import SandboxProcess
from tests.xero.books import connected, fresh, read_all
from xero.models import Account, Contact, Invoice, Item, Part, Payment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def sandbox_process() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess, settings: Any, db: None) -> SandboxProcess:
    return fresh(sandbox_process, settings)


@pytest.fixture
def connection(as_admin: Client, workspace: Workspace, sandbox: SandboxProcess) -> Connection:
    return connected(as_admin, workspace, sandbox)


def test_first_read_brings_everything(connection: Connection, sandbox: SandboxProcess) -> None:
    ledger = read_all(connection)
    there = sandbox.organisation()
    found = {
        "invoices": Invoice.objects.count(),
        "contacts": Contact.objects.count(),
        "payments": Payment.objects.count(),
        "accounts": Account.objects.count(),
        "items": Item.objects.count(),
    }
    assert found == {name: there[name] for name in found}
    assert ledger.base_currency == "NZD"
    assert {part.kind: (part.done, part.total) for part in Part.objects.exclude(kind="organisation")} == {
        name: (count, count) for name, count in found.items()
    }
    connection.refresh_from_db()
    assert connection.last_sync_at is not None
