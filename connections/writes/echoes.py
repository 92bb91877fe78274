"""Echoes: events that a step's own write caused. They keep workflows from starting each other
forever.

The provider reports our own writes too. Such an event is recognised by what it says: it changed the
record of a write at the very moment that the answer to this write named (`Call.changed_at`). A
person's change a second later has another moment. No window of time is used, except where the
answer was lost and a look-up found the record: then a change while the request was under way counts
as its echo.

While an answer is still awaited nothing can be said. The event is stored as undecided and starts
nothing until the write is settled, or PATIENCE is over; then it counts as a person's.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection as database
from django.db.models import QuerySet
from django.db.models.functions import Now

from connections.models import Call, CallState, Event
from taskjuice import exact_json

PATIENCE = timedelta(minutes=5)

# The provider notes a change in its record and in its event by two clocks, a few milliseconds
# apart. A request is given up after 35 seconds. What is being created has no id yet, so any
# creation of just then may be its.
FIND = """
SELECT DISTINCT ON (new.place) new.place, k.activation_id, k.is_open
  FROM jsonb_to_recordset(%s::jsonb)
    AS new (place int, connection_id bigint, type text, resource_id uuid, occurred_at timestamptz)
 CROSS JOIN LATERAL (
    SELECT c.activation_id, c.changed_at, c.sending_id, c.state IN ('intended', 'sent') AS is_open
      FROM connections_call c
     WHERE c.connection_id = new.connection_id AND c.record_id = new.resource_id AND c.state = 'confirmed'
    UNION ALL
    SELECT c.activation_id, c.changed_at, c.sending_id, c.state IN ('intended', 'sent')
      FROM connections_call c
     WHERE c.connection_id = new.connection_id AND c.target = new.resource_id
       AND c.state IN ('intended', 'sent', 'confirmed')
    UNION ALL
    SELECT c.activation_id, c.changed_at, c.sending_id, true
      FROM connections_call c
     WHERE new.type = 'CREATE' AND c.connection_id = new.connection_id AND c.target IS NULL
       AND c.state IN ('intended', 'sent') AND c.created_at > new.occurred_at - interval '10 minutes') k
  JOIN connections_sending s ON s.id = k.sending_id
 WHERE k.activation_id IS NOT NULL
   AND CASE WHEN k.changed_at IS NULL
            THEN new.occurred_at > s.first_sent_at - interval '1 second'
                 AND new.occurred_at < s.first_sent_at + interval '35 seconds'
            ELSE new.occurred_at > k.changed_at - interval '1 second'
                 AND new.occurred_at < k.changed_at + interval '1 second' END
 ORDER BY new.place, k.is_open, abs(extract(epoch FROM new.occurred_at - k.changed_at))
"""


class EventKey(NamedTuple):
    """The fields of an event that tell whether it is an echo."""

    connection_id: int
    type: str
    resource_id: UUID
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Echo:
    """The activation whose step's write caused an event, or may have (`is_open`: no answer yet)."""

    activation_id: int
    is_open: bool


Chains = Callable[[Collection[int]], Mapping[int, Sequence[int]]]
_chains: list[Chains] = []


def add_chain_source(chains: Chains) -> None:
    """Add a source of the workflows that led to what an activation causes, its own and those
    before.
    """
    _chains.append(chains)


def get_chains(activation_ids: Collection[int]) -> dict[int, list[int]]:
    ids = set(activation_ids)
    return {pk: list(chain) for tell in _chains for pk, chain in tell(ids).items()} if ids else {}


def find_echoes(sights: Sequence[EventKey]) -> dict[int, Echo]:
    """Return those events that are echoes, or may be, by their index in `sights`."""
    if not sights:
        return {}
    given = [sight._asdict() | {"place": place} for place, sight in enumerate(sights)]
    with database.cursor() as cursor:
        cursor.execute(FIND, [exact_json.dumps(given)])
        return {
            place: Echo(activation_id, is_open)
            for place, activation_id, is_open in cursor.fetchall()
        }


def build_marks(sights: Sequence[EventKey]) -> list[dict[str, Any]]:
    """Return the columns that say whether an event is an echo, one mapping per event."""
    echoes = find_echoes(sights)
    chains = get_chains([echo.activation_id for echo in echoes.values()])
    return [_build_mark(echoes.get(place), chains) for place in range(len(sights))]


def _build_mark(echo: Echo | None, chains: Mapping[int, Sequence[int]]) -> dict[str, Any]:
    return {
        "ours": echo is not None and not echo.is_open,
        "undecided": echo is not None and echo.is_open,
        "chain": list(chains.get(echo.activation_id, [])) if echo is not None else [],
    }


def find_origins(connection_id: int, resource_ids: Collection[UUID]) -> dict[UUID, list[int]]:
    """Return the workflows that led to these records, by record id, where a step made them."""
    made = Call.objects.filter(
        connection=connection_id,
        record_id__in=resource_ids,
        state=CallState.CONFIRMED,
        activation_id__isnull=False,
    )
    pairs = made.order_by("created_at").values_list("record_id", "activation_id")
    authors = {record: pk for record, pk in pairs if record is not None and pk is not None}
    chains = get_chains(list(authors.values()))
    return {record: chains.get(pk, []) for record, pk in authors.items()}


def lock_undecided() -> "QuerySet[Event]":
    """Lock events that wait for an answer, oldest first."""
    rows: QuerySet[Event] = Event.objects.select_for_update(of=("self",), skip_locked=True)
    return rows.filter(undecided=True).select_related("connection").order_by("pk")


def decide_events(events: Sequence[Event]) -> list[Event]:
    """Decide and store those undecided events that can be decided now; return them, to be
    announced.
    """
    sights = [EventKey(e.connection_id, e.type, e.resource_id, e.occurred_at) for e in events]
    found = build_marks(sights)
    ids = [event.pk for event in events]
    late = set(
        Event.objects.filter(pk__in=ids, received_at__lt=Now() - PATIENCE).values_list(
            "pk", flat=True
        )
    )
    decided = []
    for event, mark in zip(events, found, strict=True):
        if mark["undecided"] and event.pk not in late:
            continue
        event.undecided, event.ours, event.chain = False, mark["ours"], mark["chain"]
        decided.append(event)
    Event.objects.bulk_update(decided, ["undecided", "ours", "chain"])
    return decided
