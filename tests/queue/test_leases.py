"""Leases come free when their owner lives on but works on them no longer."""

import subprocess
import time
from datetime import timedelta

import pytest
from django.db import DataError, OperationalError, transaction
from django.utils import timezone

from taskjuice.queue import heartbeat, leases, processes
from taskjuice.queue.canaries import Canaries
from taskjuice.queue.models import Heartbeat
from taskjuice.queue.worker import WorkerNode
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
    leases.free_unreturned()
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
        leases.free_unreturned()
    leases.free_unreturned()
    assert is_free(lane)


def test_what_an_idle_process_holds_is_free(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lanes.acquire(lane.pk) is not None
    idle: list[str] = []
    monkeypatch.setattr(leases, "_idle_checks", [lambda name: name in idle])
    leases.free_abandoned(Lane)
    assert not is_free(lane)
    idle.append(processes.identify_process())
    leases.free_abandoned(Lane)
    assert is_free(lane)


def test_what_a_lost_machine_held_is_free_once_it_was_silent(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    canaries = Canaries(processes.identify_process())
    canaries.flowing_since = time.time() - 60
    monkeypatch.setattr(leases, "_idle_checks", [canaries.is_of_lost_host])
    assert lanes.acquire(lane.pk) is not None
    Lane.objects.update(lease_holder="another-host|7|1000")
    Heartbeat.objects.create(
        node="another-host|1|900", beat_at=timezone.now() - timedelta(seconds=3)
    )
    leases.free_abandoned(Lane)
    assert not is_free(lane)
    Heartbeat.objects.update(beat_at=timezone.now() - heartbeat.SILENT - timedelta(seconds=1))
    canaries.flowing_since = time.time() - 1  # nobody could beat until a moment ago
    leases.free_abandoned(Lane)
    assert not is_free(lane)
    canaries.flowing_since = time.time() - 60
    leases.free_abandoned(Lane)
    assert is_free(lane)


def test_process_of_another_host_with_the_number_of_an_idle_one_here_keeps_its_lease(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In containers numbers are small and the same everywhere."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as idle:
        node = WorkerNode()
        try:
            node.cluster = idle
            monkeypatch.setattr(leases, "_idle_checks", [node._is_idle])
            assert lanes.acquire(lane.pk) is not None
            Lane.objects.update(lease_holder=f"another-host|{idle.pid}|1000")
            leases.free_abandoned(Lane)
            assert not is_free(lane)
            Lane.objects.update(lease_holder=processes.identify_process(idle.pid))
            leases.free_abandoned(Lane)
            assert is_free(lane)
        finally:
            node.pulse.remove()
            idle.kill()
