"""What the six lists share: the rows of a page, the counts of the tabs, and the filters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet

from xero.ledger import search
from xero.ledger.listing import (
    COUNTED,
    ON_A_PAGE,
    Order,
    Row,
    Total,
    Window,
    merge_totals,
    read_window,
)
from xero.ledger.search import WITHOUT_AMOUNTS
from xero.models import Tally
from xero.records.payment_types import describe_type

# The cleaned values of a list's form (forms.py), and `narrow`: whether more than the tab filters.
ListFilters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a list: its rows, the count of each tab, and the totals of the filtered rows.

    `totals` is None if the filter leaves more rows than are summed at once. With `searched` the
    search has reached its limit, so rows may be missing. With `part_ordered` only the newest
    COUNTED rows are in this order.
    """

    window: Window[Any]
    tabs: dict[str, int]
    totals: list[Total] | None = None
    searched: bool = False
    part_ordered: bool = False


def read_tab(filters: ListFilters, tabs: Mapping[str, Any]) -> str:
    tab = str(filters.get("tab") or "")
    return tab if tab in tabs else ""


def filter_between(rows: "QuerySet[Row]", field: str, least: Any, most: Any) -> "QuerySet[Row]":
    if least is not None:
        rows = rows.filter(**{f"{field}__gte": least})
    return rows if most is None else rows.filter(**{f"{field}__lte": most})


def filter_by_term(rows: "QuerySet[Row]", filters: ListFilters) -> "QuerySet[Row]":
    term = search.read_term(filters)
    if not term:
        return rows
    # The search keys of contacts hold the name with single blanks.
    as_name = " ".join(term.split())
    condition = Q(search_key__contains=term)
    if as_name != term:
        condition |= Q(search_key__contains=as_name)
    return rows.filter(condition)


def sum_tallies(tallies: Sequence[Tally]) -> list[Total]:
    """Return the totals of the tallies; voided and deleted documents count without amounts."""
    return merge_totals(_read_total(tally) for tally in tallies if tally.documents)


def _read_total(tally: Tally) -> Total:
    has_amounts = tally.status not in WITHOUT_AMOUNTS or tally.kind == "payment"
    total, paid, due = (tally.total, tally.paid, tally.due) if has_amounts else (Decimal(0),) * 3
    direction = describe_type(tally.type).direction
    return Total(tally.currency, tally.documents, total, paid, due, direction)


def build_listing(
    rows: "QuerySet[Any]",
    filters: ListFilters,
    counts: dict[str, int],
    order: Order,
    base: Order | None = None,
    *,
    totals: list[Total] | None = None,
    searched: bool = False,
    size: int = ON_A_PAGE,
) -> Listing:
    """Return the requested page; without `totals` the rows are counted, up to COUNTED + 1."""
    if totals is not None:
        count = sum(total.documents for total in totals)
    else:
        count = rows.order_by().values("pk")[: COUNTED + 1].count()
    capped = count > COUNTED and (totals is None or filters["narrow"])
    part_ordered = count > COUNTED and base not in (None, order)
    count = min(count, COUNTED) if capped else count
    page = read_window(
        rows, filters.get("page"), order, base=base, count=count, capped=capped, size=size
    )
    return Listing(page, counts, None if capped else totals, searched, part_ordered)
