"""Old history is deleted month by month; unfinished activations stay, and nothing runs twice."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection as database
from django.utils import timezone
from django_q.models import OrmQ

from connections.models import Connection, Delivery, Event, Refusal, StrayEvent, TokenRefresh
from connections.webhooks import fan_out, receiver
from taskjuice.partitions import add_months, get_month_start
from taskjuice.queue import pruning, sweeping, tasks
from tests.factories import (
    make_activation,
    make_call,
    make_delivery,
    make_event,
    make_grant,
    make_workflow,
)
from workflows.activations import retention as activation_retention
from workflows.models import Activation, StepRun

pytestmark = pytest.mark.django_db

DAYS = 400
OLD = timedelta(days=DAYS + 40)
VERY_OLD = timedelta(days=600)


@pytest.fixture(autouse=True)
def kept_for(settings: Any) -> None:
    settings.HISTORY_DAYS = DAYS


def make_history(connection: Connection, *, ago: timedelta, state: str = "succeeded") -> Activation:
    """Create an activation that ended so long ago, with its event, its delivery and one step."""
    at = timezone.now() - ago
    delivery = make_delivery(received_at=at)
    event = make_event(connection, delivery=delivery, received_at=at, occurred_at=at)
    workflow = make_workflow(connection.agency, connection)
    ended = None if state in {"ready", "running"} else at
    activation = make_activation(
        workflow, connection, event=event, state=state, created_at=at, finished_at=ended
    )
    make_step(activation, at)
    return activation


def make_step(activation: Activation, at: datetime) -> StepRun:
    return StepRun.objects.create(
        activation=activation,
        position=0,
        name="look",
        action="test/look",
        attempt=1,
        outcome="done",
        started_at=at,
        finished_at=at,
    )


def left() -> tuple[int, int, int, int]:
    """Count the deliveries, events, activations and steps."""
    return (
        Delivery.objects.count(),
        Event.objects.count(),
        Activation.objects.count(),
        StepRun.objects.count(),
    )


def partitions() -> set[str]:
    return set(activation_retention.STEP_HISTORY.list_ends())


def split(*months: datetime) -> None:
    """Create partitions for these months, as if each had been made in its time."""
    with database.cursor() as cursor:
        cursor.execute("ALTER TABLE workflows_steprun DETACH PARTITION workflows_steprun_before")
        cursor.execute("DROP TABLE workflows_steprun_before")
    for month in {get_month_start(timezone.now()), *months}:
        activation_retention.STEP_HISTORY._make(month, add_months(month, 1))


def test_what_ended_long_ago_goes_and_what_ended_lately_stays(connection: Connection) -> None:
    make_history(connection, ago=VERY_OLD)
    make_history(connection, ago=timedelta(days=30))
    pruned = pruning.prune_history()
    assert pruned.finished
    assert (pruned.counts["deliveries"], pruned.counts["activations"]) == (1, 1)
    assert left() == (1, 1, 1, 1)


def test_event_outlives_its_activations_by_two_months(connection: Connection) -> None:
    make_history(connection, ago=VERY_OLD)
    make_history(connection, ago=OLD)
    pruning.prune_history()
    assert left() == (0, 1, 0, 0)


@pytest.mark.parametrize("state", ["ready", "running", "unknown"])
def test_what_has_not_ended_stays_whole(connection: Connection, state: str) -> None:
    make_history(connection, ago=VERY_OLD, state=state)
    pruning.prune_history()
    assert (left()[1:], partitions() >= {"workflows_steprun_before"}) == ((1, 1, 1), True)


def test_activation_with_an_open_write_stays(connection: Connection) -> None:
    kept, gone = (make_history(connection, ago=VERY_OLD, state="cancelled") for _ in range(2))
    for activation, state in ((kept, "unknown"), (gone, "confirmed")):
        make_call(connection, activation_id=activation.pk, step="pay", form_key=None, state=state)
    pruning.prune_history()
    assert list(Activation.objects.all()) == [kept]


@pytest.mark.parametrize("state", ["waiting", "failed"])
def test_delivery_that_waits_for_somebody_stays(state: str) -> None:
    make_delivery(received_at=timezone.now() - VERY_OLD, state=state)
    pruning.prune_history()
    assert Delivery.objects.count() == 1


def test_counters_and_refreshes_go_too() -> None:
    grant = make_grant()
    for ago in (OLD, timedelta(days=1)):
        Refusal.objects.create(provider="xero", minute=timezone.now() - ago)
        TokenRefresh.objects.create(grant=grant, at=timezone.now() - ago, outcome="refreshed")
    pruning.prune_history()
    assert (Refusal.objects.count(), TokenRefresh.objects.count()) == (1, 1)


def test_more_than_a_batch_goes_and_younger_rows_in_between_stay(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    for _ in range(5):
        make_history(connection, ago=VERY_OLD)
    make_history(connection, ago=VERY_OLD, state="ready")
    young = make_history(connection, ago=timedelta(days=3))
    assert pruning.prune_history().counts["activations"] == 5
    assert Activation.objects.filter(pk=young.pk).exists()
    assert left()[2] == 2


def test_task_that_runs_out_of_time_asks_for_another(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    monkeypatch.setattr(pruning, "TASK_SECONDS", -1)
    for _ in range(5):
        make_history(connection, ago=VERY_OLD)
    tasks.prune()
    assert (Delivery.objects.count(), OrmQ.objects.count()) == (3, 1)


def test_old_months_are_dropped_and_those_to_come_are_made(connection: Connection) -> None:
    now = timezone.now()
    old, recent = get_month_start(now - VERY_OLD), get_month_start(now - timedelta(days=60))
    split(old, recent)
    make_history(connection, ago=VERY_OLD)
    kept = make_history(connection, ago=timedelta(days=60))
    name = f"workflows_steprun_{old:%Y_%m}"
    assert name in partitions()
    pruning.prune_history()
    months = {add_months(get_month_start(now), number) for number in range(4)} | {recent}
    assert partitions() == {f"workflows_steprun_{month:%Y_%m}" for month in months}
    assert list(StepRun.objects.values_list("activation", flat=True)) == [kept.pk]


def test_steps_of_what_goes_on_survive_their_month(connection: Connection) -> None:
    """Keep the first steps of an activation that waited for long, until it is deleted itself."""
    split(get_month_start(timezone.now() - VERY_OLD))
    waits = make_history(connection, ago=VERY_OLD, state="ready")
    lately = make_history(connection, ago=VERY_OLD)
    Activation.objects.filter(pk=lately.pk).update(finished_at=timezone.now())
    make_history(connection, ago=VERY_OLD)
    pruning.prune_history()
    assert list(StepRun.objects.order_by("id").values_list("activation", flat=True)) == [
        waits.pk,
        lately.pk,
    ]
    Activation.objects.update(state="succeeded", finished_at=timezone.now() - VERY_OLD)
    pruning.prune_history()
    assert (StepRun.objects.count(), Activation.objects.count()) == (0, 0)


def test_month_that_nobody_made_is_made_with_what_came_meanwhile(connection: Connection) -> None:
    """No worker ran for long: rows went to the default partition and move over."""
    activation = make_history(connection, ago=timedelta(days=1))
    month = add_months(get_month_start(timezone.now()), 5)
    make_step(activation, month + timedelta(days=3))
    activation_retention.STEP_HISTORY._make(month, add_months(month, 1))
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM workflows_steprun_default")
        assert cursor.fetchone() == (0,)
    assert activation.step_runs.count() == 2


def test_months_are_made_once() -> None:
    assert activation_retention.STEP_HISTORY.make_ahead(timezone.now()) == []  # by `migrate`
    assert partitions() >= {
        f"workflows_steprun_{add_months(get_month_start(timezone.now()), 3):%Y_%m}"
    }


def test_role_that_does_not_own_the_tables_leaves_the_months_to_their_owner(
    connection: Connection,
) -> None:
    split(get_month_start(timezone.now() - VERY_OLD))
    make_history(connection, ago=VERY_OLD)
    with database.cursor() as cursor:
        cursor.execute("CREATE ROLE node_of_a_test")
        cursor.execute(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO node_of_a_test"
        )
        cursor.execute("SET LOCAL ROLE node_of_a_test")
        counts = pruning.prune_history().counts
        cursor.execute("RESET ROLE")
    assert (counts["months of step history"], counts["activations"]) == (0, 1)
    assert pruning.prune_history().counts["months of step history"] == 1


def test_body_replayed_after_its_history_is_gone_has_no_effect(connection: Connection) -> None:
    """F13: Xero signs no time, so a body that somebody kept is valid for ever."""
    workflow = make_workflow(connection.agency, connection)

    def deliver(moment: datetime) -> str:
        event = {
            "resourceId": record,
            "tenantId": str(connection.tenant_id),
            "eventCategory": "INVOICE",
            "eventType": "UPDATE",
            "eventDateUtc": moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],
        }
        receiver.store_delivery("xero", json.dumps({"events": [event]}).encode())
        fan_out.fan_out()
        return Delivery.objects.latest("id").verdict

    record = str(uuid4())
    moment = datetime.now(UTC) - timedelta(days=30)
    assert [deliver(moment), deliver(moment)] == ["valid", "duplicate"]
    assert Activation.objects.filter(workflow=workflow).count() == 1
    Activation.objects.all().delete()
    assert deliver(moment) == "duplicate"  # the event is remembered for longer
    Event.objects.all().delete()
    assert deliver(moment - timedelta(days=60)) == "ignored"
    assert (Activation.objects.count(), StrayEvent.objects.get().reason) == (0, "too old")


def test_command_says_how_much_went(connection: Connection) -> None:
    make_history(connection, ago=VERY_OLD)
    out = StringIO()
    call_command("prune", stdout=out)
    lines = [line.split(maxsplit=1) for line in out.getvalue().splitlines()]
    assert [(count, text.partition(" that ended before")[0]) for count, text in lines] == [
        ("1", "deliveries"),
        ("0", "minutes of refused requests"),
        ("0", "token refreshes"),
        ("0", "months of step history"),
        ("1", "activations"),
        ("1", "events"),
    ]


def test_worker_prunes_every_day() -> None:
    assert [sweep.seconds for sweep in sweeping.SWEEPS if sweep.name == "pruning"] == [86_400]
