"""Who owes what, and since when: amounts per age, never added across currencies.

What was owed on a day is what is due now on invoices issued by then, plus the payments made after it. What Xero
tells no day of cannot be undone: credits allocated, invoices voided or edited since. A day in the future adds
nothing, it only makes older. Credits that are not allocated to an invoice are not subtracted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection as database

from xero.ageing.books import Book, Books
from xero.ledger.listing import ON_A_PAGE, Window
from xero.ledger.queries import BILL, SALE
from xero.models import Invoice

SIDES = {"sales": SALE, "bills": BILL}
AGES = ("Not due", "1–30 days", "31–60 days", "61–90 days", "Over 90 days")
CHUNK = 2000

# What a row stands for: the columns it is grouped by.
BYS = {
    "client": ("workspace_id",),
    "contact": ("workspace_id", "connection_id", "contact_xero_id"),
    "invoice": ("workspace_id", "connection_id", "contact_xero_id", "id"),
}
KEYS = {"workspace_id": "bigint", "connection_id": "bigint", "contact_xero_id": "uuid", "id": "bigint"}
ORDERS = {
    "client": "array_position(%(workspaces)s::bigint[], workspace_id)",
    "contact": "lower(contact_name)",
    "due": "due",
    "overdue": "b1 + b2 + b3 + b4",
    "total": "total",
    **{f"age{place}": f"b{place}" for place in range(len(AGES))},
}
DEFAULT_ORDERS = {"client": "-overdue", "contact": "-overdue", "invoice": "due"}

OWED = """
WITH owed AS (
    SELECT i.id, i.workspace_id, i.connection_id, i.contact_xero_id, i.contact_name, i.currency,
           coalesce(i.due_date, i.date) AS due, i.amount_due AS amount
      FROM xero_invoice i
     WHERE i.connection_id = ANY(%(connections)s) AND i.type = %(type)s AND i.status = 'AUTHORISED'
       AND i.amount_due > 0 AND {filters}
    UNION ALL
    SELECT i.id, i.workspace_id, i.connection_id, i.contact_xero_id, i.contact_name, i.currency,
           coalesce(i.due_date, i.date), p.amount
      FROM xero_payment p
      JOIN xero_invoice i ON i.connection_id = p.connection_id AND i.xero_id = p.invoice_xero_id
     WHERE p.connection_id = ANY(%(connections)s) AND p.status = 'AUTHORISED' AND p.date > %(on)s
       AND i.type = %(type)s AND i.status IN ('AUTHORISED', 'PAID') AND {filters}
), aged AS (
    SELECT {keys}, currency, min(contact_name) AS contact_name, min(due) AS due, sum(amount) AS total,
           count(*) AS entries,
           coalesce(sum(amount) FILTER (WHERE due IS NULL OR due >= %(on)s), 0) AS b0,
           coalesce(sum(amount) FILTER (WHERE %(on)s - due BETWEEN 1 AND 30), 0) AS b1,
           coalesce(sum(amount) FILTER (WHERE %(on)s - due BETWEEN 31 AND 60), 0) AS b2,
           coalesce(sum(amount) FILTER (WHERE %(on)s - due BETWEEN 61 AND 90), 0) AS b3,
           coalesce(sum(amount) FILTER (WHERE %(on)s - due > 90), 0) AS b4
      FROM owed GROUP BY {grouped} currency
)
SELECT workspace_id, connection_id, contact_xero_id, id, currency, contact_name, due, b0, b1, b2, b3, b4,
       count(*) OVER ()
  FROM aged ORDER BY {order} {limit}
