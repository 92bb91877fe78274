"""What the home pages show, card by card. Each is asked of the database when its card is drawn."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property

from django.db.models import Case, Count, IntegerField, Q, Value, When
from django.db.models.functions import TruncDate
from django.utils import timezone

from connections import queries as connection_queries
from connections.models import Connection, ConnectionState
from taskjuice.site.attention import Attention, here, place_url
from taskjuice.workspaces.gate import Scope
from workflows.models import Activation

SHOWN = 8
DAYS = 7
WORST_FIRST = {ConnectionState.ERROR: 0, ConnectionState.PENDING: 1, ConnectionState.ACTIVE: 2}
GOOD, BAD = Q(state__in=("succeeded", "stopped")), Q(state__in=("failed", "unknown"))


@dataclass(frozen=True, slots=True)
class Day:
    """Activations started on one day of the person's calendar."""

    date: date
    good: int = 0
    bad: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        return self.good + self.bad + self.other


@dataclass(frozen=True, slots=True)
class Week:
    """The last seven days, today last."""

    days: list[Day]

    @property
    def total(self) -> int:
        return sum(day.total for day in self.days)

    @property
    def bad(self) -> int:
        return sum(day.bad for day in self.days)

    @property
    def highest(self) -> int:
        return max(day.total for day in self.days)


class Cards:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.attention = Attention(scope)

    @cached_property
    def connections(self) -> list[connection_queries.Row]:
        """Living connections, those that need a person first."""
        rank = Case(
            *(When(state=state, then=Value(place)) for state, place in WORST_FIRST.items()),
            default=Value(3),
            output_field=IntegerField(),
        )
        living = here(Connection.objects.exclude(state=ConnectionState.REVOKED), self.scope)
        first = living.select_related("workspace", "grant").order_by(rank, "workspace__name", "id")[:SHOWN]
        return connection_queries.rows(list(first))

    @cached_property
    def activations(self) -> list[Activation]:
        """The newest ones."""
        rows = here(Activation.objects.all(), self.scope)
        return list(rows.select_related("workspace").order_by("-id")[:SHOWN])

    @cached_property
    def week(self) -> Week:
        zone = timezone.get_current_timezone()
        today = timezone.localdate()
        days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
        since = datetime.combine(days[0], time.min, zone)
        counted = (
            here(Activation.objects.filter(created_at__gte=since), self.scope)
            .annotate(day=TruncDate("created_at", tzinfo=zone))
            .values_list("day")
            .annotate(good=Count("id", GOOD), bad=Count("id", BAD), other=Count("id", ~GOOD & ~BAD))
        )
        found = {day: Day(day, good, bad, other) for day, good, bad, other in counted}
        return Week([found.get(day, Day(day)) for day in days])

    @property
    def connections_href(self) -> str:
        return place_url(self.scope, "connections:connection-list")

    @property
    def activations_href(self) -> str:
        return place_url(self.scope, "workflows:activation-list")
