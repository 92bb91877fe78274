"""The amounts owed by age, never added across currencies.

The amount owed on a day is the amount due now on invoices issued by then, plus the payments made
after that day. Xero gives no date for allocated credits, or for voiding and editing an invoice, so
those cannot be undone. A day in the future adds no documents; it only makes them older. Credits
that are not allocated to an invoice are not subtracted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connection as database

from xero.ageing import statements
from xero.ageing.scope import AgeingOrganisation, AgeingOrganisations
from xero.ageing.statements import AGES, AgeingCriteria
from xero.ledger.listing import ON_A_PAGE, Window
from xero.ledger.queries import BILL, SALE
from xero.models import Invoice

SIDES = {"sales": SALE, "bills": BILL}
CHUNK = 2000
Answer = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AgeAmount:
    """The amount of one age. `place` is the index in AGES: 0 is not due, 4 the oldest."""

    place: int
    name: str
    amount: Decimal
    whole: Decimal

    @property
    def percent(self) -> int:
        return round(100 * self.amount / self.whole) if self.whole else 0


@dataclass(frozen=True)
class Aged:
    """The amounts of a client, contact or invoice by age.

    `late_days` are those of the oldest document, 0 if nothing is overdue.
    """

    currency: str
    amounts: tuple[Decimal, ...]
    due: date | None
    late_days: int
    # In a row of a client any one of its organisations.
    organisation: AgeingOrganisation | None = None
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
    def parts(self) -> list[AgeAmount]:
        whole = self.total
        return [
            AgeAmount(place, name, amount, whole)
            for place, (name, amount) in enumerate(zip(AGES, self.amounts, strict=True))
        ]


@dataclass(frozen=True, slots=True)
class AgeingTable:
    """The totals per currency, the most used one first, and a page of rows in the chosen one."""

    totals: list[Aged]
    window: "Window[Any]"

    @property
    def chosen(self) -> Aged | None:
        """Return the total of the currency that the rows are in."""
        shown = self.window.rows[0].currency if self.window.rows else None
        return next((total for total in self.totals if total.currency == shown), None)


def read_table(
    organisations: AgeingOrganisations,
    criteria: AgeingCriteria,
    by: str,
    *,
    currency: str = "",
    sort: str = "",
    page: int | None = None,
    size: int = ON_A_PAGE,
) -> AgeingTable:
    """Return the totals, and a page of rows in `currency` or else in the most used currency.

    The order is that of `sort`, or else of DEFAULT_ORDERS. Beyond the last page it is the first.
    """
    number = page or 1
    statement = statements.build_table(organisations, criteria, by, sort)

    def read(number: int) -> tuple[list[Answer], list[Answer]]:
        values = {"currency": currency, "limit": size, "offset": (number - 1) * size}
        answers = _execute(statement, organisations, criteria, **values)
        totals = [answer[2:] for answer in answers if answer[0] == 0]
        return totals, [answer[2:] for answer in answers if answer[0] == 1]

    totals, rows = read(number)
    if not rows and number > 1:
        number = 1
        totals, rows = read(number)
    count = rows[0][-1] if rows else 0
    return AgeingTable(
        [_parse_answer(organisations, criteria, total) for total in totals],
        Window(
            [_parse_answer(organisations, criteria, row) for row in rows],
            number,
            count,
            size=size,
        ),
    )


def read_all_rows(
    organisations: AgeingOrganisations, criteria: AgeingCriteria, by: str, sort: str = ""
) -> Iterator[tuple[Aged, Invoice | None]]:
    """Yield all rows of all currencies for the export, with the invoice of a row that is one."""
    statement = statements.build_export(organisations, criteria, by, sort)
    answers = _execute(statement, organisations, criteria)
    rows = [_parse_answer(organisations, criteria, answer) for answer in answers]
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        invoices = read_invoices(chunk)
        yield from ((row, invoices.get(row.invoice_id or 0)) for row in chunk)


def read_invoices(rows: Sequence[Aged]) -> dict[int, Invoice]:
    """Return the invoices of the rows that are one each, by id, with at most one query."""
    ids = [row.invoice_id for row in rows if row.invoice_id is not None]
    return Invoice.objects.defer("body").in_bulk(ids) if ids else {}


def _execute(
    statement: str,
    organisations: AgeingOrganisations,
    criteria: AgeingCriteria,
    **values: Any,
) -> list[Answer]:
    def list_behind(days: int) -> list[int]:
        return [
            organisation.connection_id
            for organisation in organisations.all
            if criteria.days_behind(organisation) == days
        ]

    # Only names of columns were put together in the statement; values stay parameters.
    values |= {
        "connections": organisations.connection_ids,
        "workspaces": organisations.workspace_ids,
        "type": criteria.type,
        "on": criteria.on,
        "contact": criteria.contact,
        "one_behind": list_behind(1),
        "two_behind": list_behind(2),
    }
    with database.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _parse_answer(
    organisations: AgeingOrganisations, criteria: AgeingCriteria, answer: Answer
) -> Aged:
    workspace, connection, contact, invoice, currency, name, due, *amounts, _ = answer
    if connection:
        organisation = organisations.by_connection.get(connection)
    else:
        organisation = organisations.by_workspace.get(workspace)
    late = (criteria.on - due).days if due else 0
    # The statement has moved due dates to the day of the page; here the organisation's own is back.
    if due and connection:
        due -= timedelta(days=criteria.days_behind(organisation))
    return Aged(
        currency,
        tuple(amounts),
        due,
        max(0, late),
        organisation,
        contact,
        name or "",
        invoice,
    )
