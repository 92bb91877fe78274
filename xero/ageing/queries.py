"""Who owes what, and since when: amounts per age, never added across currencies.

What was owed on a day is what is due now on invoices issued by then, plus the payments made after
it. What Xero tells no day of cannot be undone: credits allocated, invoices voided or edited since.
A day in the future adds nothing, it only makes older. Credits that are not allocated to an invoice
are not subtracted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connection as database

from xero.ageing.scope import Book, Books
from xero.ledger.listing import ON_A_PAGE, Window
from xero.ledger.queries import BILL, SALE
from xero.models import Invoice

SIDES = {"sales": SALE, "bills": BILL}
AGES = ("Not due", "1–30 days", "31–60 days", "61–90 days", "Over 90 days")
CHUNK = 2000
Answer = tuple[Any, ...]

# What a row stands for: the columns it is grouped by.
BYS = {
    "client": ("workspace_id",),
    "contact": ("connection_id", "contact_xero_id"),
    "invoice": ("connection_id", "contact_xero_id", "id"),
}
KEYS = {
    "workspace_id": "bigint",
    "connection_id": "bigint",
    "contact_xero_id": "uuid",
    "id": "bigint",
}
ORDERS = {
    "client": "array_position(%({clients})s::bigint[], {key})",
    "contact": "lower(contact_name)",
    "due": "due",
    "overdue": "overdue",
    "total": "total",
    **{f"age{place}": f"b{place}" for place in range(len(AGES))},
}
DEFAULT_ORDERS = {"client": "-overdue", "contact": "-overdue", "invoice": "due"}

# One row for each document that was open on the day; then what its age, and its group, come to. All
# is read once.
OWED = """
WITH later AS (
    SELECT i.id, sum(p.amount) AS amount
      FROM xero_payment p
      JOIN xero_invoice i ON i.connection_id = p.connection_id AND i.xero_id = p.invoice_xero_id
     WHERE p.connection_id = ANY(%(connections)s) AND p.status = 'AUTHORISED' AND p.date > {on}
       AND i.type = %(type)s AND {filters}
     GROUP BY i.id
), owed AS (
    SELECT {columns}, coalesce(i.amount_due + later.amount, i.amount_due) AS amount
      FROM xero_invoice i LEFT JOIN later USING (id)
     WHERE i.connection_id = ANY(%(connections)s) AND i.type = %(type)s AND i.status = 'AUTHORISED' AND {filters}
    UNION ALL
    SELECT {columns}, later.amount
      FROM later JOIN xero_invoice i USING (id)
     WHERE i.status = 'PAID'
), aged AS (
    SELECT *, CASE WHEN due IS NULL OR due >= %(on)s THEN 0 WHEN due >= %(on)s - 30 THEN 1
                   WHEN due >= %(on)s - 60 THEN 2 WHEN due >= %(on)s - 90 THEN 3 ELSE 4 END AS age
      FROM owed WHERE amount > 0
), parts AS MATERIALIZED ({parts})"""
COLUMNS = (
    "i.id, i.workspace_id, i.connection_id, i.contact_xero_id, i.contact_name, i.currency,"
    " coalesce(i.due_date, i.date) + {behind} AS due"
)
# Where it is still the day before, or two days before, on the day meant: what is due there is so
# later, seen from it.
BEHIND = """(CASE WHEN i.connection_id = ANY(%(one_behind)s) THEN 1
                  WHEN i.connection_id = ANY(%(two_behind)s) THEN 2 ELSE 0 END)"""
BUCKETS = [f"b{age}" for age in range(len(AGES))]
AMOUNTS = {
    "sums": ", ".join(
        [
            f"coalesce(sum(amount) FILTER (WHERE age = {age}), 0) AS {name}"
            for age, name in enumerate(BUCKETS)
        ]
        + ["coalesce(sum(amount) FILTER (WHERE age > 0), 0) AS overdue", "sum(amount) AS total"]
    ),
    "single": ", ".join(
        [
            f"CASE WHEN age = {age} THEN amount ELSE 0 END AS {name}"
            for age, name in enumerate(BUCKETS)
        ]
        + ["CASE WHEN age > 0 THEN amount ELSE 0 END AS overdue", "amount AS total"]
    ),
    "buckets": ", ".join(BUCKETS),
}


@dataclass(frozen=True, slots=True)
class Way:
    """How rows are made of documents: parts of them, then groups of parts."""

    parts: str
    groups: str


EACH = "SELECT *, 1 AS entries FROM aged"
WAYS = {
    # Many documents of each age: what is of one age is added up first.
    "client": Way(
        """SELECT workspace_id, currency, age, sum(amount) AS amount, count(*) AS entries, min(due) AS due
             FROM aged GROUP BY workspace_id, currency, age""",
        """SELECT workspace_id, currency, {sums}, min(due) AS due, NULL::text AS contact_name
             FROM parts WHERE {where} GROUP BY workspace_id, currency""",
    ),
    # Which of several names of a contact does not matter, and comparing them by a language's rules
    # is slow.
    "contact": Way(
        EACH,
        """SELECT connection_id, contact_xero_id, currency, {sums}, min(due) AS due,
                  min(contact_name COLLATE "C") AS contact_name
             FROM parts WHERE {where} GROUP BY connection_id, contact_xero_id, currency""",
    ),
    "invoice": Way(
        EACH,
        """SELECT connection_id, contact_xero_id, id, currency, {single}, due, contact_name
             FROM parts WHERE {where}""",
    ),
}
ROWS = """
SELECT {selected}, currency, contact_name, due, {buckets}, {count} AS entries
  FROM ({groups}) grouped ORDER BY {order}"""
# The totals of each currency, then a page of the chosen one's rows. Only what they are ordered by
# is added up of all groups; the amounts of each age, which are most of the work, of those on the
# page.
TABLE = """, totals AS (
    SELECT currency, {sums}, min(due) AS due, sum(entries)::bigint AS entries
      FROM (SELECT currency, age, sum(amount) AS amount, min(due) AS due, sum(entries) AS entries
              FROM parts GROUP BY currency, age) ages GROUP BY currency
), chosen AS (
    SELECT currency FROM totals ORDER BY currency = %(currency)s DESC, entries DESC, currency LIMIT 1
), ranked AS (
    SELECT {keys}, count(*) OVER () AS entries FROM ({every}) grouped
     ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s
)
SELECT 0 AS part, row_number() OVER (ORDER BY entries DESC, currency) AS number,
       NULL::bigint, NULL::bigint, NULL::uuid, NULL::bigint, currency, NULL, due, {buckets}, entries
  FROM totals
