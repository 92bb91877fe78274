"""Searches of documents and payments: the meanings that a term may have, the most specific first.

Each meaning is a range of an index, read no further than a limit, so a search for a common term
costs no more than one for a rare term. The middle of numbers and references is found by n-grams
(xero/search_index.py).
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
from xero.ledger.listing import Row, Total, merge_totals
from xero.models import Contact, Invoice, Payment
from xero.records.payment_types import describe_type
from xero.search_index import filter_containing
from xero.sync.mapping import fold_text

SEARCHED = 1000  # rows that a search returns at most
MATCHING_CONTACTS = 200
WITHOUT_AMOUNTS = ("VOIDED", "DELETED")


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The rows that a search found.

    `matches` holds (id, currency, status, type, amounts …) of each row. With `cut` there may be
    more of them.
    """

    matches: Sequence[tuple[Any, ...]]
    cut: bool

    def filter_rows(self, rows: "QuerySet[Row]") -> "QuerySet[Row]":
        # An array: a thousand parameters would take longer to write than the database takes to find
        # them.
        return rows.filter(
            pk__in=RawSQL("SELECT unnest(%s::bigint[])", [[match[0] for match in self.matches]])
        )

    def totals(self) -> list[Total]:
        """Return the totals per currency; voided and deleted documents add nothing to them."""
        return merge_totals(_total(*match) for match in self.matches)


def _total(_: int, currency: str, status: str, type: str, *amounts: Decimal) -> Total:
    # A single amount is that of a payment: its list holds either deleted ones only, or none.
    has_amounts = status not in WITHOUT_AMOUNTS or len(amounts) == 1
    total, paid, due = (*(amounts if has_amounts else ()), *(Decimal(0),) * 3)[:3]
    return Total(currency, 1, total, paid, due, describe_type(type).direction)


def read_term(filters: Mapping[str, Any]) -> str:
    """Return the search term in the form of the search columns, "" for no search."""
    return fold_text(filters.get("q") or "").strip()


def search_documents(connection: Connection, rows: "QuerySet[Invoice]", term: str) -> SearchResult:
    """Find documents by number, reference, amount or contact.

    Both 42 and 0042 find INV-0042; so does any other part of it.
    """
    by_tail = rows.filter(number_tail=_strip_zeros(term))
    by_prefix = [
        rows.filter(number_key__startswith=term),
        rows.filter(reference_key__startswith=term),
    ]
    inside = rows.exclude(Q(number_key__startswith=term) | Q(reference_key__startswith=term))
    return _search_meanings(
        [
            by_tail,
            *_filter_by_amount(rows, "total", term),
            *by_prefix,
            rows.filter(reference_tail=_strip_zeros(term)),
            rows.filter(contact_xero_id__in=find_contacts_by_name(connection, term)),
        ],
        filter_containing(inside, connection.pk, term, "number_key", "reference_key"),
        ("total", "amount_paid", "amount_due"),
    )


def search_payments(connection: Connection, rows: "QuerySet[Payment]", term: str) -> SearchResult:
    by_prefix = [
        rows.filter(invoice_number_key__startswith=term),
        rows.filter(reference_key__startswith=term),
    ]
    inside = rows.exclude(
        Q(invoice_number_key__startswith=term) | Q(reference_key__startswith=term)
    )
    return _search_meanings(
        [
            rows.filter(invoice_number_tail=_strip_zeros(term)),
            *_filter_by_amount(rows, "amount", term),
            *by_prefix,
            rows.filter(contact_xero_id__in=find_contacts_by_name(connection, term)),
        ],
        filter_containing(inside, connection.pk, term, "invoice_number_key", "reference_key"),
        ("amount",),
    )


def find_contacts_by_name(connection: Connection, term: str) -> "QuerySet[Contact, UUID]":
    term = " ".join(term.split())  # the search key holds names with single blanks
    contacts = Contact.objects.filter(connection=connection, search_key__contains=term)
    return contacts.values_list("xero_id", flat=True)[:MATCHING_CONTACTS]


def _search_meanings(
    meanings: "Sequence[QuerySet[Any]]", inside: "QuerySet[Any]", amounts: Sequence[str]
) -> SearchResult:
    """Run `meanings` in one statement, and `inside` only while these have found too few rows."""
    columns = ("pk", "currency", "status", "type", *amounts)
    first, *others = (rows.order_by().values_list(*columns)[: SEARCHED + 1] for rows in meanings)
    # A dict, not a set: the order of the meanings stays, and a row that has several counts once.
    matches = dict.fromkeys(first.union(*others, all=True))
    if len(matches) <= SEARCHED:
        matches |= dict.fromkeys(inside.order_by().values_list(*columns)[: SEARCHED + 1])
    return SearchResult(list(matches)[:SEARCHED], len(matches) > SEARCHED)


def _filter_by_amount(rows: "QuerySet[Row]", field: str, term: str) -> "list[QuerySet[Row]]":
    """Return the rows of exactly this amount if the term is one, such as `1,200.50` or `1200.5`."""
    try:
        amount = Decimal(term.replace(",", ""))
    except InvalidOperation:
        return []
    return (
        [rows.filter(**{field: amount})]
        if exact_json.is_within(amount, digits=15, places=4)
        else []
    )


def _strip_zeros(term: str) -> str:
    """Remove leading zeros, as the column with the last word of a number has it."""
    return term.lstrip("0") or term
