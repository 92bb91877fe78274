"""An index of n-grams, by which a search finds a number from any part of it.

The function `xero_grams` (migration 0005) hashes every run of one to three letters of its texts,
together with the connection's id, so an index over all ledgers keeps each apart. PostgreSQL's own
trigrams are an extension, which the embedded PostgreSQL does not have.
"""

from typing import Any, TypeVar

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, Func, Model, QuerySet, Value
from django.db.models.functions import Greatest, StrIndex

LONGEST = 3
RowT = TypeVar("RowT", bound=Model)


class Grams(Func):
    """The n-grams of texts: Grams(connection, size, text, …). Size 0: those of every size."""

    function = "xero_grams"
    output_field: "ArrayField[Any, Any]" = ArrayField(BigIntegerField())


def build_grams(*fields: str) -> Grams:
    """Return the n-grams of a row's fields, for an index."""
    return Grams("connection", Value(0), *fields)


def filter_containing(
    rows: "QuerySet[RowT]", connection_id: int, term: str, *fields: str
) -> "QuerySet[RowT]":
    """Filter a connection's rows to those with the term anywhere in one of these fields.

    The fields need an index of their n-grams.
    """
    # The n-grams find candidates and the texts decide. By position: the planner takes LIKE for
    # rarer than it is, and would then read the whole index for what every number contains.
    term_grams = Grams(Value(connection_id), Value(min(len(term), LONGEST)), Value(term))
    matching: QuerySet[RowT] = rows.alias(  # type: ignore[assignment]  # an alias is no value of the rows
        grams=build_grams(*fields),
        place=Greatest(*(StrIndex(field, Value(term)) for field in fields)),
    ).filter(grams__contains=term_grams, place__gt=0)
    return matching
