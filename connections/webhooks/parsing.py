"""Parsing of deliveries: what they report is stored as events, once each."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db import connection as database
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from connections.events import ReportedEvent, UnparsableDelivery, UnusableEvent
from connections.integrations import registry
from connections.models import Connection, ConnectionState, Delivery, DeliveryState, Event
from connections.writes import echoes
from connections.writes.echoes import EventKey
from taskjuice import exact_json

# Older events are refused: their history is removed one day (workflows/activations/retention.py),
# and a delivery that somebody kept must not start anything again. Xero itself gives up after a day.
ACCEPTED = timedelta(days=60)

# To the second will do, and in a burst the rows are not fought for
NOT_JUST_NOTED = Q(last_webhook_at=None) | Q(last_webhook_at__lt=Now() - timedelta(seconds=1))

INSERT_EVENTS = """
INSERT INTO connections_event
    (workspace_id, connection_id, delivery_id, category, type, resource_id, occurred_at, received_at, recovered, ours,
     undecided, chain)
SELECT workspace_id, connection_id, delivery_id, category, type, resource_id, occurred_at, clock_timestamp(), %s, ours,
       undecided, chain
  FROM jsonb_to_recordset(%s::jsonb)
    AS new (workspace_id bigint, connection_id bigint, delivery_id bigint, category text, type text, resource_id uuid,
            occurred_at timestamptz, ours boolean, undecided boolean, chain bigint[])
ON CONFLICT (connection_id, category, resource_id, type, occurred_at) DO NOTHING
RETURNING id, workspace_id, connection_id, delivery_id, category, type, resource_id, occurred_at, received_at, ours,
          undecided, chain
"""

MENTION = """
INSERT INTO connections_mention (delivery_id, agency_id, workspace_id, connection_id, events, fresh, activations)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::int[], %s::int[])
"""


@dataclass
class DeliveryShare:
    """One connection's share of a delivery: its events, the new ones among them, their activations."""

    home: Connection
    events: int = 0
    fresh: int = 0
    activations: int = 0

    @property
    def columns(self) -> tuple[int, int, int, int, int, int]:
        home = self.home
        return home.agency_id, home.workspace_id, home.pk, self.events, self.fresh, self.activations


@dataclass
class Reading:
    """One delivery with what was read from it."""

    delivery: Delivery
    events: list[ReportedEvent] = field(default_factory=list)
    strays: list[UnusableEvent] = field(default_factory=list)
    unparsable: str = ""
    stored: list[Event] = field(default_factory=list)
    known: int = 0  # events whose tenant somebody here has connected
    activations: int = 0
    shares: dict[int, DeliveryShare] = field(default_factory=dict)  # by connection
    # Errors of events that could not be processed.
    poisoned: list[str] = field(default_factory=list)

    def verdict(self) -> str:
        if self.unparsable:
            return "unparsable"
        if self.poisoned:
            return "failed"
        if not self.events and not self.strays:
            return "intent to receive"
        if not self.known:
            return "unknown tenant" if self.events else "ignored"
        if not self.stored:
            return "duplicate"
        return "valid" if self.activations else "no subscriber"

    def conclude(self) -> None:
        """Set the outcome on the delivery, without saving it."""
        delivery = self.delivery
        delivery.state = DeliveryState.UNPARSABLE if self.unparsable else DeliveryState.DONE
        if self.poisoned:
            delivery.state = DeliveryState.FAILED
        delivery.verdict = self.verdict()
        delivery.reason = (self.unparsable or self._poisoned_in_words())[:300]
        delivery.events = len(self.events) + len(self.strays)
        delivery.activations = self.activations

    def _poisoned_in_words(self) -> str:
        bad, all_of_them = len(self.poisoned), len(self.events)
        if not bad or all_of_them == 1:
            return "".join(self.poisoned)
        return f"{bad} of {all_of_them} events could not be taken in. {self.poisoned[0]}"


