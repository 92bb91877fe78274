"""The fan-out: waiting deliveries become events, and events start activations.

A batch of deliveries is one transaction.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

from django.db import connection as database
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from connections.integrations import registry
from connections.models import Delivery, DeliveryState, Event, Mention, StrayEvent
from connections.webhooks import parsing
from connections.webhooks.parsing import Reading
from connections.webhooks.receiver import FAN_OUT, FAN_OUT_TASK
from connections.writes import echoes
from taskjuice import exact_json
from taskjuice.database.outages import OUTAGE
from taskjuice.queue import wake
from taskjuice.queue.commits import commit_without_waiting
from taskjuice.workspaces import audit
from taskjuice.workspaces.gate import Scope

logger = logging.getLogger(__name__)

BATCH = 500  # deliveries of one transaction
CROWD = 10  # at once: more are just coming,
GATHER_SECONDS = (
    0.1  # and get this time to, since a transaction costs nearly the same for one as for many
)
TURN_SECONDS = 2.0  # then others get their turn at this worker

CONCLUDE = """
UPDATE connections_delivery d
   SET state = n.state, verdict = n.verdict, reason = n.reason, events = n.events, activations = n.activations,
       processed_at = clock_timestamp()
  FROM jsonb_to_recordset(%s::jsonb)
    AS n (id bigint, state text, verdict text, reason text, events int, activations int)
 WHERE d.id = n.id
