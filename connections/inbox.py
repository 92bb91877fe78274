"""The fan-out: waiting deliveries become events, events start activations, in one transaction a batch."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db import OperationalError, transaction
from django.db import connection as database
from django.db.models.functions import Now
from django.utils import timezone

from connections.integrations import ReportedEvent, UnparsableDelivery, UnusableEvent, registry
from connections.models import (
    Connection,
    ConnectionState,
    Delivery,
    DeliveryState,
    Event,
    Mention,
    StrayEvent,
)
from connections.receiving import FAN_OUT, FAN_OUT_TASK
from taskjuice.queue import wake
from taskjuice.workspaces import audit
from taskjuice.workspaces.gate import Scope

logger = logging.getLogger(__name__)

BATCH = 500  # deliveries of one transaction
# Older events are not taken in: what is known of them is forgotten one day (workflows/retention.py), and a delivery
# that somebody kept must not start anything again. Xero itself gives up after a day.
ACCEPTED = timedelta(days=60)

INSERT_EVENTS = """
INSERT INTO connections_event
    (workspace_id, connection_id, delivery_id, category, type, resource_id, occurred_at, received_at, recovered, ours)
SELECT workspace_id, connection_id, delivery_id, category, type, resource_id, occurred_at, clock_timestamp(), %s,
       EXISTS (SELECT 1 FROM connections_call k  -- a workflow's write that was under way just then
                WHERE k.connection_id = new.connection_id AND k.activation_id IS NOT NULL
                  AND (k.record_id = new.resource_id OR k.target = new.resource_id)
                  AND k.state IN ('sent', 'confirmed', 'unknown')
                  AND new.occurred_at BETWEEN k.created_at - interval '5 seconds'
                                          AND coalesce(k.settled_at, clock_timestamp()) + interval '5 seconds')
  FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::uuid[], %s::timestamptz[])
    AS new (workspace_id, connection_id, delivery_id, category, type, resource_id, occurred_at)
ON CONFLICT (connection_id, category, resource_id, type, occurred_at) DO NOTHING
RETURNING id, workspace_id, connection_id, delivery_id, category, type, resource_id, occurred_at, received_at, ours
"""

MENTION = """
INSERT INTO connections_mention AS m (delivery_id, agency_id, workspace_id, connection_id, events, fresh)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::int[])
ON CONFLICT (delivery_id, connection_id)  -- one that is taken in event by event
DO UPDATE SET events = m.events + excluded.events, fresh = m.fresh + excluded.fresh
"""

CONCLUDE = """
UPDATE connections_delivery d
   SET state = n.state, verdict = n.verdict, reason = n.reason, events = n.events, activations = n.activations,
       processed_at = clock_timestamp()
  FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::int[], %s::int[])
    AS n (id, state, verdict, reason, events, activations)
 WHERE d.id = n.id
