"""What the pages about deliveries show. An agency sees the deliveries that report on its clients, and no others."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Now

from connections.models import Delivery, Event, Refusal
from taskjuice.workspaces.gate import Scope

ON_A_PAGE = 50
SHOWN_BYTES = 100_000
VERDICTS = {
    "valid": "Valid",
    "no subscriber": "No subscriber",
    "duplicate": "Duplicate",
    "intent to receive": "Intent to receive",
    "failed": "Failed",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One delivery as the list shows it; counts and clients are of this agency's events only."""

    delivery: Delivery
    events: list[Event]

    @property
    def clients(self) -> list[str]:
        return sorted({event.workspace.name for event in self.events})

    @property
    def changes(self) -> list[str]:
        return sorted({f"{event.category.title()} {event.type.lower()}d" for event in self.events})


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Row]
    older: int | None  # pass it as `before` to go on


@dataclass(frozen=True, slots=True)
class Detail:
    delivery: Delivery
    events: list[Event]
    size: int  # bytes
    took: timedelta | None  # from received to worked through
    body: str
    shared: bool  # it reports on organisations outside this agency too, so the raw body stays hidden
    cut: bool


def page(scope: Scope, *, verdict: str = "", before: int | None = None) -> Page:
    """The newest deliveries older than id `before`."""
    found = visible(scope).defer("body")
    if verdict:
        found = found.filter(verdict=verdict)
    if before is not None:
        found = found.filter(pk__lt=before)
    deliveries = list(found.order_by("-pk")[: ON_A_PAGE + 1])
    shown = deliveries[:ON_A_PAGE]
    events: dict[int | None, list[Event]] = {}
    for event in _events(scope).filter(delivery__in=shown):
        events.setdefault(event.delivery_id, []).append(event)
    rows = [Row(delivery, events.get(delivery.pk, [])) for delivery in shown]
    return Page(rows, shown[-1].pk if len(deliveries) > ON_A_PAGE else None)


def visible(scope: Scope) -> QuerySet[Delivery]:
    """Deliveries with an event of this scope; the agency also sees Xero's checks, which name nobody."""
    ours = Exists(Event.objects.filter(delivery=OuterRef("pk"), workspace__in=scope.workspaces))
    checks = Q() if scope.workspace else Q(verdict="intent to receive")
    return Delivery.objects.filter(Q(ours) | checks if checks else Q(ours))


def detail(scope: Scope, pk: int) -> Detail | None:
    delivery = visible(scope).filter(pk=pk).first()
    if delivery is None:
        return None
    body = bytes(delivery.body)
    shared = _is_shared(scope, delivery)
    return Detail(
        delivery=delivery,
        events=list(_events(scope).filter(delivery=delivery)),
        size=len(body),
        took=delivery.processed_at - delivery.received_at if delivery.processed_at else None,
        body="" if shared else body[:SHOWN_BYTES].decode("utf-8", "replace"),
        shared=shared,
        cut=len(body) > SHOWN_BYTES,
    )


def events_to_replay(scope: Scope, delivery: Delivery) -> list[Event]:
    return list(_events(scope).filter(delivery=delivery))


def refused_lately() -> int:
    """Requests with a wrong signature in the last 24 hours, of the whole app."""
    counted: dict[str, Any] = Refusal.objects.filter(minute__gt=Now() - timedelta(hours=24)).aggregate(
        n=Sum("count")
    )
    return counted["n"] or 0


def _events(scope: Scope) -> QuerySet[Event]:
    return (
        Event.objects.filter(workspace__in=scope.workspaces)
        .select_related("workspace", "connection")
        .order_by("occurred_at", "pk")
    )


def _is_shared(scope: Scope, delivery: Delivery) -> bool:
    inside = scope.workspaces if scope.workspace else scope.agency.workspaces.all()
    others = Event.objects.filter(delivery=delivery).exclude(workspace__in=inside)
    return others.exists() or delivery.strays.exists()
