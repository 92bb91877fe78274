"""What is stored for later follows the database's clock, however wrong the machine's own is."""

import time
from datetime import timedelta

import pytest
from django.db import connection as database
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from connections.models import Connection
from taskjuice.queue import clock, wake
from taskjuice.workspaces.models import Workspace
from tests.factories import make_activation, make_connection, make_workflow
from workflows.engine import lanes, runner
from workflows.models import Activation

pytestmark = pytest.mark.django_db
SKEWS = [timedelta(minutes=-10), timedelta(minutes=10)]


@pytest.fixture(params=SKEWS, ids=["late", "early"])
def wrong_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> timedelta:
    real, skew = timezone.now, request.param
    monkeypatch.setattr(timezone, "now", lambda: real() + skew)
    monkeypatch.setattr(clock, "_measured", None)
    return timedelta(seconds=skew.total_seconds())


def test_time_is_the_databases_and_asked_for_once_a_minute(
    wrong_clock: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = timezone.now() - wrong_clock
    assert abs(clock.now() - real) < timedelta(seconds=5)
    with CaptureQueriesContext(database) as queries:
        first, second = clock.now(), clock.now()
    assert (len(queries), first <= second) == (0, True)
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + clock.FRESH_SECONDS + 1)
    with CaptureQueriesContext(database) as queries:
        clock.now()
    assert len(queries) == 1


def test_message_may_be_taken_at_once(wrong_clock: timedelta) -> None:
    wake.enqueue_task("workflows.tasks.run_lane", 7)
    assert OrmQ.objects.filter(lock__lte=Now()).count() == 1


def test_step_is_tried_again_after_its_pause(wrong_clock: timedelta, workspace: Workspace) -> None:
    connection: Connection = make_connection(workspace)
    steps = [{"name": "wait", "action": "core/delay", "input": {"length": "3", "unit": "minutes"}}]
    activation = make_activation(
        make_workflow(workspace.agency, connection, steps=steps), connection
    )
    lanes.wake_lanes([connection.pk])
    runner.run_lane(connection.pk)
    waits = Activation.objects.filter(pk=activation.pk, state="ready")
    assert waits.filter(next_at__gt=Now() + timedelta(minutes=2)).exists()
    assert waits.filter(next_at__lt=Now() + timedelta(minutes=4)).exists()
