"""Changes of invoices as events, found in the local copy.

A webhook says only that an invoice changed. The local copy knows what it was before and what it is
now, so whatever stores a newer row (the refresh after an event, a round, a step that reads it)
leaves a Change, and here it becomes an event that workflows can be started by. Each invoice and
change makes one event: Xero's time of the change is part of its unique key.

An event's details: kind ("sales invoice" or "bill"), type, number, reference, contact, contact_id,
date and due_date (ISO), currency, total, status, amount_due, and previous_status,
previous_amount_due (absent when new).
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from connections.integrations import registry
from connections.models import Connection, Event
from connections.webhooks import fan_out
from connections.writes import echoes
from connections.writes.echoes import EventKey
from taskjuice import exact_json
from xero.models import Change

CATEGORY = "INVOICE STATE"
TRIGGERS = (
    "xero/invoice-status",
    "xero/invoice-approved",
    "xero/invoice-paid",
    "xero/amount-due-changed",
)
BATCH = 500
# After a long break, older changes start nothing: an e-mail about them would come as a surprise.
TOO_OLD = timedelta(days=7)

INSERT = """
INSERT INTO connections_event
    (workspace_id, connection_id, category, type, resource_id, occurred_at, received_at, recovered, details, ours,
     undecided, chain)
SELECT workspace_id, connection_id, %s, type, resource_id, occurred_at, clock_timestamp(), false, details, ours,
       undecided, chain
  FROM jsonb_to_recordset(%s::jsonb)
    AS new (workspace_id bigint, connection_id bigint, type text, resource_id uuid, occurred_at timestamptz,
            details jsonb, ours boolean, undecided boolean, chain bigint[])
 ORDER BY connection_id, occurred_at
ON CONFLICT (connection_id, category, resource_id, type, occurred_at) DO NOTHING
RETURNING id
"""


def announce_changes() -> int:
    """Make events of the changes that triggers listen for, and return how many. Run by a sweep."""
    with transaction.atomic():
        waiting = Change.objects.order_by("id").select_for_update(skip_locked=True)
        changes = list(waiting[:BATCH])
        if not changes:
            return 0
        wanted = {interest.connection_id for interest in registry.listening(TRIGGERS)}
        since = timezone.now() - TOO_OLD
        rows = [_map_change(c) for c in changes if c.connection_id in wanted and c.at > since]
        # The row's own time of change says whose change it is: that of a write's answer, or
        # another.
        marks = echoes.build_marks([EventKey(pk, kind, id, at) for pk, kind, id, at, _ in rows])
        events = store_events(CATEGORY, rows, marks)
        fan_out.announce_events(events)
        Change.objects.filter(pk__in=[change.pk for change in changes]).delete()
    return len(events)


EventRow = tuple[int, str, Any, Any, Any]  # connection id, type, resource id, occurred at, details


def store_events(
    category: str, rows: Sequence[EventRow], marks: Sequence[dict[str, Any]]
) -> list[Event]:
    """Store the events, each only once, and return those that are new.

    `marks`: what led to each (echoes.py).
    """
    if not rows:
        return []
    connections = Connection.objects.select_related("workspace").in_bulk({row[0] for row in rows})
    new_events = [
        {
            "workspace_id": connections[pk].workspace_id,
            "connection_id": pk,
            "type": kind,
            "resource_id": id,
            "occurred_at": at,
            "details": details,
        }
        | mark
        for (pk, kind, id, at, details), mark in zip(rows, marks, strict=True)
    ]
    with database.cursor() as cursor:
        cursor.execute(INSERT, [category, exact_json.dumps(new_events)])
        ids = [id for (id,) in cursor.fetchall()]
    events = list(Event.objects.filter(pk__in=ids).order_by("pk"))
    for event in events:
        event.connection = connections[event.connection_id]
    return events


def _map_change(change: Change) -> EventRow:
    kind = "CREATE" if change.is_new else "UPDATE"
    return change.connection_id, kind, change.xero_id, change.at, change.details
