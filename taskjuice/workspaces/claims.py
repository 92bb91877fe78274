"""Leases of work that a worker does piece by piece, by the database's clock."""

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

TURN_SECONDS = 20.0  # then the task queues itself again, so that others get their turn
# A turn with its last piece is over by then; a dead process holds the row no longer than this.
HELD = timedelta(seconds=100)


def take(row: "QuerySet[Any]") -> bool:
    """Take the row for a turn; return False where another process has it."""
    return bool(row.filter(_free()).update(claimed_until=Now() + HELD))


def give_back(row: "QuerySet[Any]") -> None:
    row.update(claimed_until=None)


def waiting(rows: "QuerySet[Any]") -> "QuerySet[Any]":
    """Return the rows that no process works on."""
    return rows.filter(_free())


def _free() -> Q:
    return Q(claimed_until=None) | Q(claimed_until__lt=Now())
