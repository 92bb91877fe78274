"""The cards of the home pages. Each reads the database when it is drawn."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

from django.contrib.postgres.fields import ArrayField
from django.core.cache import caches
from django.db.models import (
    Case,
    Count,
    DateTimeField,
    F,
    Func,
    IntegerField,
    OuterRef,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from connections import queries as connection_queries
from connections.models import Budget, Connection, ConnectionState
from taskjuice.site.attention import here, place_url
from taskjuice.workspaces.gate import Scope
from workflows.models import Activation
from xero.ageing.queries import Aged, read_table
from xero.ageing.scope import list_organisations
from xero.ageing.statements import AgeingCriteria
from xero.ledger.queries import SALE

SHOWN = 8
WORST = 5
DAYS, HOURS = 7, 24
HOUR = timedelta(hours=1)
WORST_FIRST = {ConnectionState.ERROR: 0, ConnectionState.PENDING: 1, ConnectionState.ACTIVE: 2}
PAST_SECONDS = 60
Counted = tuple[datetime, str, int]
GOOD, BAD = ("succeeded", "stopped"), ("failed", "unknown")


@dataclass(frozen=True, slots=True)
class Bar:
    """The activations started in one hour, or on one day of the person's calendar."""

    start: date
    good: int = 0
    bad: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        return self.good + self.bad + self.other


@dataclass(frozen=True, slots=True)
class Chart:
    """The last days or hours; the present one is last."""

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
    """The amounts that customers owe.

    All of the most used currency, the most overdue contacts in it, and the other currencies.
    """

    aged: Aged
    worst: list[Aged]
    others: list[Aged]


class Cards:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    @cached_property
    def connections(self) -> list[connection_queries.ConnectionRow]:
        """Return living connections: those with problems first, then those with the fewest calls
        left today.
        """
        rank = Case(
            *(When(state=state, then=Value(place)) for state, place in WORST_FIRST.items()),
            default=Value(3),
            output_field=IntegerField(),
        )
        budget = Budget.objects.filter(
            provider=OuterRef("provider"), tenant_id=OuterRef("tenant_id")
        )
        used = Coalesce(Subquery(budget.filter(day_ends__gt=Now()).values("day_used")), 0)
        living = here(Connection.objects.exclude(state=ConnectionState.REVOKED), self.scope)
        first = living.select_related("workspace", "grant").order_by(
            rank, -used, "workspace__name", "id"
        )
        return connection_queries.build_rows(list(first[:SHOWN]))

    @cached_property
    def activations(self) -> list[Activation]:
        """Return the newest activations."""
        rows = here(Activation.objects.all(), self.scope)
        return list(rows.select_related("workspace").order_by("-id")[:SHOWN])

    @cached_property
    def week(self) -> Chart:
        """Return the chart of the last days of the person's calendar."""
        return Chart([self._bar(day, *_bounds(day)) for day in _days()])

    @cached_property
    def day(self) -> Chart:
        return Chart([self._bar(timezone.localtime(hour), hour, hour + HOUR) for hour in _hours()])

    def _bar(self, shown: date, start: datetime, end: datetime) -> Bar:
        good = bad = other = 0
        for mark, state, number in self._counted:
            if start <= mark < end:
                good += number * (state in GOOD)
                bad += number * (state in BAD)
                other += number * (state not in GOOD + BAD)
        return Bar(shown, good, bad, other)

    @cached_property
    def _counted(self) -> list[Counted]:
        """Count the activations of each state from each start of an hour or a day on, once.

        Days before yesterday are counted once a minute: only late runs and replays still change
        them.
        """
        days, hours = [_bounds(day)[0] for day in _days()], _hours()
        past, lately = days[:-2], sorted({*days[-2:], *hours})
        of_whom = (self.scope.agency.pk, self.scope.workspace.pk if self.scope.workspace else 0)
        key = ":".join(str(int(part)) for part in (*of_whom, *(day.timestamp() for day in past)))
        before = caches["process"].get_or_set(
            f"activations:{key}", lambda: self._count(past, until=lately[0]), PAST_SECONDS
        )
        return [*(before or []), *self._count(lately)]

    def _count(self, marks: list[datetime], until: datetime | None = None) -> list[Counted]:
        since = Func(
            F("created_at"),
            Value(marks, output_field=ArrayField(DateTimeField())),
            function="width_bucket",
            output_field=IntegerField(),
        )
        rows = here(Activation.objects.filter(created_at__gte=marks[0]), self.scope)
        if until is not None:
            rows = rows.filter(created_at__lt=until)
        counted = rows.values_list(since, "state").annotate(number=Count("*"))
        return [(marks[place - 1], state, number) for place, state, number in counted]

    @cached_property
    def owed(self) -> Owed | None:
        organisations = list_organisations(self.scope)
        by = "client" if self.scope.workspace is None else "contact"
        criteria = AgeingCriteria(SALE, organisations.today, today=True)
        table = read_table(organisations, criteria, by, size=WORST)
        if not table.totals:
            return None
        aged, *others = table.totals
        return Owed(aged, [row for row in table.window.rows if row.overdue], others)

    @property
    def receivables_href(self) -> str:
        return place_url(self.scope, "xero:receivables")

    @property
    def connections_href(self) -> str:
        return place_url(self.scope, "connections:connection-list")

    @property
    def activations_href(self) -> str:
        return place_url(self.scope, "workflows:activation-list")


def _days() -> list[date]:
    today = timezone.localdate()
    return [today - timedelta(days=back) for back in reversed(range(DAYS))]


def _hours() -> list[datetime]:
    """Return the hours in UTC, so that an hour that a clock repeats is two bars."""
    this_hour = timezone.localtime().replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    return [this_hour - back * HOUR for back in reversed(range(HOURS))]


def _bounds(day: date) -> tuple[datetime, datetime]:
    """Return when the day begins and ends in the person's zone."""
    zone = timezone.get_current_timezone()
    return datetime.combine(day, time.min, zone), datetime.combine(
        day + timedelta(days=1), time.min, zone
    )