"""


@dataclass(frozen=True, slots=True)
class Owing:
    """Which documents are meant: sales or bills (Xero's type), as of a day, of one contact or of all."""

    type: str
    on: date
    contact: UUID | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What is owed in one age. `place` 0 is not due, 4 the oldest."""

    place: int
    name: str
    amount: Decimal
    whole: Decimal

    @property
    def percent(self) -> int:
        return round(100 * self.amount / self.whole) if self.whole else 0


@dataclass(frozen=True, slots=True)
class Aged:
    """What somebody owes, by age. `late_days`: of the oldest document; 0 when nothing is overdue."""

    currency: str
    amounts: tuple[Decimal, ...]
    due: date | None
    late_days: int
    book: Book | None = None  # the organisation, or one of the client's
    contact_id: UUID | None = None
    contact_name: str = ""
    invoice_id: int | None = None

    @property
    def total(self) -> Decimal:
        return sum(self.amounts, Decimal(0))

    @property
    def overdue(self) -> Decimal:
        return sum(self.amounts[1:], Decimal(0))

    @property
    def overdue_percent(self) -> int:
        return round(100 * self.overdue / self.total) if self.total else 0

    @property
    def parts(self) -> list[Part]:
        whole = self.total
        return [
            Part(place, name, amount, whole)
            for place, (name, amount) in enumerate(zip(AGES, self.amounts, strict=True))
        ]


def totals(books: Books, owing: Owing) -> list[Aged]:
    """Per currency, the most used one first."""
    return [_aged(books, owing, row) for row in _ask(books, owing, (), "entries DESC, currency")]


def rows(
    books: Books,
    owing: Owing,
    by: str,
    *,
    sort: str = "",
    page: int | None = None,
    size: int = ON_A_PAGE,
) -> "Window[Any]":
    """One page of what is owed in `owing.currency`, overdue first; the first page where the asked one is empty."""
    order = _order(by, sort)
    number = page or 1
    found = _ask(books, owing, BYS[by], order, limit=size, offset=(number - 1) * size)
    if not found and number > 1:
        number, found = 1, _ask(books, owing, BYS[by], order, limit=size)
    count = found[0][-1] if found else 0
    return Window([_aged(books, owing, row) for row in found], number, count, size=size)


def every(books: Books, owing: Owing, by: str, sort: str = "") -> Iterator[tuple[Aged, Invoice | None]]:
    """All rows of all currencies, for a file, with their invoices where a row is one."""
    found = [_aged(books, owing, row) for row in _ask(books, owing, BYS[by], f"currency, {_order(by, sort)}")]
    for start in range(0, len(found), CHUNK):
        chunk = found[start : start + CHUNK]
        there = invoices(chunk)
        yield from ((row, there.get(row.invoice_id or 0)) for row in chunk)


def invoices(found: Sequence[Aged]) -> dict[int, Invoice]:
    """The documents of rows that are one each. One query, none where there are none."""
    ids = [row.invoice_id for row in found if row.invoice_id is not None]
    return Invoice.objects.defer("body").in_bulk(ids) if ids else {}


def _ask(
    books: Books, owing: Owing, keys: Sequence[str], order: str, *, limit: int | None = None, offset: int = 0
) -> list[tuple[Any, ...]]:
    # Only names of columns are put together here; values stay parameters.
    statement = OWED.format(
        filters=_filters(owing),
        keys=", ".join(name if name in keys else f"NULL::{type} AS {name}" for name, type in KEYS.items()),
        grouped="".join(f"{name}, " for name in keys),
        order=order,
        limit="LIMIT %(limit)s OFFSET %(offset)s" if limit is not None else "",
    )
    values: dict[str, Any] = {
        "connections": books.connection_ids,
        "workspaces": books.workspace_ids,
        "type": owing.type,
        "on": owing.on,
        "contact": owing.contact,
        "currency": owing.currency,
        "limit": limit,
        "offset": offset,
    }
    with database.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _filters(owing: Owing) -> str:
    found = ["(i.date IS NULL OR i.date <= %(on)s)"]
    if owing.contact is not None:
        found.append("i.contact_xero_id = %(contact)s")
    if owing.currency is not None:
        found.append("i.currency = %(currency)s")
    return " AND ".join(found)


def _order(by: str, sort: str) -> str:
    """Of a list's `?sort=`; equal ones by amount, then by what they are, so that pages do not overlap."""
    wanted = sort if sort.removeprefix("-") in ORDERS else DEFAULT_ORDERS[by]
    direction = "DESC" if wanted.startswith("-") else "ASC"
    return f"{ORDERS[wanted.removeprefix('-')]} {direction} NULLS LAST, total DESC, {', '.join(BYS[by])}"


def _aged(books: Books, owing: Owing, row: tuple[Any, ...]) -> Aged:
    workspace, connection, contact, invoice, currency, name, due, *amounts, _ = row
    book = books.by_connection.get(connection) if connection else books.by_workspace.get(workspace)
    late = (owing.on - due).days if due else 0
    return Aged(currency, tuple(amounts), due, max(0, late), book, contact, name or "", invoice)
