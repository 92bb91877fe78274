"""The sweeper: each sweep in its turn, and a broken one stops no other."""

import pytest

from taskjuice.queue import sweeping
from taskjuice.queue.sweeping import Sweep


@pytest.fixture(autouse=True)
def own_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "SWEEPS", [])


def test_each_runs_when_due() -> None:
    ran: list[str] = []
    sweeping.add_sweep("often", seconds=2, run=lambda: ran.append("often"))
    sweeping.add_sweep("seldom", seconds=10, run=lambda: ran.append("seldom"))
    for second in range(1, 8):
        sweeping.run_due(float(second))
    assert ran == ["often", "seldom", "often", "often", "often"]


def test_broken_one_is_logged_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    ran: list[str] = []

    def explode() -> None:
        raise ZeroDivisionError

    sweeping.add_sweep("broken", seconds=1, run=explode)
    sweeping.add_sweep("good", seconds=1, run=lambda: ran.append("good"))
    sweeping.run_due(1.0)
    sweeping.run_due(2.0)
    assert ran == ["good", "good"]
    assert [record.message for record in caplog.records] == ["sweep broken failed"] * 2


def test_one_that_failed_is_tried_again_within_a_minute() -> None:
    tries: list[float] = []

    def fail_once() -> None:
        tries.append(now)
        if len(tries) == 1:
            raise ZeroDivisionError

    sweeping.add_sweep("daily", seconds=86_400, run=fail_once)
    for now in (1.0, 30.0, 61.0, 200.0, 80_000.0):
        sweeping.run_due(now)
    assert tries == [1.0, 61.0]


def test_the_products_sweeps_are_added() -> None:
    from django.apps import (
        apps,
    )  # the real list was filled at start; ask the apps what they would add

    sweeping.SWEEPS.clear()
    apps.get_app_config("connections").ready()
    names = {sweep.name for sweep in sweeping.SWEEPS}
    assert "waiting deliveries" in names
    assert all(isinstance(sweep, Sweep) and sweep.seconds > 0 for sweep in sweeping.SWEEPS)
