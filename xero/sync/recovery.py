"""Changes that no webhook told of: found in the local copy after a read, they become events marked
recovered.

Two things start a look: a gap in the webhooks' sequence numbers, and a connection that has been
silent for long while the subscription as such works. A change counts as told when an event names
its record at that time or later.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Least, Now

from connections.integrations import ReportedEvent
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
UNTOLD = """
SELECT r.xero_id, r.updated_utc, r.updated_utc = r.first_updated_utc
  FROM {table} r
 WHERE r.connection_id = %s AND r.updated_utc BETWEEN %s AND %s
   AND NOT EXISTS (SELECT 1 FROM connections_event e
                    WHERE e.connection_id = r.connection_id AND e.category = %s AND e.resource_id = r.xero_id
                      AND e.occurred_at >= r.updated_utc - interval '5 seconds')
"""


def note_events(events: Sequence[Event]) -> Mapping[int, int]:
    """The ear for new events, inside the transaction that stores them: what they name is stale
    here.
    """
    upsert.mark_stale(
        [
            (e.connection_id, KIND_OF[e.category], e.resource_id)
            for e in events
            if e.category in KIND_OF
        ]
    )
    return {}


def after_round(connection: Connection, *, begun: datetime) -> None:
    """The ledger was read from `begun` on: look for changes that should have been told, if there is
    a reason to.

    The mark on the ledger (`recover_since` to `recover_until`) goes once all of its time has been
    looked at. What changed a moment ago may still be told, and what changed after the read began
    may not be here yet: that is left to the next round, which comes as soon as it can tell.
    """
    ledger = Ledger.objects.get(pk=connection.pk)
    since = ledger.recover_since or _silent_since(connection, ledger)
    if since is None:
        return
    until = min(begun, clock.now() - SETTLED)
    recover(connection, since - OVERLAP, until)
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


def recover(connection: Connection, since: datetime, until: datetime) -> list[Event]:
    """Store and announce events for changes of this time that nobody told; those that are new."""
    untold = [
        event for category in TABLE_OF for event in _untold(connection, category, since, until)
    ]
    if not untold:
        return []
    with transaction.atomic():
        found = parsing.insert_events(
            [(connection, None, event) for event in untold], recovered=True
        )
        fan_out.announce(found)
    logger.warning(
        "connection %s: %d events recovered since %s", connection.pk, len(found), since.isoformat()
    )
    return found


def watch() -> None:
    """The sweep: follow the sequence numbers of deliveries, note what is missing, and have it read."""
    with transaction.atomic():
        SequenceWatch.objects.get_or_create(pk=1)
        watched = SequenceWatch.objects.select_for_update(skip_locked=True).filter(pk=1).first()
        if watched is None:
            return
        for delivery in _next_deliveries(watched):
            _follow(watched, delivery)
        watched.save()
        for gap in SequenceGap.objects.filter(caught_up_at=None, closed_at=None).order_by("since"):
            sync_schedule.catch_up(gap.since)
            gap.caught_up_at = clock.now()
            gap.save(update_fields=["caught_up_at"])


def _silent_since(connection: Connection, ledger: Ledger) -> datetime | None:
    """When this connection was last heard of, if that is long ago although webhooks do come for
    this app.
    """
    followed = SequenceWatch.objects.filter(last_sequence__isnull=False).exists()
    heard = Connection.objects.values_list("last_webhook_at", flat=True).get(pk=connection.pk)
    last = heard or ledger.first_finished_at
    return last if followed and last is not None and last < clock.now() - SILENCE else None


def _untold(
    connection: Connection, category: str, since: datetime, until: datetime
) -> list[ReportedEvent]:
    start = max(since, connection.connected_at)
    with database.cursor() as cursor:
        cursor.execute(
            UNTOLD.format(table=TABLE_OF[category]), [connection.pk, start, until, category]
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


def _next_deliveries(watched: SequenceWatch) -> list[Delivery]:
    """Those not looked at, in the order of their numbers, once late ones had a minute to arrive."""
    fresh = Delivery.objects.filter(
        ~Q(state=DeliveryState.WAITING), pk__gt=watched.last_delivery, provider="xero"
    )
    return list(fresh.filter(received_at__lt=Now() - timedelta(minutes=1)).order_by("pk")[:WATCHED])


def _follow(watched: SequenceWatch, delivery: Delivery) -> None:
    watched.last_delivery = delivery.pk
    numbers = sequence_of(bytes(delivery.body))
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
        _close(first, last)
    if first == 1 or last >= expected:  # Xero counts anew for a new subscription
        watched.last_sequence, watched.last_at = last, delivery.received_at


def _close(first: int, last: int) -> None:
    """A delivery came late: gaps that it fills are none."""
    SequenceGap.objects.filter(first__gte=first, last__lte=last, closed_at=None).update(
        closed_at=Now()
    )


def sequence_of(body: bytes) -> tuple[int, int] | None:
    """First and last sequence number of a delivery; None for an intent-to-receive and what cannot
    be read.
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
