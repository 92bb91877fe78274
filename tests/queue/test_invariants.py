"""`manage.py check_invariants`: each kind of open outcome is listed once its time is over, and not
before.
"""

import io
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_q.models import OrmQ

from connections.models import Call, Connection
from taskjuice.queue import invariants
from taskjuice.queue.models import Wake
from taskjuice.workspaces.models import Deletion, Workspace
from tests.factories import (
    make_activation,
    make_approval,
    make_call,
    make_connection,
    make_consent,
    make_data_export,
    make_delivery,
    make_event,
    make_grant,
    make_link,
    make_workflow,
)
from workflows.models import Lane, WorkflowConnection
from xero.models import Ledger, SequenceGap, Stale

pytestmark = pytest.mark.django_db
Maker = Callable[[Connection, datetime], object]


def _activation(connection: Connection, at: datetime, **fields: object) -> object:
    return make_activation(
        make_workflow(connection.agency, connection), connection, next_at=at, **fields
    )


def _call(connection: Connection, at: datetime, **fields: object) -> Call:
    return make_call(connection, **({"state": "sent", "created_at": at} | fields))


def _ledger(connection: Connection, at: datetime) -> Ledger:
    return Ledger.objects.create(
        connection=connection, workspace=connection.workspace, due_at=at, first_finished_at=at
    )


def _stale(connection: Connection, at: datetime) -> None:
    Ledger.objects.create(
        connection=connection,
        workspace=connection.workspace,
        due_at=timezone.now() + timedelta(minutes=5),
        first_finished_at=at,
    )
    Stale.objects.create(connection=connection, kind="invoices", xero_id=uuid4(), at=at)


def _approval(connection: Connection, **fields: object) -> None:
    later = timezone.now() + timedelta(days=1)
    activation = make_activation(make_workflow(connection.agency), connection, next_at=later)
    make_approval(activation, **fields)


def _schedule(connection: Connection, at: datetime) -> None:
    make_workflow(connection.agency, connection, trigger="core/schedule")
    WorkflowConnection.objects.update(due_at=at)


def _deletion(connection: Connection, at: datetime) -> None:
    Deletion.objects.create(
        agency=connection.agency,
        workspace_id=connection.workspace_id,
        name="Gone",
        requested_at=at,
    )


MAKERS: dict[str, Maker] = {
    "connect link": lambda connection, at: make_link(connection.workspace, untold_since=at),
    "wake-up": lambda _, at: Wake.objects.create(name="settle-calls", pending=True, since=at),
    "queue message": lambda _, at: OrmQ.objects.create(key="taskjuice", payload="x", lock=at),
    "data export": lambda c, at: make_data_export(
        c.workspace, finished_at=None, requested_at=at, claimed_until=at
    ),
    "client deletion": _deletion,
    "delivery": lambda _, at: make_delivery(state="waiting", received_at=at),
    "event": lambda connection, at: make_event(connection, undecided=True, received_at=at),
    "write": _call,
    "token refresh": lambda _, at: make_grant(lease_token=uuid4(), lease_until=at),
    "consent": lambda c, at: make_consent(c.workspace, c.agency.memberships.get().user, used_at=at),
    "ledger": _ledger,
    "stale record": _stale,
    "missing webhooks": lambda _, at: SequenceGap.objects.create(
        first=3, last=4, since=at, found_at=at
    ),
    "lane": lambda c, at: Lane.objects.create(connection=c, lease_token=uuid4(), lease_until=at),
    "activation": _activation,
    "approval past its time": lambda c, at: _approval(c, expires_at=at, told_at=at),
    "decision": lambda c, at: _approval(c, state="approved", decided_at=at),
    "e-mail about an approval": lambda c, at: _approval(c, told=["a@example.com"], asked_at=at),
    "schedule": _schedule,
    "untold": lambda c, at: _call(c, at, state="unknown"),
}


def kinds(within: timedelta = invariants.WITHIN) -> list[str]:
    return [overdue.kind for overdue in invariants.list_overdue_outcomes(within)]


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace)


def test_every_check_has_a_case_here() -> None:
    assert {check.kind for check in invariants.CHECKS} == set(MAKERS)


@pytest.mark.parametrize("kind", MAKERS)
def test_outcome_is_listed_once_its_time_is_over(kind: str, connection: Connection) -> None:
    (check,) = [check for check in invariants.CHECKS if check.kind == kind]
    since = timezone.now() - invariants.WITHIN - check.extra - timedelta(minutes=1)
    MAKERS[kind](connection, since)
    (overdue,) = invariants.list_overdue_outcomes()
    assert (overdue.kind, overdue.since) == (kind, since)
    assert overdue.why
    assert kinds(invariants.WITHIN + timedelta(minutes=2)) == []


@pytest.mark.parametrize(
    "resting",
    [
        {"paused_at": timezone.now()},
        {"state": "revoked"},
        {"state": "pending"},
    ],
)
@pytest.mark.parametrize(
    "kind", ["write", "activation", "approval past its time", "decision", "schedule"]
)
def test_what_waits_for_a_person_is_not_overdue(
    kind: str, resting: dict[str, object], connection: Connection
) -> None:
    MAKERS[kind](connection, timezone.now() - timedelta(hours=1))
    Connection.objects.filter(pk=connection.pk).update(**resting)
    assert kinds() == []


def test_long_queue_of_a_lane_that_has_its_turns_is_not_overdue(connection: Connection) -> None:
    _activation(connection, timezone.now() - timedelta(hours=1))
    assert kinds() == ["activation"]
    lane = Lane.objects.create(connection=connection, turn_at=timezone.now())
    assert kinds() == []
    Lane.objects.filter(pk=lane.pk).update(
        turn_at=timezone.now() - timedelta(hours=2),
        parked_until=timezone.now() + timedelta(hours=1),
    )
    assert kinds() == []


def test_command_says_what_is_open_and_fails(connection: Connection) -> None:
    out = io.StringIO()
    call_command("check_invariants", stdout=out)
    assert out.getvalue().startswith("Nothing is open longer than it may be")
    call = _call(
        connection, timezone.now() - timedelta(hours=1), error="The Organisation is offline"
    )
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_invariants", stdout=out)
    assert ended.value.code == 1
    [line] = out.getvalue().splitlines()
    assert line.startswith(f"write: call {call.pk} (xero/create-invoice, sent), since ")
    assert line.endswith(" UTC: The Organisation is offline")