UNION ALL SELECT 1, row_number() OVER (), found.* FROM ({rows}) found
ORDER BY part, number"""
CHOSEN = "currency = (SELECT currency FROM chosen)"


@dataclass(frozen=True, slots=True)
class Owing:
    """Which documents are meant: sales or bills (Xero's type), as of a day, of one contact or of
    all.

    `today`: the day is today, which each organisation has its own of; `on` is then the latest.
    """

    type: str
    on: date
    contact: UUID | None = None
    today: bool = False

    def days_behind(self, book: Book | None) -> int:
        """How many days before `on` it is in the organisation."""
        return (self.on - book.today).days if self.today and book is not None else 0


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


@dataclass(frozen=True)
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

    @cached_property
    def total(self) -> Decimal:
        return sum(self.amounts, Decimal(0))

    @cached_property
    def overdue(self) -> Decimal:
        return sum(self.amounts[1:], Decimal(0))

    @cached_property
    def overdue_percent(self) -> int:
        return round(100 * self.overdue / self.total) if self.total else 0

    @cached_property
    def parts(self) -> list[Part]:
        whole = self.total
        return [
            Part(place, name, amount, whole)
            for place, (name, amount) in enumerate(zip(AGES, self.amounts, strict=True))
        ]


@dataclass(frozen=True, slots=True)
class Table:
    """What is owed per currency, the most used one first, and a page of rows in the chosen one."""

    totals: list[Aged]
    window: "Window[Any]"

    @property
    def chosen(self) -> Aged | None:
        """The total of the rows' currency."""
        shown = self.window.rows[0].currency if self.window.rows else None
        return next((total for total in self.totals if total.currency == shown), None)


def table(
    books: Books,
    owing: Owing,
    by: str,
    *,
    currency: str = "",
    sort: str = "",
    page: int | None = None,
    size: int = ON_A_PAGE,
) -> Table:
    """One currency at a time: the asked one, or the most used. Most overdue first; the first page
    where the asked one is empty.
    """
    number = page or 1
    totals, found = _ask_table(books, owing, by, currency, sort, size, number)
    if not found and number > 1:
        number = 1
        totals, found = _ask_table(books, owing, by, currency, sort, size, number)
    count = found[0][-1] if found else 0
    rows = [_aged(books, owing, row) for row in found]
    return Table(
        [_aged(books, owing, row) for row in totals], Window(rows, number, count, size=size)
    )


def every(
    books: Books, owing: Owing, by: str, sort: str = ""
) -> Iterator[tuple[Aged, Invoice | None]]:
    """All rows of all currencies, for a file, with their invoices where a row is one."""
    statement = _owed(books, owing, by) + _rows(by, "true", f"currency, {_order(by, sort)}")
    found = [_aged(books, owing, row) for row in _ask(statement, books, owing)]
    for start in range(0, len(found), CHUNK):
        chunk = found[start : start + CHUNK]
        there = invoices(chunk)
        yield from ((row, there.get(row.invoice_id or 0)) for row in chunk)


def invoices(found: Sequence[Aged]) -> dict[int, Invoice]:
    """The documents of rows that are one each. One query, none where there are none."""
    ids = [row.invoice_id for row in found if row.invoice_id is not None]
    return Invoice.objects.defer("body").in_bulk(ids) if ids else {}


def _ask_table(
    books: Books, owing: Owing, by: str, currency: str, sort: str, size: int, number: int
) -> tuple[list[Answer], list[Answer]]:
    """The totals and the rows, as the database has them."""
    order = _order(by, sort)
    statement = _owed(books, owing, by) + TABLE.format(
        **AMOUNTS,
        keys=", ".join(BYS[by]),
        every=_groups(by, CHOSEN),
        order=order,
        rows=_rows(by, _on_the_page(by), order, "(SELECT max(entries) FROM ranked)"),
    )
    page = {"currency": currency, "limit": size, "offset": (number - 1) * size}
    answers = _ask(statement, books, owing, **page)
    return [row[2:] for row in answers if row[0] == 0], [row[2:] for row in answers if row[0] == 1]


def _ask(statement: str, books: Books, owing: Owing, **values: Any) -> list[Answer]:
    # Only names of columns were put together in the statement; values stay parameters.
    values |= {
        "connections": books.connection_ids,
        "workspaces": books.workspace_ids,
        "type": owing.type,
        "on": owing.on,
        "contact": owing.contact,
        "one_behind": [book.connection_id for book in books.all if owing.days_behind(book) == 1],
        "two_behind": [book.connection_id for book in books.all if owing.days_behind(book) == 2],
    }
    with database.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _owed(books: Books, owing: Owing, by: str) -> str:
    """Of one day for all as a rule, which is quicker to reckon with."""
    behind = BEHIND if any(owing.days_behind(book) for book in books.all) else "0"
    on = "%(on)s" if behind == "0" else f"%(on)s - {behind}"
    columns = COLUMNS.format(behind=behind)
    return OWED.format(on=on, filters=_filters(owing, on), columns=columns, parts=WAYS[by].parts)


def _groups(by: str, where: str) -> str:
    return WAYS[by].groups.format(**AMOUNTS, where=where)


def _on_the_page(by: str) -> str:
    """Which parts are of a group on the page. Only a contact may be absent; `=` is what PostgreSQL
    can hash.
    """
    same = " AND ".join(
        f"ranked.{key} {'IS NOT DISTINCT FROM' if key == 'contact_xero_id' else '='} parts.{key}"
        for key in BYS[by]
    )
    return f"{CHOSEN} AND EXISTS (SELECT FROM ranked WHERE {same})"


def _rows(by: str, where: str, order: str, count: str = "0") -> str:
    selected = ", ".join(
        name if name in BYS[by] else f"NULL::{type} AS {name}" for name, type in KEYS.items()
    )
    return ROWS.format(
        **AMOUNTS, selected=selected, groups=_groups(by, where), count=count, order=order
    )


def _filters(owing: Owing, on: str) -> str:
    found = [f"(i.date IS NULL OR i.date <= {on})"]
    if owing.contact is not None:
        found.append("i.contact_xero_id = %(contact)s")
    return " AND ".join(found)


def _order(by: str, sort: str) -> str:
    """Of a list's `?sort=`; equal ones by amount, then by what they are, so that pages do not
    overlap.
    """
    wanted = sort if sort.removeprefix("-") in ORDERS else DEFAULT_ORDERS[by]
    direction = "DESC" if wanted.startswith("-") else "ASC"
    clients = (
        "workspaces" if by == "client" else "connections"
    )  # in the order of the clients' names
    column = ORDERS[wanted.removeprefix("-")].format(clients=clients, key=BYS[by][0])
    return f"{column} {direction} NULLS LAST, total DESC, {', '.join(BYS[by])}"


def _aged(books: Books, owing: Owing, row: Answer) -> Aged:
    workspace, connection, contact, invoice, currency, name, due, *amounts, _ = row
    book = books.by_connection.get(connection) if connection else books.by_workspace.get(workspace)
    late = (owing.on - due).days if due else 0
    if due and connection:
        due -= timedelta(days=owing.days_behind(book))
    return Aged(currency, tuple(amounts), due, max(0, late), book, contact, name or "", invoice)
