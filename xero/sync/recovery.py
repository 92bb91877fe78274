"""Recovery of changes that no webhook reported: found in the local copy, they become events.

Two things start a search: a gap in the webhooks' sequence numbers, and a connection that has been
silent for long while the subscription as such works. A change counts as reported when an event
names its record at that time or later.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Least, Now

from connections.events import ReportedEvent
from connections.models import Connection, Delivery, DeliveryState, Event
from connections.webhooks import fan_out, parsing
from taskjuice import exact_json
from taskjuice.queue import clock
from xero.models import Ledger, SequenceGap, SequenceWatch
from xero.sync import schedule as sync_schedule
from xero.sync import upsert
from xero.sync.mapping import CONTACTS, INVOICES

logger = logging.getLogger(__name__)

KIND_OF = {"INVOICE": INVOICES, "CONTACT": CONTACTS}
TABLE_OF = {"INVOICE": "xero_invoice", "CONTACT": "xero_contact"}
SILENCE = timedelta(minutes=30)
SETTLED = timedelta(minutes=2)  # a webhook may still be on its way
OVERLAP = timedelta(minutes=5)
WATCHED = 1000  # deliveries of one look

# An event up to five seconds before a change tells of it too: Xero's two clocks differ a little.
UNREPORTED = """
SELECT r.xero_id, r.updated_utc, r.updated_utc = r.first_updated_utc
  FROM {table} r
 WHERE r.connection_id = %s AND r.updated_utc BETWEEN %s AND %s
   AND NOT EXISTS (SELECT 1 FROM connections_event e
                    WHERE e.connection_id = r.connection_id AND e.category = %s AND e.resource_id = r.xero_id
                      AND e.occurred_at >= r.updated_utc - interval '5 seconds')
"""


def note_events(events: Sequence[Event]) -> Mapping[int, int]:
    """Mark the records that new events name as stale, in the transaction that stores the events."""
    upsert.mark_stale(
        [
            (e.connection_id, KIND_OF[e.category], e.resource_id)
            for e in events
            if e.category in KIND_OF
        ]
    )
    return {}


def recover_after_round(connection: Connection, *, begun: datetime) -> None:
    """Look for unreported changes after a round that began at `begun`, if there is a reason to.

    The search's time on the ledger (`recover_since` to `recover_until`) is cleared once all of it
    has been searched. The last minutes are left to the next round: a webhook may still come for
    them, and changes after the round began may not be stored yet.
    """
    ledger = Ledger.objects.get(pk=connection.pk)
    since = ledger.recover_since or _find_silence(connection, ledger)
    if since is None:
        return
    until = min(begun, clock.now() - SETTLED)
    recover_changes(connection, since - OVERLAP, until)
    marked = Ledger.objects.filter(
        pk=connection.pk, recover_since=ledger.recover_since, recover_until=ledger.recover_until
    )
    ends = ledger.recover_until or begun  # of a silence: now, since the next delivery may end it
    if until >= ends:
        marked.update(recover_since=None, recover_until=None)
        return
    marked.update(recover_since=max(since, until), recover_until=ends)
    if ledger.recover_until is not None:
        Ledger.objects.filter(pk=connection.pk).update(due_at=Least(F("due_at"), ends + SETTLED))


def recover_changes(connection: Connection, since: datetime, until: datetime) -> list[Event]:
    """Store and announce events for the unreported changes of this time, and return the new
    ones.
    """
    unreported = [
        event
        for category in TABLE_OF
        for event in _list_unreported(connection, category, since, until)
    ]
    if not unreported:
        return []
    with transaction.atomic():
        events = parsing.insert_events(
            [(connection, None, event) for event in unreported], recovered=True
        )
        fan_out.announce_events(events)
    logger.warning(
        "connection %s: %d events recovered since %s", connection.pk, len(events), since.isoformat()
    )
    return events


def follow_sequence() -> None:
    """Follow the sequence numbers of deliveries, note gaps, and have ledgers read for them. Run by
    a sweep.
    """
    with transaction.atomic():
        SequenceWatch.objects.get_or_create(pk=1)
        watched = SequenceWatch.objects.select_for_update(skip_locked=True).filter(pk=1).first()
        if watched is None:
            return
        for delivery in _list_next_deliveries(watched):
            _follow_delivery(watched, delivery)
        watched.save()
        for gap in SequenceGap.objects.filter(caught_up_at=None, closed_at=None).order_by("since"):
            sync_schedule.catch_up(gap.since)
            gap.caught_up_at = clock.now()
            gap.save(update_fields=["caught_up_at"])


def _find_silence(connection: Connection, ledger: Ledger) -> datetime | None:
    """Return the connection's last webhook if it is long ago although this app gets webhooks, else
    None.
    """
    followed = SequenceWatch.objects.filter(last_sequence__isnull=False).exists()
    heard = Connection.objects.values_list("last_webhook_at", flat=True).get(pk=connection.pk)
    last = heard or ledger.first_finished_at
    return last if followed and last is not None and last < clock.now() - SILENCE else None


def _list_unreported(
    connection: Connection, category: str, since: datetime, until: datetime
) -> list[ReportedEvent]:
    start = max(since, connection.connected_at)
    with database.cursor() as cursor:
        cursor.execute(
            UNREPORTED.format(table=TABLE_OF[category]), [connection.pk, start, until, category]
        )
        return [
            ReportedEvent(
                tenant_id=connection.tenant_id,
                category=category,
                type="CREATE" if is_new else "UPDATE",
                resource_id=xero_id,
                occurred_at=changed_at,
            )
            for xero_id, changed_at, is_new in cursor.fetchall()
        ]


def _list_next_deliveries(watched: SequenceWatch) -> list[Delivery]:
    """Return the next deliveries in the order of arrival, once late ones had a minute to arrive."""
    fresh = Delivery.objects.filter(
        ~Q(state=DeliveryState.WAITING), pk__gt=watched.last_delivery, provider="xero"
    )
    return list(fresh.filter(received_at__lt=Now() - timedelta(minutes=1)).order_by("pk")[:WATCHED])


def _follow_delivery(watched: SequenceWatch, delivery: Delivery) -> None:
    watched.last_delivery = delivery.pk
    numbers = read_sequence(bytes(delivery.body))
    if numbers is None:
        return
    first, last = numbers
    expected = first if watched.last_sequence is None else watched.last_sequence + 1
    if first > expected:
        SequenceGap.objects.get_or_create(
            first=expected,
            last=first - 1,
            defaults={"since": watched.last_at or delivery.received_at},
        )
    if first < expected:
        _close_gaps(first, last)
    if first == 1 or last >= expected:  # a new subscription starts from 1
        watched.last_sequence, watched.last_at = last, delivery.received_at


def _close_gaps(first: int, last: int) -> None:
    """Close the gaps that a late delivery fills."""
    SequenceGap.objects.filter(first__gte=first, last__lte=last, closed_at=None).update(
        closed_at=Now()
    )


def read_sequence(body: bytes) -> tuple[int, int] | None:
    """Return the first and last sequence number of a delivery.

    None for an intent-to-receive and for a body that cannot be read.
    """
    try:
        document: Any = exact_json.loads(body)
    except ValueError:
        return None
    if not isinstance(document, dict) or not document.get("events"):
        return None
    first, last = document.get("firstEventSequence"), document.get("lastEventSequence")
    if type(first) is int and type(last) is int and 0 < first <= last:
        return first, last
    return None
