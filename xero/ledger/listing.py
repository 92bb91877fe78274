"""Long lists, cut to what a page can show at the same cost for a thousand rows and for a million.

Pages are numbered and bounded: nobody leafs through 200 of them, and the last ones are the first
ones of the order turned around. A count or a sum under a filter looks at a bounded number of rows;
beyond it the page says "more than". So does an order that no index has under the filter: it is that
of the newest so many rows, and the page says so. (To walk another order's index until the filter
lets enough through takes seconds where the two belong together, as numbers and dates do.)
"""

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

Order = tuple[str, ...]  # names of fields, `-` before them turns them around

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Total:
    """What documents in one currency come to; of payments, those of one direction
    (xero/records/payment_types.py).
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


def window(
    rows: "QuerySet[Row]",
    page: int | None,
    order: Order,
    *,
    base: Order | None = None,
    count: int,
    capped: bool = False,
    size: int = ON_A_PAGE,
) -> "Window[Row]":
    """The page asked for, or the last one there is. With `base`: of the first COUNTED rows in that
    order.
    """
    there = LAST_PAGE if capped else min(LAST_PAGE, max(1, -(-count // size)))
    number = min(page or 1, there)
    start = (number - 1) * size
    if not count:
        return Window([], number, count, capped, size)
    if base in (None, order):
        return Window(
            list(rows.order_by(*order)[start : start + size]), number, count, capped, size
        )
    wanted = _ids(rows.order_by(*base), order, start, size)
    found = rows.model._default_manager.filter(pk__in=wanted).defer("body").order_by(*order)
    return Window(list(found), number, count, capped, size)


def _ids(rows: "QuerySet[Any]", order: Order, start: int, size: int) -> RawSQL:
    """Those of a page in this order, out of the first COUNTED rows of their own."""
    columns = [field.removeprefix("-") for field in order]
    sql, params = rows.values_list(*columns)[:COUNTED].query.sql_with_params()
    by = ", ".join(
        f"{name}{' DESC' * field.startswith('-')}"
        for name, field in zip(columns, order, strict=True)
    )
    # Only names of columns, numbers and Django's own SQL are put together here; values stay
    # parameters.
    return RawSQL(f"SELECT id FROM ({sql}) AS d ORDER BY {by} LIMIT {size} OFFSET {start}", params)  # noqa: S608, S611


def order_of(sort: str, sorts: Mapping[str, Order], default: str) -> Order:
    """By `sort` (a name, `-` before it turns it around), then by id in the same direction, as the
    indexes are.
    """
    wanted = sort if sort.removeprefix("-") in sorts else default
    turned = "-" if wanted.startswith("-") else ""
    return tuple(f"{turned}{field}" for field in (*sorts[wanted.removeprefix("-")], "id"))


def sums(
    rows: "QuerySet[Any]", columns: tuple[str, str, str], *, live: str, bound: int = COUNTED
) -> list[Total]:
    """Per currency, of the first `bound` + 1 rows; `live` is the SQL condition of rows whose
    amounts count.

    All types together are one sum, except payments': those are per direction.
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
        return add_up(
            Total(currency, documents, whole, done, open_, describe_type(type).direction)
            for type, currency, documents, whole, done, open_ in cursor.fetchall()
        )


def add_up(totals: Iterable[Total]) -> list[Total]:
    """One for each currency and direction; the most used currency first, in it what was received
    first.
    """
    found: dict[tuple[str, str], Total] = {}
    documents: dict[str, int] = {}
    for one in totals:
        key = one.currency, one.direction
        known = found.get(key)
        found[key] = one if known is None else known.plus(one)
        documents[one.currency] = documents.get(one.currency, 0) + one.documents
    return sorted(
        found.values(),
        key=lambda one: (-documents[one.currency], one.currency, DIRECTIONS.index(one.direction)),
    )


def _sum(column: str, live: str) -> str:
    return f"coalesce(sum({column}) FILTER (WHERE {live}), 0)"
