"""Leases come free when their owner lives on but works on them no longer."""

import pytest
from django.db import DataError, OperationalError, transaction
from django.utils import timezone

from taskjuice.queue import leases, processes
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from workflows.engine import lanes
from workflows.models import Lane

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lane(workspace: Workspace) -> Lane:
    connection = make_connection(workspace)
    lanes.wake_lanes([connection.pk])
    return Lane.objects.get(pk=connection.pk)


def is_free(lane: Lane) -> bool:
    lane.refresh_from_db()
    return lane.lease_until is None or lane.lease_until <= timezone.now()


def test_what_a_task_could_not_give_back_is_free_when_the_next_one_starts(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = lanes.acquire(lane.pk)
    assert lease is not None
    with monkeypatch.context() as patches:
        patches.setattr(lanes, "RELEASE", "SELECT 1/0, %(id)s")
        with pytest.raises(DataError), transaction.atomic():
            lanes.release(lease, more=False)
    assert not is_free(lane)
    leases.free_left()
    assert is_free(lane)
    assert lanes.acquire(lane.pk) is not None


def test_a_database_that_is_away_does_not_end_the_process(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = lanes.acquire(lane.pk)
    assert lease is not None

    def away(*_: object, **__: object) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as patches:
        patches.setattr(leases, "Now", away)
        leases.free_left()
    leases.free_left()
    assert is_free(lane)


def test_what_an_idle_process_holds_is_free(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lanes.acquire(lane.pk) is not None
    idle: list[str] = []
    monkeypatch.setattr(leases, "_idle_checks", [lambda name: name in idle])
    leases.free_dead(Lane)
    assert not is_free(lane)
    idle.append(processes.identity())
    leases.free_dead(Lane)
    assert is_free(lane)
