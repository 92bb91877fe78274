"""Long lists, cut to what a page can show at the same cost for a thousand rows and for a million.

Pages are numbered and bounded: people do not leaf through 200 of them, and the last ones are the
first ones of the reverse order. A count or a sum under a filter looks at a bounded number of rows;
beyond it the page says "more than". So does an order that no index has under the filter: it is that
of the newest so many rows, and the page says so. (To walk another order's index until the filter
lets enough through takes seconds where the two belong together, as numbers and dates do.)
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Generic, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connection as database
from django.db.models import Model, QuerySet
from django.db.models.expressions import RawSQL

from xero.records.payment_types import PAID, RECEIVED, describe_type

ON_A_PAGE = 50
LAST_PAGE = 200
COUNTED = ON_A_PAGE * LAST_PAGE  # rows that a filter's count, sums and order look at

DIRECTIONS = (RECEIVED, PAID, "")

Order = tuple[str, ...]  # names of fields, with a leading `-` for descending

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of documents in one currency, or of payments of one direction in one currency.

    Directions are those of xero/records/payment_types.py.
    """

    currency: str
    documents: int
    total: Decimal
    paid: Decimal
    due: Decimal
    direction: str = ""

    def plus(self, other: "Total") -> "Total":
        return replace(
            self,
            documents=self.documents + other.documents,
            total=self.total + other.total,
            paid=self.paid + other.paid,
            due=self.due + other.due,
        )


@dataclass(frozen=True, slots=True)
class Window(Generic[Row]):
    """One page of a list. `capped`: there are more than `count`."""

    rows: Sequence[Row]
    number: int
    count: int
    capped: bool = False
    size: int = ON_A_PAGE

    @property
    def first(self) -> int:
        return (self.number - 1) * self.size + 1 if self.rows else 0

    @property
    def last(self) -> int:
        return (self.number - 1) * self.size + len(self.rows)

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def following(self) -> int | None:
        more = self.capped or self.last < self.count
        return (
            self.number + 1
            if more and len(self.rows) == self.size and self.number < LAST_PAGE
            else None
        )

    @property
    def is_end_of_paging(self) -> bool:
        return self.number == LAST_PAGE and (self.capped or self.last < self.count)


def read_window(
    rows: "QuerySet[Row]",
    page: int | None,
    order: Order,
    *,
    base: Order | None = None,
    count: int,
    capped: bool = False,
    size: int = ON_A_PAGE,
) -> "Window[Row]":
    """Return the given page, or the last page if there are fewer.

    With a `base` order, only the first COUNTED rows in that order take part.
    """
    last_page = LAST_PAGE if capped else min(LAST_PAGE, max(1, -(-count // size)))
    number = min(page or 1, last_page)
    start = (number - 1) * size
    if not count:
        return Window([], number, count, capped, size)
    if base in (None, order):
        return Window(
            list(rows.order_by(*order)[start : start + size]), number, count, capped, size
        )
    ids = _select_page_ids(rows.order_by(*base), order, start, size)
    page_rows = rows.model._default_manager.filter(pk__in=ids).defer("body").order_by(*order)
    return Window(list(page_rows), number, count, capped, size)


def _select_page_ids(rows: "QuerySet[Any]", order: Order, start: int, size: int) -> RawSQL:
    """Select the ids of one page in `order` from the first COUNTED rows of the queryset."""
    columns = [field.removeprefix("-") for field in order]
    sql, params = rows.values_list(*columns)[:COUNTED].query.sql_with_params()
    by = ", ".join(
        f"{name}{' DESC' * field.startswith('-')}"
        for name, field in zip(columns, order, strict=True)
    )
    # Only names of columns, numbers and Django's own SQL are put together here; values stay
    # parameters.
    statement = f"SELECT id FROM ({sql}) AS d ORDER BY {by}"  # noqa: S608
    return RawSQL(f"{statement} LIMIT {size} OFFSET {start}", params)  # noqa: S611


def resolve_order(sort: str, sorts: Mapping[str, Order], default: str) -> Order:
    """Return the fields for `sort`: a key of `sorts`, with a leading `-` for descending."""
    valid_sort = sort if sort.removeprefix("-") in sorts else default
    sign = "-" if valid_sort.startswith("-") else ""
    # The id comes last and in the same direction, as in the indexes, which are read backwards too.
    return tuple(f"{sign}{field}" for field in (*sorts[valid_sort.removeprefix("-")], "id"))


def sum_by_currency(
    rows: "QuerySet[Any]", columns: tuple[str, str, str], *, live: str, bound: int = COUNTED
) -> list[Total]:
    """Return the totals per currency of the first `bound` + 1 rows, for payments per direction too.

    `columns` hold total, paid and due ("0" for none). `live` is the SQL condition for the rows
    whose amounts count; all rows are counted.
    """
    total, paid, due = columns
    names = ("currency", "status", "type", *dict.fromkeys(name for name in columns if name != "0"))
    try:
        sql, params = rows.values_list(*names)[: bound + 1].query.sql_with_params()
    except EmptyResultSet:  # Django knows without asking that nothing fits
        return []
    # Only names of columns and Django's own SQL are put together here; values stay parameters.
    statement = f"""
        SELECT type, currency, count(*), {_sum(total, live)}, {_sum(paid, live)}, {_sum(due, live)}
          FROM ({sql}) AS d GROUP BY currency, type
    """  # noqa: S608
    with database.cursor() as cursor:
        cursor.execute(statement, params)
        return merge_totals(
            Total(currency, documents, total_sum, paid_sum, due_sum, describe_type(type).direction)
            for type, currency, documents, total_sum, paid_sum, due_sum in cursor.fetchall()
        )


def merge_totals(totals: Iterable[Total]) -> list[Total]:
    """Return one total per currency and direction.

    The currency of most documents comes first, and within a currency what was received.
    """
    merged: dict[tuple[str, str], Total] = {}
    documents: Counter[str] = Counter()
    for total in totals:
        key = total.currency, total.direction
        merged[key] = merged[key].plus(total) if key in merged else total
        documents[total.currency] += total.documents

    def rank(total: Total) -> tuple[int, str, int]:
        return -documents[total.currency], total.currency, DIRECTIONS.index(total.direction)

    return sorted(merged.values(), key=rank)


def _sum(column: str, live: str) -> str:
    return f"coalesce(sum({column}) FILTER (WHERE {live}), 0)"