def read_delivery(delivery: Delivery) -> Reading:
    reading = Reading(delivery)
    try:
        for found in registry.webhooks[delivery.provider].parse(bytes(delivery.body)):
            if not isinstance(found, ReportedEvent):
                reading.strays.append(found)
            elif found.occurred_at < timezone.now() - ACCEPTED:
                reading.strays.append(
                    UnusableEvent("too old", str(found.tenant_id), _describe_event(found))
                )
            else:
                reading.events.append(found)
    except UnparsableDelivery as error:
        reading.unparsable = str(error)
    return reading


def store_events(readings: Sequence[Reading]) -> None:
    """Store the events of connected tenants, once each; add those of unknown tenants to the strays."""
    connected = _find_connections(readings)
    by_delivery = {reading.delivery.pk: reading for reading in readings}
    rows: list[tuple[Connection, int, ReportedEvent]] = []
    for reading in readings:
        for event in reading.events:
            homes = connected.get((reading.delivery.provider, event.tenant_id), [])
            reading.known += bool(homes)
            rows += [(home, reading.delivery.pk, event) for home in homes]
            if not homes:
                reading.strays.append(
                    UnusableEvent("unknown tenant", str(event.tenant_id), _describe_event(event))
                )
    new_events = insert_events(rows)
    for home, delivery, _ in rows:
        by_delivery[delivery].shares.setdefault(home.pk, DeliveryShare(home)).events += 1
    for new in new_events:
        if new.delivery_id is not None:
            by_delivery[new.delivery_id].stored.append(new)
            by_delivery[new.delivery_id].shares[new.connection_id].fresh += 1
    named = Connection.objects.filter(pk__in={home.pk for home, _, _ in rows})
    named.filter(NOT_JUST_NOTED).update(last_webhook_at=Now())


def store_mentions(readings: Sequence[Reading]) -> None:
    """Store which delivery reported on which connection, known events included."""
    rows = [
        (reading.delivery.pk, *one.columns)
        for reading in readings
        for one in reading.shares.values()
    ]
    if rows:
        with database.cursor() as cursor:
            cursor.execute(MENTION, [list(column) for column in zip(*rows, strict=True)])


def insert_events(
    rows: Sequence[tuple[Connection, int | None, ReportedEvent]], *, recovered: bool = False
) -> list[Event]:
    """Store the events that are new, in one statement; `recovered` ones have no delivery."""
    if not rows:
        return []
    # All copies insert in this order, so that they cannot deadlock.
    ordered = sorted(rows, key=lambda row: (row[0].pk, row[2].occurred_at))
    marks = echoes.build_marks(
        [EventKey(home.pk, e.type, e.resource_id, e.occurred_at) for home, _, e in ordered]
    )
    given = [
        {
            "workspace_id": home.workspace_id,
            "connection_id": home.pk,
            "delivery_id": delivery,
            "category": event.category,
            "type": event.type,
            "resource_id": event.resource_id,
            "occurred_at": event.occurred_at,
        }
        | mark
        for (home, delivery, event), mark in zip(ordered, marks, strict=True)
    ]
    with database.cursor() as cursor:
        cursor.execute(INSERT_EVENTS, [recovered, exact_json.dumps(given)])
        found = cursor.fetchall()
    names = (
        "id workspace_id connection_id delivery_id category type resource_id occurred_at received_at ours undecided"
        " chain"
    ).split()
    homes = {home.pk: home for home, _, _ in rows}
    events = [
        Event(recovered=recovered, **dict(zip(names, values, strict=True))) for values in found
    ]
    for event in events:
        event.connection = homes[event.connection_id]
    return events


def _find_connections(readings: Sequence[Reading]) -> dict[tuple[str, UUID], list[Connection]]:
    """Return the connections of the tenants in these deliveries, by provider and tenant id.

    One organisation may be connected by several agencies.
    """
    tenants = {event.tenant_id for reading in readings for event in reading.events}
    found: dict[tuple[str, UUID], list[Connection]] = defaultdict(list)
    for home in Connection.objects.filter(tenant_id__in=tenants).exclude(
        state=ConnectionState.REVOKED
    ):
        found[home.provider, home.tenant_id].append(home)
    return found


def _describe_event(event: ReportedEvent) -> str:
    return f"{event.category} {event.type} {event.resource_id} at {event.occurred_at.isoformat()}"
