"""Events for invoices and bills that have been overdue for as many days as a trigger asks for.

Each is stored once per due date. A day begins here at eight in the organisation's time zone, so
that nobody gets a reminder at midnight. Documents that became overdue before the workflow was
published, or more than a week ago, start nothing.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from connections import organisation_time
from connections.integrations import registry
from connections.models import Connection
from connections.webhooks import fan_out
from connections.writes import echoes
from xero.models import Invoice
from xero.sync import changes

CATEGORY = "INVOICE OVERDUE"
TRIGGER = "xero/invoice-overdue"
MORNING = time(8)
MOST_DAYS = 365
LOOK_BACK = timedelta(days=6)  # should nothing have run for some days
KIND = {"ACCREC": "sales invoice", "ACCPAY": "bill"}


def announce_overdue() -> int:
    """Store the events of overdue documents, and return how many are new. Run by a sweep."""
    wanted: dict[tuple[int, int], datetime] = {}
    for interest in registry.listening([TRIGGER]):
        days = str(interest.settings.get("days", ""))
        if not (days.isascii() and days.isdigit() and len(days) < 4 and 0 < int(days) <= MOST_DAYS):
            continue  # a draft that nobody could publish yet
        key = (interest.connection_id, int(days))
        wanted[key] = min(wanted.get(key, interest.since), interest.since)
    connections = Connection.objects.select_related("workspace").in_bulk({pk for pk, _ in wanted})
    return sum(
        _announce_days(connections[pk], days, since) for (pk, days), since in sorted(wanted.items())
    )


def _announce_days(connection: Connection, days: int, since: datetime) -> int:
    zone = organisation_time.zone_of(connection)
    now = timezone.now().astimezone(zone)
    today = now.date() if now.time() >= MORNING else now.date() - timedelta(days=1)
    first = max(today - LOOK_BACK, since.astimezone(zone).date()) - timedelta(days=days)
    invoices = Invoice.objects.filter(
        connection=connection,
        type__in=KIND,
        status="AUTHORISED",
        amount_due__gt=0,
        due_date__range=(first, today - timedelta(days=days)),
    ).defer("body")
    rows = [_map_invoice(invoice, days, zone) for invoice in invoices]
    with transaction.atomic():
        events = changes.store_events(CATEGORY, rows, _list_marks(connection, rows))
        fan_out.announce_events(events)
    return len(events)


def _list_marks(connection: Connection, rows: Sequence[changes.EventRow]) -> list[dict[str, Any]]:
    """Return for each row the workflows whose events led to it; time itself belongs to none of
    them.
    """
    # A document that a workflow made gets overdue by time alone: its trigger is not the workflow's
    # own change, only what the workflow set off is kept apart.
    origins = echoes.find_origins(connection.pk, {row[2] for row in rows})
    return [{"ours": False, "undecided": False, "chain": origins.get(row[2], [])} for row in rows]


def _map_invoice(invoice: Invoice, days: int, zone: ZoneInfo) -> changes.EventRow:
    assert invoice.due_date is not None  # asked for
    at = datetime.combine(invoice.due_date + timedelta(days=days), MORNING, zone)
    return (
        invoice.connection_id,
        f"{days} DAYS",
        invoice.xero_id,
        at,
        _build_details(invoice) | {"days": days},
    )


def _build_details(invoice: Invoice) -> dict[str, Any]:
    """Return an event's details as the triggers of migration 0004 write them."""
    return {
        "kind": KIND[invoice.type],
        "type": invoice.type,
        "number": invoice.number,
        "reference": invoice.reference,
        "contact": invoice.contact_name,
        "contact_id": str(invoice.contact_xero_id or ""),
        "date": _iso(invoice.date),
        "due_date": _iso(invoice.due_date),
        "currency": invoice.currency,
        "total": _cents(invoice.total),
        "amount_due": _cents(invoice.amount_due),
        "status": invoice.status,
    }


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))
