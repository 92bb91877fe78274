"""What happened to one record of a provider: its events, the activations they started, the calls
that wrote it.

Activations are another app's: it tells of them here (`tell_runs`, in `ready()`).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from connections.models import Call, Connection, Event

SHOWN = 50  # of each kind, the newest


@dataclass(frozen=True, slots=True)
class Run:
    """An activation as a record's page names it. `url` is "" where it has no page."""

    id: int
    at: datetime
    state: str
    workflow: str
    version: int
    error: str
    url: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a history: exactly one of the three is there."""

    at: datetime
    event: Event | None = None
    run: Run | None = None
    call: Call | None = None


Runs = Callable[[Connection, Collection[int], Collection[int]], Sequence[Run]]
_tellers: list[Runs] = []


def tell_runs(runs: Runs) -> None:
    """`runs` returns the connection's activations with these ids, or started by events with these
    ids.
    """
    _tellers.append(runs)


def of_record(connection: Connection, record_id: UUID, category: str) -> list[Entry]:
    """Newest first. `category`: of its events.

    A call touches what it made or changed, and what it was about: a payment's call its invoice too.
    """
    events = _events(connection, record_id, category)
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
    found = [Entry(event.occurred_at, event=event) for event in events]
    found += [Entry(run.at, run=run) for run in runs]
    found += [Entry(call.created_at, call=call) for call in calls]
    return sorted(found, key=lambda entry: entry.at, reverse=True)


def _events(connection: Connection, record_id: UUID, category: str) -> list[Event]:
    found = connection.events.filter(category=category, resource_id=record_id).select_related(
        "delivery"
    )
    return list(found.order_by("-occurred_at")[:SHOWN])
