"""Queries of the pages about deliveries. An agency sees only those that report on its clients."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Now

from connections.events import ReportedEvent, UnparsableDelivery
from connections.integrations import registry
from connections.models import Connection, Delivery, Event, Mention, Refusal
from taskjuice.workspaces.gate import Scope

ON_A_PAGE = 50
SHOWN_BYTES = 100_000
CHECK = "intent to receive"
VERDICTS = {
    "valid": "Valid",
    "no subscriber": "No subscriber",
    "duplicate": "Duplicate",
    CHECK: "Intent to receive",
    "failed": "Failed",
}


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery of the list; counts and clients are of this scope's connections only."""

    delivery: Delivery
    events: list[Event]
    mentions: list[Mention]

    @property
    def clients(self) -> list[str]:
        return sorted({mention.workspace.name for mention in self.mentions})

    @property
    def changes(self) -> list[str]:
        return sorted({f"{event.category.title()} {event.type.lower()}d" for event in self.events})

    @property
    def told(self) -> int:
        return sum(mention.events for mention in self.mentions)

    @property
    def activations(self) -> int | None:
        return _count_started(self.mentions)

    @property
    def repeated(self) -> int:
        """Return how many events an earlier delivery, or a catch-up read, had reported already."""
        return sum(mention.events - mention.fresh for mention in self.mentions)


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    rows: list[DeliveryRow]
    older: int | None  # pass it as `before` to go on


@dataclass(frozen=True, slots=True)
class DeliveryDetail:
    """One delivery as this scope may see it: what would reveal other tenants in it is left out."""

    delivery: Delivery
    events: list[Event]
    repeats: list[Event]  # named in the body, but stored before: they say which delivery was first
    activations: int | None
    reason: str
    size: int | None  # bytes
    took: timedelta | None  # from received to worked through
    body: str
    shared: (
        bool  # it reports on organisations outside this agency too, so the raw body stays hidden
    )
    cut: bool


def get_page(scope: Scope, *, verdict: str = "", before: int | None = None) -> DeliveryPage:
    """Return the newest deliveries older than id `before`."""
    ids = _list_newest_ids(scope, verdict, before)
    deliveries = list(Delivery.objects.filter(pk__in=ids).defer("body").order_by("-pk"))
    shown = deliveries[:ON_A_PAGE]
    events: dict[int | None, list[Event]] = {}
    for event in _list_events(scope).filter(delivery__in=shown):
        events.setdefault(event.delivery_id, []).append(event)
    mentions: dict[int, list[Mention]] = {}
    for mention in _list_mentions(scope).filter(delivery__in=shown).select_related("workspace"):
        mentions.setdefault(mention.delivery_id, []).append(mention)
    rows = [DeliveryRow(one, events.get(one.pk, []), mentions.get(one.pk, [])) for one in shown]
    return DeliveryPage(rows, shown[-1].pk if len(deliveries) > ON_A_PAGE else None)


def _list_newest_ids(scope: Scope, verdict: str, before: int | None) -> list[int]:
    """Return the ids of a page and one more, each half by its own index."""
    told, checks = _list_mentions(scope), Delivery.objects.filter(verdict=CHECK)
    if before is not None:
        told, checks = told.filter(delivery__lt=before), checks.filter(pk__lt=before)
    if verdict:
        told = told.filter(delivery__verdict=verdict)
    ids = told.order_by("-delivery_id").values_list("delivery_id", flat=True).distinct()
    found = set(ids[: ON_A_PAGE + 1])
    if scope.workspace is None and verdict in {"", CHECK}:
        found.update(checks.order_by("-pk").values_list("pk", flat=True)[: ON_A_PAGE + 1])
    return sorted(found, reverse=True)[: ON_A_PAGE + 1]


def list_visible(scope: Scope) -> QuerySet[Delivery]:
    """List deliveries that report on this scope; the agency also sees Xero's checks, which name no
    one.
    """
    ours = Exists(_list_mentions(scope).filter(delivery=OuterRef("pk")))
    checks = Q() if scope.workspace else Q(verdict=CHECK)
    return Delivery.objects.filter(Q(ours) | checks if checks else Q(ours))


