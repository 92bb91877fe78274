"""What the pages about deliveries show. An agency sees the deliveries that report on its clients,
and no others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Now

from connections.integrations import ReportedEvent, UnparsableDelivery, registry
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
class Row:
    """One delivery as the list shows it; counts and clients are of this scope's connections only."""

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
        return _started(self.mentions)

    @property
    def repeated(self) -> int:
        """Events that an earlier delivery, or a catch-up read, had told already."""
        return sum(mention.events - mention.fresh for mention in self.mentions)


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Row]
    older: int | None  # pass it as `before` to go on


@dataclass(frozen=True, slots=True)
class Detail:
    """One delivery as this scope may see it: what would tell of others in the same delivery is left
    out.
    """

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


def page(scope: Scope, *, verdict: str = "", before: int | None = None) -> Page:
    """The newest deliveries older than id `before`."""
    ids = _newest(scope, verdict, before)
    deliveries = list(Delivery.objects.filter(pk__in=ids).defer("body").order_by("-pk"))
    shown = deliveries[:ON_A_PAGE]
    events: dict[int | None, list[Event]] = {}
    for event in _events(scope).filter(delivery__in=shown):
        events.setdefault(event.delivery_id, []).append(event)
    mentions: dict[int, list[Mention]] = {}
    for mention in _mentions(scope).filter(delivery__in=shown).select_related("workspace"):
        mentions.setdefault(mention.delivery_id, []).append(mention)
    rows = [Row(one, events.get(one.pk, []), mentions.get(one.pk, [])) for one in shown]
    return Page(rows, shown[-1].pk if len(deliveries) > ON_A_PAGE else None)


def _newest(scope: Scope, verdict: str, before: int | None) -> list[int]:
    """The ids of a page and one more, each half by its own index."""
    told, checks = _mentions(scope), Delivery.objects.filter(verdict=CHECK)
    if before is not None:
        told, checks = told.filter(delivery__lt=before), checks.filter(pk__lt=before)
    if verdict:
        told = told.filter(delivery__verdict=verdict)
    ids = told.order_by("-delivery_id").values_list("delivery_id", flat=True).distinct()
    found = set(ids[: ON_A_PAGE + 1])
    if scope.workspace is None and verdict in {"", CHECK}:
        found.update(checks.order_by("-pk").values_list("pk", flat=True)[: ON_A_PAGE + 1])
    return sorted(found, reverse=True)[: ON_A_PAGE + 1]


def visible(scope: Scope) -> QuerySet[Delivery]:
    """Deliveries that report on this scope; the agency also sees Xero's checks, which name nobody."""
    ours = Exists(_mentions(scope).filter(delivery=OuterRef("pk")))
    checks = Q() if scope.workspace else Q(verdict=CHECK)
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
        repeats=_repeats(scope, delivery),
        activations=_started(list(_mentions(scope).filter(delivery=delivery))),
        reason="" if shared else delivery.reason,
        size=None if shared else len(body),
        took=delivery.processed_at - delivery.received_at if delivery.processed_at else None,
        body="" if shared else body[:SHOWN_BYTES].decode("utf-8", "replace"),
        shared=shared,
        cut=len(body) > SHOWN_BYTES,
    )


def _repeats(scope: Scope, delivery: Delivery) -> list[Event]:
    """The events of a delivery that were known when it came."""
    if not any(
        mention.events > mention.fresh for mention in _mentions(scope).filter(delivery=delivery)
    ):
        return []
    read = registry.webhooks[delivery.provider].parse(bytes(delivery.body))
    told = [event for event in read if isinstance(event, ReportedEvent)]
    stored = _events(scope).filter(resource_id__in={event.resource_id for event in told})
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


def events_to_replay(scope: Scope, delivery: Delivery) -> list[Event]:
    return list(_events(scope).filter(delivery=delivery))


def window(scope: Scope, since: datetime, until: datetime) -> QuerySet[Event]:
    """What was reported in this time, or found by reading, oldest first."""
    return (
        _events(scope)
        .filter(received_at__gte=since, received_at__lt=until)
        .order_by("received_at", "pk")
    )


def verdicts_lately() -> list[tuple[str, int]]:
    """Deliveries of the last 24 hours by verdict, of the whole app, the most frequent first."""
    lately = Delivery.objects.filter(received_at__gt=Now() - timedelta(hours=24))
    counted = (
        lately.values_list("verdict").annotate(number=Count("pk")).order_by("-number", "verdict")
    )
    return list(counted)


def recovered_lately(scope: Scope) -> dict[str, Any]:
    """`number` of changes of the last 7 days that no webhook told of but reading found, and the
    latest's `at`.
    """
    found = Event.objects.filter(
        recovered=True, received_at__gt=Now() - timedelta(days=7), workspace__in=scope.workspaces
    )
    return found.aggregate(number=Count("pk"), at=Max("received_at"))


def refused_lately() -> int:
    """Requests with a wrong signature in the last 24 hours, of the whole app."""
    counted: dict[str, Any] = Refusal.objects.filter(
        minute__gt=Now() - timedelta(hours=24)
    ).aggregate(n=Sum("count"))
    return counted["n"] or 0


def _events(scope: Scope) -> QuerySet[Event]:
    return (
        Event.objects.filter(workspace__in=scope.workspaces)
        .select_related("workspace", "connection")
        .order_by("occurred_at", "pk")
    )


def _mentions(scope: Scope) -> QuerySet[Mention]:
    """By the index of the agency or of the workspace."""
    if scope.workspace is not None:
        return Mention.objects.filter(workspace=scope.workspace)
    return Mention.objects.filter(agency=scope.agency)


def _started(mentions: Sequence[Mention]) -> int | None:
    """Activations of these shares of a delivery; None where one of them was never counted."""
    counts = [mention.activations for mention in mentions]
    return None if None in counts else sum(count or 0 for count in counts)


def _is_shared(scope: Scope, delivery: Delivery) -> bool:
    """Whether its body names anything but what this scope sees: told by the body, which no deletion
    changes.

    Rows of others go with their client; what their organisation was called in the body stays.
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
            pk__in=_mentions(scope).filter(delivery=delivery).values("connection")
        ).values_list("tenant_id", flat=True)
    )
    return any(
        not isinstance(one, ReportedEvent) or one.tenant_id not in visible for one in reported
    )
