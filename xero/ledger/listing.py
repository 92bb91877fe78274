"""Long lists, cut to what a page can show at the same cost for a thousand rows and for a million.

Pages are numbered and bounded: nobody leafs through 200 of them, and the last ones are the first ones of the order
turned around. A count or a sum under a filter looks at a bounded number of rows; beyond it the page says "more than".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connection as database
from django.db.models import Model, QuerySet

ON_A_PAGE = 50
LAST_PAGE = 200
COUNTED = 5000  # rows that a filter's count and sums look at

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Total:
    """What documents in one currency come to."""

    currency: str
    documents: int
    total: Decimal
    paid: Decimal
    due: Decimal


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
        return self.number + 1 if more and len(self.rows) == self.size and self.number < LAST_PAGE else None

    @property
    def is_end_of_paging(self) -> bool:
        return self.number == LAST_PAGE and (self.capped or self.last < self.count)


def window(
    rows: "QuerySet[Row]", page: int | None, *, count: int, capped: bool = False, size: int = ON_A_PAGE
) -> "Window[Row]":
    """The page asked for, or the last one there is."""
    there = LAST_PAGE if capped else min(LAST_PAGE, max(1, -(-count // size)))
    number = min(page or 1, there)
    start = (number - 1) * size
    return Window(list(rows[start : start + size]), number, count, capped, size)


def in_order(
    rows: "QuerySet[Row]", sort: str, sorts: Mapping[str, tuple[str, ...]], default: str
) -> "QuerySet[Row]":
    """By `sort` (a name, `-` before it turns it around), then by id in the same direction, as the indexes are."""
    wanted = sort if sort.removeprefix("-") in sorts else default
    turned = "-" if wanted.startswith("-") else ""
    return rows.order_by(*(f"{turned}{field}" for field in (*sorts[wanted.removeprefix("-")], "id")))


def sums(
    rows: "QuerySet[Any]", columns: tuple[str, str, str], *, live: str, bound: int = COUNTED
) -> list[Total]:
    """Per currency, of at most `bound` + 1 rows; `live` is the SQL condition of rows whose amounts count."""
    total, paid, due = columns
    names = ("currency", "status", *dict.fromkeys(name for name in columns if name != "0"))
    try:
        sql, params = rows.order_by().values_list(*names)[: bound + 1].query.sql_with_params()
    except EmptyResultSet:  # Django knows without asking that nothing fits
        return []
    # Only names of columns and Django's own SQL are put together here; values stay parameters.
    statement = f"""
        SELECT currency, count(*), {_sum(total, live)}, {_sum(paid, live)}, {_sum(due, live)}
          FROM ({sql}) AS d GROUP BY currency ORDER BY count(*) DESC, currency
    """  # noqa: S608
    with database.cursor() as cursor:
        cursor.execute(statement, params)
        return [Total(*row) for row in cursor.fetchall()]


def _sum(column: str, live: str) -> str:
    return f"coalesce(sum({column}) FILTER (WHERE {live}), 0)"
