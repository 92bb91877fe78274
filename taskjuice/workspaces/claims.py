"""Work that a worker does in turns: one process at a time, by the database's clock."""

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

TURN_SECONDS = 20.0  # then the task queues itself again, so that others get their turn
HELD = timedelta(
    seconds=100
)  # a turn with its last piece is over by then; a dead process holds no longer


def take(row: "QuerySet[Any]") -> bool:
    """Whether the turn is ours."""
    return bool(row.filter(_free()).update(claimed_until=Now() + HELD))


def give_back(row: "QuerySet[Any]") -> None:
    row.update(claimed_until=None)


def waiting(rows: "QuerySet[Any]") -> "QuerySet[Any]":
    """Those that nobody works on."""
    return rows.filter(_free())


def _free() -> Q:
    return Q(claimed_until=None) | Q(claimed_until__lt=Now())