"""


def fan_out() -> int:
    """Process all waiting deliveries; return how many. Any number of copies may run at once.

    The flag stays set while deliveries come, so that a burst keeps one copy busy and not all. It is
    cleared before the last look: a process that commits a delivery after that look finds it cleared
    (receiver.store_delivery) and wakes another copy.
    """
    ends = time.monotonic() + TURN_SECONDS
    total = 0
    while taken := _take_batch():
        total += taken
        if time.monotonic() > ends:
            wake.wake_again(FAN_OUT, FAN_OUT_TASK)
            return total
        if CROWD <= taken < BATCH:
            time.sleep(GATHER_SECONDS)
    wake.note_taken(FAN_OUT)
    while taken := _take_batch():
        total += taken
    return total


def rewake_waiting() -> None:
    """Wake the fan-out for deliveries that have waited for longer than a wake-up takes."""
    late = Now() - timedelta(seconds=2)
    if Delivery.objects.filter(state=DeliveryState.WAITING, received_at__lt=late).exists():
        wake.wake_again(FAN_OUT, FAN_OUT_TASK)


def _take_batch() -> int:
    with transaction.atomic():
        waiting = Delivery.objects.filter(state=DeliveryState.WAITING).order_by("id")
        deliveries = list(waiting.select_for_update(skip_locked=True)[:BATCH])
        if deliveries:
            commit_without_waiting()
            _process_batch(deliveries)
    return len(deliveries)


def _process_batch(deliveries: Sequence[Delivery]) -> None:
    """Process the deliveries together; when that fails, each alone, so that one does not block
    others.
    """
    try:
        with transaction.atomic():
            _store_batch(deliveries)
    except OUTAGE:  # of the database, not of a delivery: they wait on
        raise
    except Exception:
        logger.exception("a batch of %d deliveries failed; taking each alone", len(deliveries))
        for delivery in deliveries:
            _process_alone(delivery)


def _process_alone(delivery: Delivery, earlier: Sequence[Event] = ()) -> None:
    """Process a delivery event by event, so that one that fails does not block the others.

    An event whose listeners failed is stored all the same. `earlier`: the events that a failed
    reading had stored.
    """
    try:
        reading = parsing.read_delivery(delivery)
        found = reading.events
        with transaction.atomic():
            for reported in found:
                with _record_failure(reading):
                    reading.events = [reported]
                    parsing.store_events([reading])
            reading.events, reading.stored = found, [*earlier, *reading.stored]
            for event in reading.stored:
                with _record_failure(reading):
                    _count_activations(reading, announce_events([event]))
            _conclude([reading])
    except OUTAGE:
        raise
    except Exception as error:  # recorded on the delivery, to be looked at and replayed
        logger.exception("delivery %s failed", delivery.pk)
        delivery.state = DeliveryState.FAILED
        delivery.verdict = "failed"
        delivery.reason = _describe_error(delivery, error)
        delivery.processed_at = timezone.now()
        delivery.save(update_fields=["state", "verdict", "reason", "processed_at"])


@contextmanager
def _record_failure(reading: Reading) -> Iterator[None]:
    """Roll back what fails inside, and record it on the delivery."""
    try:
        with transaction.atomic():
            yield
    except OUTAGE:
        raise
    except Exception as error:
        logger.exception("an event of delivery %s failed", reading.delivery.pk)
        reading.poisoned.append(_describe_error(reading.delivery, error))


def _describe_error(delivery: Delivery, error: Exception) -> str:
    return f"{type(error).__name__}: see the log for delivery {delivery.pk}."


def _store_batch(deliveries: Sequence[Delivery]) -> None:
    readings = [parsing.read_delivery(delivery) for delivery in deliveries]
    parsing.store_events(readings)
    started = announce_events([event for reading in readings for event in reading.stored])
    for reading in readings:
        _count_activations(reading, started)
    _conclude(readings)


def _count_activations(reading: Reading, started: Mapping[int, int]) -> None:
    """Add the activations that events of this delivery started, in total and by connection."""
    for event in reading.stored:
        count = started.get(event.pk, 0)
        reading.activations += count
        # An event that an earlier reading stored is in no share of this one.
        if event.connection_id in reading.shares:
            reading.shares[event.connection_id].activations += count


def _conclude(readings: Sequence[Reading]) -> None:
    """Store the outcome of the deliveries, and the events that cannot be acted on."""
    for reading in readings:
        reading.conclude()
    parsing.store_mentions(readings)
    StrayEvent.objects.bulk_create(
        StrayEvent(
            delivery=reading.delivery,
            reason=s.reason,
            tenant_id=s.tenant_id[:100],
            content=s.content[:2000],
        )
        for reading in readings
        for s in reading.strays
    )
    names = ("id", "state", "verdict", "reason", "events", "activations")
    concluded = [{name: getattr(reading.delivery, name) for name in names} for reading in readings]
    with database.cursor() as cursor:
        cursor.execute(CONCLUDE, [exact_json.dumps(concluded)])


def replay_events(
    events: Sequence[Event], *, scope: Scope, subject: str, failed: Delivery | None = None
) -> int:
    """Announce stored events once more; return how many activations that started.

    What has run for an event does not run again: event and workflow are unique together. `failed`:
    the delivery they came with, which is read again as a whole where it had failed.
    """
    with transaction.atomic():
        started = _process_again(failed) if failed else 0
        for start in range(0, len(events), BATCH):
            started += sum(announce_events(events[start : start + BATCH]).values())
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


def _process_again(delivery: Delivery) -> int:
    """Process a failed delivery again; return how many activations that started, 0 for any other."""
    failed = (
        Delivery.objects.select_for_update()
        .filter(pk=delivery.pk, state=DeliveryState.FAILED)
        .first()
    )
    if failed is None:
        return 0
    failed.strays.all().delete()  # they are found again, and so are the mentions
    before = dict(failed.mentions.values_list("connection", "activations"))
    failed.mentions.all().delete()
    started, failed.activations = failed.activations, 0
    _process_alone(failed, list(failed.event_set.select_related("connection").order_by("pk")))
    Delivery.objects.filter(pk=failed.pk).update(activations=started + failed.activations)
    for mention in failed.mentions.all():
        told = Event.objects.filter(delivery=failed, connection=mention.connection_id).count()
        all_of_them = (mention.activations or 0) + (before.get(mention.connection_id) or 0)
        Mention.objects.filter(pk=mention.pk).update(fresh=told, activations=all_of_them)
    return failed.activations


def announce_decided() -> int:
    """Announce undecided events once it is known who caused them; return how many."""
    with transaction.atomic():
        waiting = list(echoes.lock_undecided()[:BATCH])
        decided = echoes.decide_events(waiting) if waiting else []
        started = announce_events(decided)
        for event in decided:
            if event.delivery_id is not None and (count := started.get(event.pk, 0)):
                more = {"activations": F("activations") + count}
                Delivery.objects.filter(pk=event.delivery_id).update(verdict="valid", **more)
                Mention.objects.filter(
                    delivery=event.delivery_id, connection=event.connection_id
                ).update(**more)
    return len(decided)


def announce_events(events: Sequence[Event]) -> dict[int, int]:
    """Pass new events to the listeners, inside the transaction that stores them.

    Returns the number of started activations by event id.
    """
    started: dict[int, int] = defaultdict(int)
    if events:
        for listener in registry.listeners:
            for event_id, count in listener(events).items():
                started[event_id] += count
    return started