def get_detail(scope: Scope, pk: int) -> DeliveryDetail | None:
    delivery = list_visible(scope).filter(pk=pk).first()
    if delivery is None:
        return None
    body = bytes(delivery.body)
    shared = _is_shared(scope, delivery)
    return DeliveryDetail(
        delivery=delivery,
        events=list(_list_events(scope).filter(delivery=delivery)),
        repeats=_list_repeats(scope, delivery),
        activations=_count_started(list(_list_mentions(scope).filter(delivery=delivery))),
        reason="" if shared else delivery.reason,
        size=None if shared else len(body),
        took=delivery.processed_at - delivery.received_at if delivery.processed_at else None,
        body="" if shared else body[:SHOWN_BYTES].decode("utf-8", "replace"),
        shared=shared,
        cut=len(body) > SHOWN_BYTES,
    )


def _list_repeats(scope: Scope, delivery: Delivery) -> list[Event]:
    """List the events of a delivery that were known when it came."""
    if not any(
        mention.events > mention.fresh
        for mention in _list_mentions(scope).filter(delivery=delivery)
    ):
        return []
    read = registry.webhooks[delivery.provider].parse(bytes(delivery.body))
    told = [event for event in read if isinstance(event, ReportedEvent)]
    stored = _list_events(scope).filter(resource_id__in={event.resource_id for event in told})
    named = {(e.tenant_id, e.category, e.resource_id, e.type, e.occurred_at) for e in told}
    return [
        event
        for event in stored.filter(occurred_at__in={event.occurred_at for event in told})
        if event.delivery_id != delivery.pk
        and (
            event.connection.tenant_id,
            event.category,
            event.resource_id,
            event.type,
            event.occurred_at,
        )
        in named
    ]


def list_events_to_replay(scope: Scope, delivery: Delivery) -> list[Event]:
    return list(_list_events(scope).filter(delivery=delivery))


def list_events_between(scope: Scope, since: datetime, until: datetime) -> QuerySet[Event]:
    """List what was reported in this period, or found by reading, oldest first."""
    return (
        _list_events(scope)
        .filter(received_at__gte=since, received_at__lt=until)
        .order_by("received_at", "pk")
    )


def count_recent_verdicts() -> list[tuple[str, int]]:
    """Count the whole app's deliveries of the last 24 hours by verdict, the most frequent first."""
    lately = Delivery.objects.filter(received_at__gt=Now() - timedelta(hours=24))
    counted = (
        lately.values_list("verdict").annotate(number=Count("pk")).order_by("-number", "verdict")
    )
    return list(counted)


def count_recent_recoveries(scope: Scope) -> dict[str, Any]:
    """Count the changes of the last 7 days that reading found and no webhook reported.

    Returns their `number` and the latest's `at`.
    """
    found = Event.objects.filter(
        recovered=True, received_at__gt=Now() - timedelta(days=7), workspace__in=scope.workspaces
    )
    return found.aggregate(number=Count("pk"), at=Max("received_at"))


def count_recent_refusals() -> int:
    """Count the whole app's requests with a wrong signature in the last 24 hours."""
    counted: dict[str, Any] = Refusal.objects.filter(
        minute__gt=Now() - timedelta(hours=24)
    ).aggregate(n=Sum("count"))
    return counted["n"] or 0


def _list_events(scope: Scope) -> QuerySet[Event]:
    return (
        Event.objects.filter(workspace__in=scope.workspaces)
        .select_related("workspace", "connection")
        .order_by("occurred_at", "pk")
    )


def _list_mentions(scope: Scope) -> QuerySet[Mention]:
    """List the mentions of the scope, by the index of the agency or of the workspace."""
    if scope.workspace is not None:
        return Mention.objects.filter(workspace=scope.workspace)
    return Mention.objects.filter(agency=scope.agency)


def _count_started(mentions: Sequence[Mention]) -> int | None:
    """Sum up the activations of these shares; None where one of them was never counted."""
    counts = [mention.activations for mention in mentions]
    return None if None in counts else sum(count or 0 for count in counts)


def _is_shared(scope: Scope, delivery: Delivery) -> bool:
    """Return whether the body names anything that this scope does not see.

    The body decides, because no deletion changes it: rows of other tenants go with their client,
    while the name of their organisation stays in the body.
    """
    if delivery.verdict == CHECK:
        return False
    body = bytes(delivery.body)
    try:
        reported = registry.webhooks[delivery.provider].parse(body)
    except UnparsableDelivery:
        return True
    visible = set(
        Connection.objects.filter(
            pk__in=_list_mentions(scope).filter(delivery=delivery).values("connection")
        ).values_list("tenant_id", flat=True)
    )
    return any(
        not isinstance(one, ReportedEvent) or one.tenant_id not in visible for one in reported
    )
