"""A step that kills its process fails after a few attempts; the activations beside it end."""

import os
import signal
import subprocess
import sys
from urllib.parse import quote

import pytest
from django.db import connection as database
from django.db.models.functions import Now

from connections.models import Connection
from tests.environment import ROOT
from tests.factories import make_activation, make_workflow
from tests.workflows.conftest import Look
from workflows.engine import lanes
from workflows.models import MAX_ATTEMPTS, Activation, Lane

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


def take_turn(connection: Connection) -> int:
    """Run a turn of the lane in a process of its own; return its exit code."""
    database.ensure_connection()
    db = database.connection.info
    url = f"postgres://{db.user}:@/{db.dbname}?host={quote(db.host, safe='')}&port={db.port}"
    command = [sys.executable, "-m", "tests.workflows.engine.hungry_process", str(connection.pk)]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"DATABASE_URL": url}, check=False
    ).returncode


def test_step_that_kills_its_process_is_given_up_and_the_others_end(
    look: Look, connection: Connection
) -> None:
    steps = [{"name": "look", "action": look.key, "input": {"number": "{{ trigger.number }}"}}]
    workflow = make_workflow(connection.agency, connection, steps=steps)
    for number in (1, 13, 2):
        make_activation(workflow, connection, trigger_data={"number": number}, next_at=Now())
    lanes.wake_lanes([connection.pk])
    ends = []
    for _ in range(MAX_ATTEMPTS + 2):
        lanes.rewake_forgotten()
        Lane.objects.update(turn_at=None)
        ends.append(take_turn(connection))
        if not Activation.objects.filter(state__in=["ready", "running"]).exists():
            break
    assert ends.count(-signal.SIGKILL) <= MAX_ATTEMPTS
    states = {
        one.trigger_data["number"]: (one.state, one.error_code) for one in Activation.objects.all()
    }
    assert states == {1: ("succeeded", ""), 2: ("succeeded", ""), 13: ("failed", "gave-up")}
