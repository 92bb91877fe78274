"""Searches of documents and payments: what a term may mean, the most particular meaning first.

Each meaning is a range of an index, read no further than a limit, so a search for what is
everywhere costs no more than one for what is rare. Insides of numbers and references are found by
their grams (xero/search_index.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from connections.models import Connection
from taskjuice import exact_json
from xero.ledger.listing import Row, Total, add_up
from xero.models import Contact, Invoice, Payment
from xero.records.payment_types import describe_type
from xero.search_index import holding
from xero.sync.mapping import key

SEARCHED = 1000  # rows that a search brings
MATCHING_CONTACTS = 200
GONE = ("VOIDED", "DELETED")


@dataclass(frozen=True, slots=True)
class Found:
    """`matches`: (id, currency, status, type, amounts …) of each row. `cut`: there may be more than
    these.
    """

    matches: Sequence[tuple[Any, ...]]
    cut: bool

    def among(self, rows: "QuerySet[Row]") -> "QuerySet[Row]":
        # An array: a thousand parameters would take longer to write than the database takes to find
        # them.
        return rows.filter(
            pk__in=RawSQL("SELECT unnest(%s::bigint[])", [[match[0] for match in self.matches]])
        )

    def totals(self) -> list[Total]:
        """What they come to, per currency; of documents, what is voided or deleted adds nothing."""
        return add_up(_total(*match) for match in self.matches)


def _total(_: int, currency: str, status: str, type: str, *amounts: Decimal) -> Total:
    nothing = (Decimal(0),) * 3
    counted = amounts if status not in GONE or len(amounts) == 1 else ()
    total, paid, due = (*counted, *nothing)[:3]
    return Total(currency, 1, total, paid, due, describe_type(type).direction)


def term_of(wanted: Mapping[str, Any]) -> str:
    """What is searched for, as the search columns hold it; empty: nothing is."""
    return key(wanted.get("q") or "").strip()


def documents(connection: Connection, rows: "QuerySet[Invoice]", term: str) -> Found:
    """42 and 0042 find INV-0042; so does any other part of it."""
    last = rows.filter(number_tail=_bare(term))
    begins = [rows.filter(number_key__startswith=term), rows.filter(reference_key__startswith=term)]
    inside = rows.exclude(Q(number_key__startswith=term) | Q(reference_key__startswith=term))
    return _found(
        [
            last,
            *_of_amount(rows, "total", term),
            *begins,
            rows.filter(reference_tail=_bare(term)),
            rows.filter(contact_xero_id__in=contacts_called(connection, term)),
        ],
        holding(inside, connection.pk, term, "number_key", "reference_key"),
        ("total", "amount_paid", "amount_due"),
    )


def payments(connection: Connection, rows: "QuerySet[Payment]", term: str) -> Found:
    begins = [
        rows.filter(invoice_number_key__startswith=term),
        rows.filter(reference_key__startswith=term),
    ]
    inside = rows.exclude(
        Q(invoice_number_key__startswith=term) | Q(reference_key__startswith=term)
    )
    return _found(
        [
            rows.filter(invoice_number_tail=_bare(term)),
            *_of_amount(rows, "amount", term),
            *begins,
            rows.filter(contact_xero_id__in=contacts_called(connection, term)),
        ],
        holding(inside, connection.pk, term, "invoice_number_key", "reference_key"),
        ("amount",),
    )


def contacts_called(connection: Connection, term: str) -> "QuerySet[Contact, UUID]":
    term = " ".join(term.split())  # as the key has names
    named = Contact.objects.filter(connection=connection, search_key__contains=term)
    return named.values_list("xero_id", flat=True)[:MATCHING_CONTACTS]


def _found(
    meanings: "Sequence[QuerySet[Any]]", inside: "QuerySet[Any]", amounts: Sequence[str]
) -> Found:
    """`meanings` in one statement. What has the term `inside` is only looked for while they brought
    too few.
    """
    columns = ("pk", "currency", "status", "type", *amounts)
    first, *others = (rows.order_by().values_list(*columns)[: SEARCHED + 1] for rows in meanings)
    found = dict.fromkeys(first.union(*others, all=True))
    if len(found) <= SEARCHED:
        found |= dict.fromkeys(inside.order_by().values_list(*columns)[: SEARCHED + 1])
    return Found(list(found)[:SEARCHED], len(found) > SEARCHED)


def _of_amount(rows: "QuerySet[Row]", field: str, term: str) -> "list[QuerySet[Row]]":
    """Those of exactly `1,200.50` or `1200.5`, if that is what was typed."""
    try:
        amount = Decimal(term.replace(",", ""))
    except InvalidOperation:
        return []
    return (
        [rows.filter(**{field: amount})]
        if exact_json.is_within(amount, digits=15, places=4)
        else []
    )


def _bare(term: str) -> str:
    """As the last word of a number is kept: without leading zeros."""
    return term.lstrip("0") or term
