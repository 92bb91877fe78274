"""Due times of schedules; each of them starts one activation."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection as database
from django.test import Client
from django.utils import timezone

from connections.models import Connection, ConnectionState, Event
from taskjuice.workspaces.lifecycle import set_time_zone
from taskjuice.workspaces.models import User
from tests.factories import make_connection, make_workflow
from workflows.builder import step_tests
from workflows.definition.descriptions import trigger_in_words
from workflows.definition.drafts import Draft, Step
from workflows.engine import lifecycle, runner
from workflows.models import Activation, Workflow, WorkflowConnection
from workflows.triggers import runner as trigger_runner
from workflows.triggers.schedule import Schedule, ScheduleForm

AUCKLAND, BERLIN, UTC_ZONE = (
    ZoneInfo("Pacific/Auckland"),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("UTC"),
)
STEPS = [
    {
        "name": "note",
        "action": "core/note",
        "input": {"text": "{{ trigger.weekday }} {{ trigger.date }}"},
    }
]


def schedule(**settings: Any) -> Schedule:
    found = Schedule.of(settings)
    assert found is not None
    return found


def due(plan: Schedule, zone: ZoneInfo, start: str, count: int) -> list[str]:
    """Return the first `count` due times after a local wall time, in UTC."""
    at, found = datetime.fromisoformat(start).replace(tzinfo=zone), []
    for _ in range(count):
        at = plan.next(at, zone)
        found.append(f"{at.astimezone(UTC):%d %H:%M}")
    return found


WHEN = {
    "daily": (
        schedule(every="day", at="09:00"),
        UTC_ZONE,
        "2026-11-23T08:59",
        ["23 09:00", "24 09:00"],
    ),
    "at the very time": (
        schedule(every="day", at="09:00"),
        UTC_ZONE,
        "2026-11-23T09:00",
        ["24 09:00"],
    ),
    "in the zone": (
        schedule(every="day", at="09:00"),
        AUCKLAND,
        "2026-11-23T10:00",
        ["23 20:00", "24 20:00"],
    ),
    "workdays": (
        schedule(every="workday", at="09:00"),
        UTC_ZONE,
        "2026-11-20T09:00",
        ["23 09:00", "24 09:00"],
    ),
    "weekly": (
        schedule(every="week", weekday="2", at="09:00"),
        UTC_ZONE,
        "2026-11-23T09:00",
        ["25 09:00", "02 09:00"],
    ),
    "last day": (
        schedule(every="month", day="31", at="09:00"),
        UTC_ZONE,
        "2027-01-31T10:00",
        ["28 09:00", "31 09:00", "30 09:00"],
    ),
    "first day": (
        schedule(every="month", day="1", at="09:00"),
        UTC_ZONE,
        "2026-11-01T09:00",
        ["01 09:00", "01 09:00"],
    ),
    "minutes": (
        schedule(every="minutes", minutes="30"),
        UTC_ZONE,
        "2026-11-23T09:10",
        ["23 09:30", "23 10:00"],
    ),
    "minutes from midnight": (
        schedule(every="minutes", minutes="420"),
        UTC_ZONE,
        "2026-11-23T15:00",
        ["23 21:00", "24 00:00"],
    ),
    # Berlin, 29 March 2026: 02:00 becomes 03:00; 25 October 2026: 03:00 becomes 02:00
    "skipped hour runs after the jump": (
        schedule(every="day", at="02:30"),
        BERLIN,
        "2026-03-28T12:00",
        ["29 01:30", "30 00:30"],
    ),
    "doubled hour runs once, in its first round": (
        schedule(every="day", at="02:30"),
        BERLIN,
        "2026-10-24T12:00",
        ["25 00:30", "26 01:30"],
    ),
    "minutes over the jump": (
        schedule(every="minutes", minutes="60"),
        BERLIN,
        "2026-03-29T00:30",
        ["29 00:00", "29 01:00", "29 02:00"],
    ),
    "minutes over the doubled hour": (
        schedule(every="minutes", minutes="60"),
        BERLIN,
        "2026-10-25T01:30",
        ["25 00:00", "25 01:00", "25 02:00", "25 03:00"],
    ),
}


@pytest.mark.parametrize(("plan", "zone", "start", "expected"), WHEN.values(), ids=WHEN.keys())
def test_due_times(plan: Schedule, zone: ZoneInfo, start: str, expected: list[str]) -> None:
    assert due(plan, zone, start, len(expected)) == expected


@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN, AUCKLAND], ids=str)
@pytest.mark.parametrize("every", ["minutes", "day", "workday", "week", "month"])
def test_latest_is_the_one_before_the_next(every: str, zone: ZoneInfo) -> None:
    plan = schedule(every=every, minutes="45", at="02:30", weekday="6", day="31")
    at = datetime(2026, 3, 20, tzinfo=zone)
    for _ in range(60):
        at += timedelta(hours=7, minutes=13)
        latest = plan.latest(at, zone)
        assert latest <= at < plan.next(latest, zone)


WORDS = {
    "Every 30 minutes": {"every": "minutes", "minutes": "30"},
    "Every day at 09:00": {"every": "day", "at": "9:00"},
    "Monday to Friday at 17:30": {"every": "workday", "at": "17:30:00"},
    "Every Friday at 09:00": {"every": "week", "weekday": "4", "at": "09:00"},
    "On the last day of each month at 09:00": {"every": "month", "day": "31", "at": "09:00"},
    "At certain times": {"every": "minutes", "minutes": "4"},
}


@pytest.mark.parametrize(("words", "settings"), WORDS.items(), ids=WORDS.keys())
def test_schedule_in_words(words: str, settings: dict[str, str]) -> None:
    assert trigger_in_words(Draft("core/schedule", settings)).startswith(words)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"every": "minutes", "minutes": "4"}, "minutes"),
        ({"every": "minutes"}, "minutes"),
        ({"every": "day", "at": "25:00"}, "at"),
        ({"every": "week", "weekday": "7", "at": "09:00"}, "weekday"),
        ({"every": "month", "at": "09:00"}, "day"),
        ({"every": "fortnight"}, "every"),
    ],
)
def test_form_refuses(settings: dict[str, str], field: str) -> None:
    assert field in ScheduleForm(data=settings).errors


# -- starting --


@pytest.fixture
def daily(connection: Connection) -> Workflow:
    """Create a daily workflow for a client in Auckland."""
    connection.workspace.timezone = "Pacific/Auckland"
    connection.workspace.save()
    return make_workflow(connection.agency, connection, trigger="core/schedule", steps=STEPS)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> "Clock":
    found = Clock()
    monkeypatch.setattr(trigger_runner, "clock", found)
    return found


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 23, 8, 0, tzinfo=AUCKLAND)

    def now(self) -> datetime:
        return self.at

    def set(self, text: str) -> None:
        self.at = datetime.fromisoformat(text).replace(tzinfo=AUCKLAND)


def plan_it(workflow: Workflow, owner: User, **settings: str) -> None:
    """Publish the workflow with these settings."""
    content = lifecycle.current_content(workflow)
    draft = Draft("core/schedule", {"every": "day", "at": "09:00"} | settings, content.draft.steps)
    lifecycle.save_draft(workflow=workflow, draft=draft, stamp=content.stamp, by=owner)
    lifecycle.publish_draft(workflow=workflow, by=owner)


def started() -> list[str]:
    rows = Activation.objects.order_by("id").values_list("trigger_data", flat=True)
    return [row["due_at"] for row in rows]


@pytest.mark.django_db
def test_due_time_starts_one_activation(daily: Workflow, owner: User, clock: Clock) -> None:
    plan_it(daily, owner)
    assert trigger_runner.start_due() == 0
    clock.set("2026-11-23T08:59:59")
    assert trigger_runner.start_due() == 0
    clock.set("2026-11-23T09:00:01")
    assert [trigger_runner.start_due(), trigger_runner.start_due()] == [1, 0]
    activation = Activation.objects.get()
    assert activation.trigger_data["due_at"] == "2026-11-23T09:00:00+13:00"
    runner.run_lane(activation.connection_id)
    activation.refresh_from_db()
    assert (activation.state, activation.note, activation.subject) == (
        "succeeded",
        "Monday 2026-11-23",
        "2026-11-23 09:00",
    )


@pytest.mark.django_db
def test_what_was_missed_is_made_up_for_once(daily: Workflow, owner: User, clock: Clock) -> None:
    plan_it(daily, owner)
    trigger_runner.start_due()
    clock.set("2026-11-27T15:00")
    assert [trigger_runner.start_due(), trigger_runner.start_due()] == [1, 0]
    assert started() == ["2026-11-27T09:00:00+13:00"]


@pytest.mark.django_db
def test_nothing_is_started_for_times_before_it_was_published(
    daily: Workflow, owner: User, clock: Clock
) -> None:
    clock.set("2026-11-23T12:00")
    plan_it(daily, owner)
    assert trigger_runner.start_due() == 0
    assert WorkflowConnection.objects.get().due_at == datetime(2026, 11, 24, 9, tzinfo=AUCKLAND)


@pytest.mark.django_db
def test_paused_workflow_makes_up_for_nothing(daily: Workflow, owner: User, clock: Clock) -> None:
    plan_it(daily, owner)
    trigger_runner.start_due()
    lifecycle.pause_workflow(workflow=daily, by=owner)
    clock.set("2026-11-25T12:00")
    assert trigger_runner.start_due() == 0
    daily.refresh_from_db()
    lifecycle.resume_workflow(workflow=daily, by=owner)
    assert trigger_runner.start_due() == 0
    clock.set("2026-11-26T09:01")
    assert trigger_runner.start_due() == 1
    assert started() == ["2026-11-26T09:00:00+13:00"]


@pytest.mark.django_db
def test_archived_client_is_left_alone(daily: Workflow, owner: User, clock: Clock) -> None:
    plan_it(daily, owner)
    trigger_runner.start_due()
    link = WorkflowConnection.objects.get()
    link.connection.workspace.archived_at = timezone.now()
    link.connection.workspace.save()
    clock.set("2026-11-25T12:00")
    assert trigger_runner.start_due() == 0
    link.connection.workspace.archived_at = None
    link.connection.workspace.save()
    assert trigger_runner.start_due() == 0


@pytest.mark.django_db
def test_broken_connection_is_made_up_for_once_when_it_is_mended(
    daily: Workflow, owner: User, clock: Clock
) -> None:
    plan_it(daily, owner, every="minutes", minutes="5")
    trigger_runner.start_due()
    Connection.objects.update(state=ConnectionState.ERROR)
    clock.set("2026-11-23T12:02")
    assert trigger_runner.start_due() == 0
    Connection.objects.update(state=ConnectionState.ACTIVE)
    assert [trigger_runner.start_due(), trigger_runner.start_due()] == [1, 0]
    assert started() == ["2026-11-23T12:00:00+13:00"]


@pytest.mark.django_db
def test_times_do_not_pile_up_before_a_lane_that_stands(
    daily: Workflow, owner: User, clock: Clock
) -> None:
    plan_it(daily, owner, every="minutes", minutes="5")
    trigger_runner.start_due()
    for minute in range(5, 60, 5):
        clock.set(f"2026-11-23T08:{minute:02}:01")
        trigger_runner.start_due()
    assert started() == ["2026-11-23T08:05:00+13:00"]


@pytest.mark.django_db
def test_each_organisation_has_its_own_times(
    daily: Workflow, owner: User, clock: Clock, other_workspace: Any
) -> None:
    other_workspace.timezone = "Australia/Sydney"
    other_workspace.save()
    WorkflowConnection.objects.create(
        agency=daily.agency, workflow=daily, connection=make_connection(other_workspace)
    )
    plan_it(daily, owner)
    trigger_runner.start_due()
    clock.set("2026-11-23T09:01")
    assert trigger_runner.start_due() == 1
    clock.set("2026-11-23T11:01")
    assert trigger_runner.start_due() == 1
    assert started() == ["2026-11-23T09:00:00+13:00", "2026-11-23T09:00:00+11:00"]


@pytest.mark.django_db
def test_another_time_zone_of_the_client_moves_the_next_time(
    daily: Workflow, owner: User, clock: Clock, workspace: Any
) -> None:
    plan_it(daily, owner)
    trigger_runner.start_due()
    set_time_zone(workspace=workspace, time_zone="Australia/Sydney", by=owner)
    clock.set("2026-11-23T09:01")
    assert trigger_runner.start_due() == 0
    clock.set("2026-11-23T11:01")
    assert trigger_runner.start_due() == 1
    assert started() == ["2026-11-23T09:00:00+11:00"]


@pytest.mark.django_db
def test_another_schedule_begins_anew(daily: Workflow, owner: User, clock: Clock) -> None:
    plan_it(daily, owner)
    trigger_runner.start_due()
    plan_it(daily, owner, at="15:00")
    clock.set("2026-11-23T14:00")
    assert trigger_runner.start_due() == 0
    clock.set("2026-11-23T15:00")
    assert trigger_runner.start_due() == 1


@pytest.mark.django_db(transaction=True)
def test_many_nodes_start_each_time_once(daily: Workflow, owner: User, clock: Clock) -> None:
    plan_it(daily, owner, every="minutes", minutes="5")
    trigger_runner.start_due()
    clock.set("2026-11-23T09:00:01")
    gate, counts = threading.Barrier(6), []

    def sweep() -> None:
        try:
            gate.wait()
            counts.append(trigger_runner.start_due())
        finally:
            database.close()

    nodes = [threading.Thread(target=sweep) for _ in range(6)]
    for node in nodes:
        node.start()
    for node in nodes:
        node.join()
    assert (sorted(counts), Activation.objects.count()) == ([0, 0, 0, 0, 0, 1], 1)


# -- by hand --


@pytest.mark.django_db
def test_manual_workflow_runs_by_hand_as_often_as_wanted(
    connection: Connection, owner: User, as_owner: Client
) -> None:
    workflow = make_workflow(connection.agency, connection, trigger="core/manual", steps=STEPS)
    page = f"/northwind/workflows/{workflow.pk}/"
    choice = f"now-{connection.pk}"
    assert (
        f'<option value="{choice}">Now · {connection.name}</option>'
        in as_owner.get(page).content.decode()
    )
    for _ in range(2):
        key = as_owner.get(f"{page}run/", {"event": choice}).context["key"]
        for _ in range(2):  # a double click is one run
            as_owner.post(f"{page}run/", {"event": choice, "key": key, "sure": "on"})
    assert Activation.objects.count() == Event.objects.filter(type="BY HAND").count() == 2
    other = make_connection(connection.workspace)
    as_owner.post(f"{page}run/", {"event": f"now-{other.pk}", "sure": "on"})
    assert Activation.objects.count() == 2


@pytest.mark.django_db
def test_schedule_can_be_tested_before_anything_was_due(
    connection: Connection, owner: User
) -> None:
    (choice,) = step_tests.recent_events([connection.pk], "core/schedule")
    event = step_tests.find_event([connection.pk], "core/schedule", choice.value)
    assert event is not None
    note = Step("note", "core/note", {"text": "{{ trigger.client }}"})
    draft = Draft("core/schedule", {"every": "day", "at": "09:00"}, [note])
    trial = step_tests.try_out(draft, 0, event, owner)
    assert (trial.state, trial.output) == ("done", [("note", "Harbour Café")])
    assert Event.objects.count() == 0
