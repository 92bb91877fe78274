"""A task's time is over while Xero is asked: what became of the write is found out, and it is
written once.
"""

import pytest
from django.db import transaction
from django.db.models.functions import Now

from connections.models import Call, CallState, Connection
from tests.factories import make_activation, make_workflow
from tests.sandbox_process import SandboxProcess
from tests.xero.test_journal import (  # noqa: F401 - some are fixtures
    Scene,
    connection,
    fault,
    run_in_process,
    running,
    sandbox,
)
from workflows.engine import lanes, runner
from workflows.models import Activation, Lane

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]


def test_task_whose_time_is_over_in_a_call_writes_once(
    sandbox: SandboxProcess,  # noqa: F811
    connection: Connection,  # noqa: F811
) -> None:
    scene = Scene(sandbox, connection, "invoice")
    steps = [{"name": "write", "action": scene.key, "input": scene.input}]
    activation = make_activation(
        make_workflow(connection.agency, connection, steps=steps), connection
    )
    with transaction.atomic():
        lanes.wake_lanes([connection.pk])
    fault(sandbox, "timeout_after", seconds=8)
    assert run_in_process(sandbox, connection, seconds="3") != 0
    lane = Lane.objects.get(pk=connection.pk)
    assert lane.lease_token is None  # given back on the way out, so that nobody waits for it
    for _ in range(60):
        Activation.objects.filter(state="ready").update(next_at=Now())
        lanes.rewake_forgotten()
        Lane.objects.update(turn_at=None)
        runner.run_lane(connection.pk)
        activation.refresh_from_db()
        if activation.state not in {"ready", "running"}:
            break
    assert (activation.state, activation.error) == ("succeeded", "")
    assert scene.there() == 1
    assert Call.objects.filter(state=CallState.CONFIRMED).count() == 1
