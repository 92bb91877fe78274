"""Activations that wait for a connection, and their release."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Q
from django.db.models.functions import Now

from connections.models import Connection
from connections.states import record_change
from taskjuice.workspaces.gate import WORK, Scope
from taskjuice.workspaces.models import User
from taskjuice.workspaces.panels import Panel
from workflows.engine import lanes
from workflows.models import Activation, ActivationState, Lane

# The error code of activations that a provider makes wait (step_runs.py); a delay has none.
WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Blocked:
    """The activations that wait; `held` of them because of the provider or a lost access."""

    waiting: int
    held: int
    parked_until: datetime | None
    parked_reason: str


def count_blocked(connection: Connection) -> Blocked:
    rows = Activation.objects.filter(connection=connection, state=ActivationState.READY)
    counted = rows.aggregate(waiting=Count("pk"), held=Count("pk", filter=Q(error_code=WAITING)))
    lane = Lane.objects.filter(pk=connection.pk, parked_until__gt=Now()).first()
    return Blocked(
        counted["waiting"],
        counted["held"],
        lane.parked_until if lane else None,
        lane.parked_reason if lane else "",
    )


@transaction.atomic
def resume_held(connection_id: int) -> int:
    """Make the held activations due now and unpark the lane; return how many. Delays keep
    waiting.
    """
    held = Activation.objects.filter(
        connection_id=connection_id,
        state=ActivationState.READY,
        error_code=WAITING,
        next_at__gt=Now(),
    )
    resumed = held.update(next_at=Now())
    lanes.unpark(connection_id)
    return resumed


@transaction.atomic
def resume_all(*, connection: Connection, by: User) -> None:
    """Resume the held activations at a person's request; those still blocked wait again."""
    resume_held(connection.pk)
    record_change("waiting activations resumed", connection, by=by)


def build_panel(connection: Connection, scope: Scope) -> Panel | None:
    """Build the connection page's panel; None while nothing waits."""
    blocked = count_blocked(connection)
    if not blocked.waiting and blocked.parked_until is None:
        return None
    return Panel("workflows/_blocked.html", {"blocked": blocked, "may_resume": scope.may(WORK)})
