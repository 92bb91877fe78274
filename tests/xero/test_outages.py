"""A moment without database is no outcome: nothing fails, nothing is in doubt that was not sent,
nothing is doubled.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import OperationalError, transaction
from django.db import connection as database

from connections.models import Call, Connection
from connections.writes import sending
from taskjuice.database import outages
from taskjuice.workspaces.models import Workspace
from tests.factories import make_activation, make_workflow
from tests.sandbox_process import SandboxProcess
from tests.xero.linked import link, point_at
from workflows.engine import lanes, runner, store
from workflows.models import MAX_ATTEMPTS, Activation, Lane, StepRun
from xero.actions.writing import XeroWriter
from xero.api import rate_limits

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def connection(running: SandboxProcess, settings: Any, workspace: Workspace) -> Connection:
    running.api("POST", "reset", {"connections": True})
    point_at(settings, running)
    return link(running, workspace)


@pytest.fixture
def name() -> str:
    return f"Outage {uuid4().hex[:12]}"


@pytest.fixture
def activation(connection: Connection, name: str) -> Activation:
    """It reads, then writes."""
    steps = [
        {"name": "found", "action": "xero/list-items", "input": {}},
        {"name": "write", "action": "xero/create-contact", "input": {"name": name}},
    ]
    return make_activation(make_workflow(connection.agency, connection, steps=steps), connection)


def drain(connection: Connection) -> None:
    with transaction.atomic():
        lanes.wake_lanes([connection.pk])
    runner.run_lane(connection.pk)


def there(sandbox: SandboxProcess, connection: Connection, name: str) -> int:
    path = f'Contacts?where=Name=="{name}"&page=1'
    return len(sandbox.xero("GET", str(connection.tenant_id), path)["Contacts"])


def cut() -> None:
    """The database ends our connection, as when it is restarted or fails over."""
    pid = database.connection.info.backend_pid
    found = database.get_connection_params()
    kept = {key: found[key] for key in ("host", "port", "user", "dbname") if key in found}
    with psycopg.connect(**kept, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def cut_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool) -> None:
    """Around the first call of a function."""
    genuine, cuts = getattr(owner, name), [cut]

    def around(*args: Any, **options: Any) -> Any:
        if cuts and not after:
            cuts.pop()()
        outcome = genuine(*args, **options)
        if cuts:
            cuts.pop()()
        return outcome

    monkeypatch.setattr(owner, name, around)


CUTS: dict[str, tuple[Any, str, bool]] = {
    "before anything is asked": (rate_limits, "take_slot", False),
    "while it is asked": (rate_limits, "return_slot", False),
    "before the intent is stored": (sending, "store_calls", False),
    "before it is sent": (XeroWriter, "send", False),
    "after it was sent": (XeroWriter, "send", True),
    "before its outcome is stored": (store.Batch, "_store", False),
    "after its outcome is stored": (store.Batch, "_store", True),
    "before the lane is released": (lanes, "release", False),
}


@pytest.mark.parametrize("moment", CUTS)
def test_cut_connection_costs_neither_an_attempt_nor_a_decision(
    moment: str,
    activation: Activation,
    connection: Connection,
    name: str,
    running: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner, function, after = CUTS[moment]
    cut_once(monkeypatch, owner, function, after=after)
    try:
        drain(connection)
    except outages.OUTAGE:
        database.close()
        activation.refresh_from_db()
        assert (activation.state, activation.attempt) in {("ready", 0), ("ready", 1)}
    lane = Lane.objects.get(pk=connection.pk)
    assert (lane.lease_token, lane.lease_until) == (None, None)  # at once, not when its lease ends
    Activation.objects.filter(state="ready").update(next_at=activation.created_at)
    drain(connection)
    activation.refresh_from_db()
    assert (activation.state, activation.error) == ("succeeded", "")
    assert there(running, connection, name) == 1
    assert Call.objects.get().state == "confirmed"
    outcomes = StepRun.objects.filter(activation=activation).values_list("outcome", flat=True)
    assert set(outcomes) == {"done"}


@contextmanager
def full_disk(table: str) -> Iterator[None]:
    """Every change of the table meets what PostgreSQL says when the disk is full."""
    with database.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
            " 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
        )
        cursor.execute(
            f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION full_disk()"
        )
    try:
        yield
    finally:
        with database.cursor() as cursor:
            cursor.execute("DROP FUNCTION full_disk CASCADE")


@pytest.mark.parametrize(
    "table", ["connections_sending", "connections_call", "workflows_steprun", "connections_budget"]
)
def test_full_disk_loses_nothing(
    table: str,
    activation: Activation,
    connection: Connection,
    name: str,
    running: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outages, "SECONDS", 0.1)
    with full_disk(table), pytest.raises(OperationalError, match="No space left"):
        drain(connection)
    activation.refresh_from_db()
    assert (activation.state, activation.error) == ("ready", "")
    assert Lane.objects.get(pk=connection.pk).lease_token is None
    drain(connection)
    activation.refresh_from_db()
    assert (activation.state, there(running, connection, name)) == ("succeeded", 1)


def test_statement_that_is_too_much_counts_as_an_attempt(
    activation: Activation, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one that can never succeed would be tried for ever."""

    def too_much(*_: Any) -> Any:
        with database.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'too long' USING ERRCODE = '57014'; END $$")

    monkeypatch.setattr(rate_limits, "take_slot", too_much)
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(OperationalError):
            drain(connection)
    drain(connection)
    activation.refresh_from_db()
    assert (activation.state, activation.error_code) == ("failed", "gave-up")
