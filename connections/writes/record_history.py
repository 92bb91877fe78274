"""The history of one record of a provider: its events, their activations, the calls that wrote it.

Activations belong to another app, which adds them with `add_run_source` in `ready()`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from connections.models import Call, Connection, Event

SHOWN = 50  # of each kind, the newest


@dataclass(frozen=True, slots=True)
class ActivationRun:
    """An activation as a record's page names it. `url` is "" where it has no page."""

    id: int
    at: datetime
    state: str
    workflow: str
    version: int
    error: str
    url: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a history: exactly one of the three is set."""

    at: datetime
    event: Event | None = None
    run: ActivationRun | None = None
    call: Call | None = None


Runs = Callable[[Connection, Collection[int], Collection[int]], Sequence[ActivationRun]]
_tellers: list[Runs] = []


def add_run_source(runs: Runs) -> None:
    """Add a source of a connection's activations, by their ids or the ids of events that started
    them.
    """
    _tellers.append(runs)


def list_record_history(
    connection: Connection, record_id: UUID, category: str
) -> list[HistoryEntry]:
    """List a record's history, newest first. `category` is the one of its events.

    A call concerns the record that it made or changed, and the one it was for: a payment's call
    also its invoice.
    """
    events = _list_events(connection, record_id, category)
    about = Q(record_id=record_id) | Q(target=record_id)
    calls = list(
        connection.calls.filter(about).select_related("user").order_by("-created_at")[:SHOWN]
    )
    started = {call.activation_id for call in calls if call.activation_id is not None}
    runs = [
        run
        for tell in _tellers
        for run in tell(connection, started, [event.pk for event in events])
    ]
    found = [HistoryEntry(event.occurred_at, event=event) for event in events]
    found += [HistoryEntry(run.at, run=run) for run in runs]
    found += [HistoryEntry(call.created_at, call=call) for call in calls]
    return sorted(found, key=lambda entry: entry.at, reverse=True)


def _list_events(connection: Connection, record_id: UUID, category: str) -> list[Event]:
    found = connection.events.filter(category=category, resource_id=record_id).select_related(
        "delivery"
    )
    return list(found.order_by("-occurred_at")[:SHOWN])