"""


@dataclass
class Reading:
    """One delivery with what was found in it."""

    delivery: Delivery
    events: list[ReportedEvent] = field(default_factory=list)
    strays: list[UnusableEvent] = field(default_factory=list)
    unparsable: str = ""
    stored: list[Event] = field(default_factory=list)
    known: int = 0  # events whose tenant somebody here has connected
    activations: int = 0
    poisoned: list[str] = field(
        default_factory=list
    )  # what went wrong with events that could not be taken in

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


def fan_out() -> int:
    """Take all waiting deliveries; returns how many. Any number of copies may run at once.

    The flag is cleared before the first look: whoever commits a delivery later than that look finds it cleared
    (receiving.store) and wakes another one.
    """
    wake.taken(FAN_OUT)
    total = 0
    while taken := _take_batch():
        total += taken
    return total


def rewake_waiting() -> None:
    """The sweep: deliveries that wait for longer than a wake-up takes have lost theirs."""
    late = Now() - timedelta(seconds=2)
    if Delivery.objects.filter(state=DeliveryState.WAITING, received_at__lt=late).exists():
        wake.rewake(FAN_OUT, FAN_OUT_TASK)


def _take_batch() -> int:
    with transaction.atomic():
        waiting = Delivery.objects.filter(state=DeliveryState.WAITING).order_by("id")
        deliveries = list(waiting.select_for_update(skip_locked=True)[:BATCH])
        if deliveries:
            _process(deliveries)
    return len(deliveries)


def _process(deliveries: Sequence[Delivery]) -> None:
    """All of them at once; when that fails, each alone, so that one poisoned delivery holds back no other."""
    try:
        with transaction.atomic():
            _store(deliveries)
    except OperationalError:  # of the database, not of a delivery: they wait on
        raise
    except Exception:
        logger.exception("a batch of %d deliveries failed; taking each alone", len(deliveries))
        for delivery in deliveries:
            _process_alone(delivery)


def _process_alone(delivery: Delivery, earlier: Sequence[Event] = ()) -> None:
    """Event by event, so that a poisoned one holds back no other of its delivery.

    An event that nobody could be told of is stored all the same. `earlier`: those that a failed reading had stored.
    """
    try:
        reading = _read(delivery)
        found = reading.events
        with transaction.atomic():
            for reported in found:
                with _noting_poison(reading):
                    reading.events = [reported]
                    _store_events([reading])
            reading.events, reading.stored = found, [*earlier, *reading.stored]
            for event in reading.stored:
                with _noting_poison(reading):
                    reading.activations += sum(announce([event]).values())
            _keep([reading])
    except OperationalError:
        raise
    except Exception as error:  # recorded on the delivery, to be looked at and replayed
        logger.exception("delivery %s failed", delivery.pk)
        delivery.state = DeliveryState.FAILED
        delivery.verdict = "failed"
        delivery.reason = _reason(delivery, error)
        delivery.processed_at = timezone.now()
        delivery.save(update_fields=["state", "verdict", "reason", "processed_at"])


@contextmanager
def _noting_poison(reading: Reading) -> Iterator[None]:
    """What breaks inside is undone and noted on the delivery."""
    try:
        with transaction.atomic():
            yield
    except OperationalError:
        raise
    except Exception as error:
        logger.exception("an event of delivery %s failed", reading.delivery.pk)
        reading.poisoned.append(_reason(reading.delivery, error))


def _reason(delivery: Delivery, error: Exception) -> str:
    return f"{type(error).__name__}: see the log for delivery {delivery.pk}."


def _store(deliveries: Sequence[Delivery]) -> None:
    readings = [_read(delivery) for delivery in deliveries]
    _store_events(readings)
    started = announce([event for reading in readings for event in reading.stored])
    for reading in readings:
        reading.activations = sum(started.get(event.pk, 0) for event in reading.stored)
    _keep(readings)


def _keep(readings: Sequence[Reading]) -> None:
    """What became of the deliveries, and the events that nobody can act on."""
    for reading in readings:
        _conclude(reading)
    StrayEvent.objects.bulk_create(
        StrayEvent(
            delivery=reading.delivery, reason=s.reason, tenant_id=s.tenant_id[:100], content=s.content[:2000]
        )
        for reading in readings
        for s in reading.strays
    )
    with database.cursor() as cursor:
        concluded = [reading.delivery for reading in readings]
        rows = [(d.pk, d.state, d.verdict, d.reason, d.events, d.activations) for d in concluded]
        cursor.execute(CONCLUDE, [list(column) for column in zip(*rows, strict=True)])


def replay(events: Sequence[Event], *, scope: Scope, subject: str, failed: Delivery | None = None) -> int:
    """Offer stored events to the workflows once more; how many activations that started.

    What has run for an event does not run again: event and workflow are unique together. `failed`: the delivery they
    came with, which is read again as a whole where it had failed.
    """
    with transaction.atomic():
        started = _read_again(failed) if failed else 0
        for start in range(0, len(events), BATCH):
            started += sum(announce(events[start : start + BATCH]).values())
        audit.record(
            "replayed a delivery",
            by=scope.user,
            agency=scope.agency,
            workspace=scope.workspace,
            subject=subject,
            events=len(events),
            started=started,
        )
    return started


def _read_again(delivery: Delivery) -> int:
    """How many activations a delivery that had failed starts now; 0 for any other."""
    failed = Delivery.objects.select_for_update().filter(pk=delivery.pk, state=DeliveryState.FAILED).first()
    if failed is None:
        return 0
    failed.strays.all().delete()  # they are found again
    failed.mentions.all().delete()
    started, failed.activations = failed.activations, 0
    _process_alone(failed, list(failed.event_set.select_related("connection").order_by("pk")))
    Delivery.objects.filter(pk=failed.pk).update(activations=started + failed.activations)
    for mention in failed.mentions.all():
        told = Event.objects.filter(delivery=failed, connection=mention.connection_id).count()
        Mention.objects.filter(pk=mention.pk).update(fresh=told)
    return failed.activations


def announce(events: Sequence[Event]) -> dict[int, int]:
    """Tell the listeners of new events, inside the transaction that stores them; activations by event id."""
    started: dict[int, int] = defaultdict(int)
    if events:
        for listener in registry.listeners:
            for event_id, count in listener(events).items():
                started[event_id] += count
    return started


def _read(delivery: Delivery) -> Reading:
    reading = Reading(delivery)
    try:
        for found in registry.webhooks[delivery.provider].parse(bytes(delivery.body)):
            if not isinstance(found, ReportedEvent):
                reading.strays.append(found)
            elif found.occurred_at < timezone.now() - ACCEPTED:
                reading.strays.append(UnusableEvent("too old", str(found.tenant_id), _as_text(found)))
            else:
                reading.events.append(found)
    except UnparsableDelivery as error:
        reading.unparsable = str(error)
    return reading


def _conclude(reading: Reading) -> None:
    delivery = reading.delivery
    delivery.state = DeliveryState.UNPARSABLE if reading.unparsable else DeliveryState.DONE
    if reading.poisoned:
        delivery.state = DeliveryState.FAILED
    delivery.verdict = reading.verdict()
    delivery.reason = (reading.unparsable or _poisoned_in_words(reading))[:300]
    delivery.events = len(reading.events) + len(reading.strays)
    delivery.activations = reading.activations


def _poisoned_in_words(reading: Reading) -> str:
    bad, all_of_them = len(reading.poisoned), len(reading.events)
    if not bad or all_of_them == 1:
        return "".join(reading.poisoned)
    return f"{bad} of {all_of_them} events could not be taken in. {reading.poisoned[0]}"


def _store_events(readings: Sequence[Reading]) -> None:
    """Events of connected tenants into the table, once each; those of unknown tenants among the strays."""
    connected = _connections(readings)
    by_delivery = {reading.delivery.pk: reading for reading in readings}
    rows: list[tuple[Connection, int, ReportedEvent]] = []
    for reading in readings:
        for event in reading.events:
            homes = connected.get((reading.delivery.provider, event.tenant_id), [])
            reading.known += bool(homes)
            rows += [(home, reading.delivery.pk, event) for home in homes]
            if not homes:
                reading.strays.append(UnusableEvent("unknown tenant", str(event.tenant_id), _as_text(event)))
    fresh: Counter[tuple[int, int]] = Counter()
    for new in insert_events(rows):
        if new.delivery_id is not None:
            by_delivery[new.delivery_id].stored.append(new)
            fresh[new.delivery_id, new.connection_id] += 1
    _mention(rows, fresh)
    named = {home.pk for home, _, _ in rows}
    Connection.objects.filter(pk__in=named).update(last_webhook_at=Now())


def _mention(
    rows: Sequence[tuple[Connection, int, ReportedEvent]], fresh: Mapping[tuple[int, int], int]
) -> None:
    """Note which delivery reported on whom, events known before included."""
    told = Counter((delivery, home.pk) for home, delivery, _ in rows)
    homes = {home.pk: home for home, _, _ in rows}
    found = [
        (delivery, homes[pk].agency_id, homes[pk].workspace_id, pk, count, fresh.get((delivery, pk), 0))
        for (delivery, pk), count in told.items()
    ]
    if found:
        with database.cursor() as cursor:
            cursor.execute(MENTION, [list(column) for column in zip(*found, strict=True)])


def insert_events(
    rows: Sequence[tuple[Connection, int | None, ReportedEvent]], *, recovered: bool = False
) -> list[Event]:
    """Store the events that are new, in one statement; `recovered` ones have no delivery."""
    if not rows:
        return []
    ordered = sorted(rows, key=lambda row: (row[0].pk, row[2].occurred_at))  # one lock order for all copies
    columns: Iterable[Sequence[object]] = zip(
        *(
            (home.workspace_id, home.pk, delivery, e.category, e.type, e.resource_id, e.occurred_at)
            for home, delivery, e in ordered
        ),
        strict=True,
    )
    with database.cursor() as cursor:
        cursor.execute(INSERT_EVENTS, [recovered, *(list(column) for column in columns)])
        found = cursor.fetchall()
    names = "id workspace_id connection_id delivery_id category type resource_id occurred_at received_at ours".split()
    homes = {home.pk: home for home, _, _ in rows}
    events = [Event(recovered=recovered, **dict(zip(names, values, strict=True))) for values in found]
    for event in events:
        event.connection = homes[event.connection_id]
    return events


def _connections(readings: Sequence[Reading]) -> dict[tuple[str, UUID], list[Connection]]:
    """Who has connected the tenants that these deliveries name. One organisation may be in several agencies."""
    tenants = {event.tenant_id for reading in readings for event in reading.events}
    found: dict[tuple[str, UUID], list[Connection]] = defaultdict(list)
    for home in Connection.objects.filter(tenant_id__in=tenants).exclude(state=ConnectionState.REVOKED):
        found[home.provider, home.tenant_id].append(home)
    return found


def _as_text(event: ReportedEvent) -> str:
    return f"{event.category} {event.type} {event.resource_id} at {event.occurred_at.isoformat()}"
