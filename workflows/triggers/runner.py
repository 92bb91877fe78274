"""Triggers without an event at a provider: by schedule, and by hand only.

Each application of a scheduled workflow to a connection has its next due time
(WorkflowConnection.due_at). The sweep of any worker node locks due ones, notes the next time and
starts one activation, in one transaction; the event carries the due time and is unique as well.
Runs that were missed while no worker ran, the connection was broken or the activation before had
not begun are made up once, for the latest time.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django import forms
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from connections import organisation_time
from connections.integrations import Data, Trigger
from connections.models import Connection, ConnectionState, Event
from taskjuice.queue import clock
from workflows.engine import organisation_pauses
from workflows.models import Activation, ActivationState, Version, WorkflowConnection, WorkflowState
from workflows.triggers import intake
from workflows.triggers.schedule import Schedule, ScheduleForm

CATEGORY = "SCHEDULE"
DUE, BY_HAND = "DUE", "BY HAND"
BATCH = 200  # of one transaction
NAMESPACE = uuid.UUID("6f0a4d0e-58c1-4c0a-9a0e-0d8f5a3d6c11")


class _OwnTime(Trigger):
    """A trigger that starts without an event at a provider."""

    category = CATEGORY
    by_hand = True
    sample: ClassVar[Data] = {
        "due_at": "2026-11-23T09:00:00+13:00",
        "date": "2026-11-23",
        "time": "09:00",
        "weekday": "Monday",
        "client": "Harbour Café",
        "organisation": "Harbour Café Limited",
        "tenant_id": "0f6f3f9a-4f0e-4a2c-9a57-8f3b8f2f4c11",
    }

    def matches(self, event: Event, settings: Mapping[str, Any]) -> bool:
        return False  # one event, one workflow: what is due is started here, not by listening

    def data(self, event: Event) -> Data:
        local = event.occurred_at.astimezone(organisation_time.zone_of(event.connection))
        return {
            "due_at": local.isoformat(timespec="seconds"),
            "date": local.date().isoformat(),
            "time": f"{local:%H:%M}",
            "weekday": f"{local:%A}",
            "client": event.connection.workspace.name,
            "organisation": event.connection.name,
            "tenant_id": str(event.connection.tenant_id),
        }

    def subject(self, data: Mapping[str, Any]) -> str:
        return f"{data['date']} {data['time']}"


class OnSchedule(_OwnTime):
    key = "core/schedule"
    title = "At certain times"
    description = "Starts every so many minutes, or daily, weekly or monthly at a time of the organisation’s day."
    form = ScheduleForm

    def in_words(self, settings: Mapping[str, Any]) -> str:
        schedule = Schedule.of(settings)
        return schedule.in_words() if schedule else ""


class Manual(_OwnTime):
    key = "core/manual"
    title = "By hand only"
    description = "Starts when somebody on your team presses “Run now” on the workflow’s page."
    form = forms.Form


def start_due() -> int:
    """Start the due schedules, in the sweep; return how many. Safe to run on many nodes."""
    _clear_inactive()
    _set_first_times()
    started = 0
    while taken := _start_batch():
        started += taken
    return started


def build_manual_event(connection: Connection) -> Event:
    """Return an unsaved event of now."""
    return Event(
        workspace_id=connection.workspace_id,
        connection=connection,
        category=CATEGORY,
        type=BY_HAND,
        resource_id=uuid.uuid4(),
        occurred_at=clock.now(),
        received_at=clock.now(),
    )


def _list_listening() -> "QuerySet[WorkflowConnection]":
    """Return the applications of live schedules, in any state of their connection but
    disconnected.
    """
    live = Version.objects.filter(workflow=OuterRef("workflow"), live=True, trigger=OnSchedule.key)
    return WorkflowConnection.objects.filter(
        Exists(live),
        ~Exists(organisation_pauses.list_for_application()),
        workflow__state=WorkflowState.PUBLISHED,
        connection__workspace__archived_at=None,
    ).exclude(connection__state=ConnectionState.REVOKED)


def _clear_inactive() -> None:
    """Clear the due times of schedules that do not run, or that moved to another time zone."""
    noted = WorkflowConnection.objects.exclude(due_at=None)
    noted.exclude(
        pk__in=_list_listening().filter(due_zone=organisation_time.ZONE_NAME).values("pk")
    ).update(due_at=None)


def _set_first_times() -> None:
    """Set the first due time of schedules that have just begun, always in the future."""
    # skip_locked: sweeps of other nodes work on other rows instead of waiting for these.
    with transaction.atomic():
        fresh = (
            _list_listening().filter(due_at=None).select_for_update(of=("self",), skip_locked=True)
        )
        for application, schedule, zone, _ in _load_schedules(fresh[:BATCH]):
            _set_due_time(application, schedule.next(clock.now(), zone))


def _start_batch() -> int:
    """Start a batch of due schedules and return how many.

    A schedule waits while its previous activation has not begun, or its connection does not work.
    """
    unbegun = Activation.objects.filter(
        workflow=OuterRef("workflow"),
        connection=OuterRef("connection"),
        state=ActivationState.READY,
        started_at=None,
    )
    can_work = Q(connection__state=ConnectionState.ACTIVE, connection__paused_at=None)
    with transaction.atomic():
        due_applications = _list_listening().filter(
            ~Exists(unbegun), can_work, due_at__lte=clock.now()
        )
        locked = due_applications.order_by("connection_id", "pk").select_for_update(
            of=("self",), skip_locked=True
        )
        schedules = _load_schedules(locked[:BATCH])
        for application, schedule, zone, version in schedules:
            now = clock.now()
            _start_activation(application, version, schedule.latest(now, zone))
            _set_due_time(application, schedule.next(now, zone))
    return len(schedules)


def _set_due_time(application: WorkflowConnection, at: datetime) -> None:
    application.due_at, application.due_zone = (
        at,
        organisation_time.name_zone(application.connection),
    )
    application.save(update_fields=["due_at", "due_zone"])


def _start_activation(application: WorkflowConnection, version: Version, at: datetime) -> None:
    """Start the activation, unless an event of this due time exists and has started it."""
    resource = uuid.uuid5(NAMESPACE, f"workflow {application.workflow_id}")
    event, is_new = Event.objects.get_or_create(
        connection=application.connection,
        category=CATEGORY,
        resource_id=resource,
        type=DUE,
        occurred_at=at,
        defaults={"workspace_id": application.connection.workspace_id},
    )
    if is_new:
        intake.start_one(event, version)


DueSchedule = tuple[WorkflowConnection, Schedule, ZoneInfo, Version]


def _load_schedules(rows: "QuerySet[WorkflowConnection]") -> list[DueSchedule]:
    applications = list(rows.select_related("connection__workspace"))
    live = Version.objects.filter(live=True, workflow__in={row.workflow_id for row in applications})
    versions = {version.workflow_id: version for version in live.select_related("workflow")}
    schedules = []
    for application in applications:
        version = versions.get(application.workflow_id)
        schedule = Schedule.of(version.trigger_settings) if version else None
        if version is not None and schedule is not None:
            zone = organisation_time.zone_of(application.connection)
            schedules.append((application, schedule, zone, version))
    return schedules
