"""What the home pages show, card by card. Each is asked of the database when its card is drawn."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

from django.db.models import Case, Count, IntegerField, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce, Now, TruncDate, TruncHour
from django.utils import timezone

from connections import queries as connection_queries
from connections.models import Budget, Connection, ConnectionState
from taskjuice.site.attention import Attention, here, place_url
from taskjuice.workspaces.gate import Scope
from workflows.models import Activation
from xero.ageing import books
from xero.ageing import queries as ageing
from xero.ageing.queries import Aged, Owing
from xero.ledger.queries import SALE

SHOWN = 8
WORST = 5
DAYS, HOURS = 7, 24
WORST_FIRST = {ConnectionState.ERROR: 0, ConnectionState.PENDING: 1, ConnectionState.ACTIVE: 2}
GOOD, BAD = Q(state__in=("succeeded", "stopped")), Q(state__in=("failed", "unknown"))


@dataclass(frozen=True, slots=True)
class Bar:
    """Activations started in one hour, or on one day of the person's calendar."""

    start: date
    good: int = 0
    bad: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        return self.good + self.bad + self.other


@dataclass(frozen=True, slots=True)
class Chart:
    """The last days or hours, the running one last."""

    bars: list[Bar]

    @property
    def total(self) -> int:
        return sum(bar.total for bar in self.bars)

    @property
    def bad(self) -> int:
        return sum(bar.bad for bar in self.bars)

    @property
    def highest(self) -> int:
        return max(bar.total for bar in self.bars)


@dataclass(frozen=True, slots=True)
class Owed:
    """What customers owe: all of the most used currency, who is most overdue in it, and the other currencies."""

    aged: Aged
    worst: list[Aged]
    others: list[Aged]


class Cards:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.attention = Attention(scope)

    @cached_property
    def connections(self) -> list[connection_queries.Row]:
        """Living connections: those that need a person first, then those with the fewest calls left today."""
        rank = Case(
            *(When(state=state, then=Value(place)) for state, place in WORST_FIRST.items()),
            default=Value(3),
            output_field=IntegerField(),
        )
        budget = Budget.objects.filter(provider=OuterRef("provider"), tenant_id=OuterRef("tenant_id"))
        used = Coalesce(Subquery(budget.filter(day_ends__gt=Now()).values("day_used")), 0)
        living = here(Connection.objects.exclude(state=ConnectionState.REVOKED), self.scope)
        first = living.select_related("workspace", "grant").order_by(rank, -used, "workspace__name", "id")
        return connection_queries.rows(list(first[:SHOWN]))

    @cached_property
    def activations(self) -> list[Activation]:
        """The newest ones."""
        rows = here(Activation.objects.all(), self.scope)
        return list(rows.select_related("workspace").order_by("-id")[:SHOWN])

    @cached_property
    def week(self) -> Chart:
        today = timezone.localdate()
        days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
        since = datetime.combine(days[0], time.min, timezone.get_current_timezone())
        found = self._counted(since, TruncDate("created_at", tzinfo=timezone.get_current_timezone()))
        return Chart([found.get(day, Bar(day)) for day in days])

    @cached_property
    def day(self) -> Chart:
        zone = timezone.get_current_timezone()
        this_hour = timezone.localtime().replace(minute=0, second=0, microsecond=0)
        # Counted in UTC, so that an hour that a clock repeats is two bars.
        hours = [(this_hour.astimezone(UTC) - timedelta(hours=back)) for back in reversed(range(HOURS))]
        found = self._counted(hours[0], TruncHour("created_at", tzinfo=UTC))
        bars = [found.get(hour, Bar(hour)) for hour in hours]
        return Chart(
            [replace(bar, start=hour.astimezone(zone)) for bar, hour in zip(bars, hours, strict=True)]
        )

    def _counted(self, since: datetime, unit: TruncDate | TruncHour) -> dict[date, Bar]:
        """Activations since then by day or hour."""
        counted = (
            here(Activation.objects.filter(created_at__gte=since), self.scope)
            .annotate(start=unit)
            .values_list("start")
            .annotate(good=Count("id", GOOD), bad=Count("id", BAD), other=Count("id", ~GOOD & ~BAD))
        )
        return {start: Bar(start, good, bad, other) for start, good, bad, other in counted}

    @cached_property
    def owed(self) -> Owed | None:
        there = books.of(self.scope)
        owing = Owing(SALE, there.today)
        totals = ageing.totals(there, owing)
        if not totals:
            return None
        aged, *others = totals
        by = "client" if self.scope.workspace is None else "contact"
        window = ageing.rows(there, replace(owing, currency=aged.currency), by, size=WORST)
        return Owed(aged, [row for row in window.rows if row.overdue], others)

    @property
    def receivables_href(self) -> str:
        return place_url(self.scope, "xero:receivables")

    @property
    def connections_href(self) -> str:
        return place_url(self.scope, "connections:connection-list")

    @property
    def activations_href(self) -> str:
        return place_url(self.scope, "workflows:activation-list")
