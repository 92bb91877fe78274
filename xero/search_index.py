"""Parts of texts, indexed: finds a number by what is inside it. (The embedded PostgreSQL brings no
trigrams.)

The function `xero_grams` (migration 0005) hashes every run of one to three letters of its texts,
together with the connection's id: an index over all ledgers then keeps those of each apart.
"""

from typing import Any, TypeVar

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, Func, Model, QuerySet, Value
from django.db.models.functions import Greatest, StrIndex

LONGEST = 3
Row = TypeVar("Row", bound=Model)


class Grams(Func):
    """Grams(connection, size, text, …): those of `size` letters, those of all sizes for 0."""

    function = "xero_grams"
    output_field: "ArrayField[Any, Any]" = ArrayField(BigIntegerField())


def of_rows(*fields: str) -> Grams:
    """For an index."""
    return Grams("connection", Value(0), *fields)


def holding(rows: "QuerySet[Row]", connection_id: int, term: str, *fields: str) -> "QuerySet[Row]":
    """Those of a connection's rows that hold the term anywhere in one of the fields, of which an
    index has the grams.

    The grams bring candidates, the texts decide; by their position, since the planner takes LIKE
    for rarer than it is and would then read the whole index for what is in every number.
    """
    wanted = Grams(Value(connection_id), Value(min(len(term), LONGEST)), Value(term))
    found: QuerySet[Row] = rows.alias(  # type: ignore[assignment]  # an alias is no value of the rows
        grams=of_rows(*fields), place=Greatest(*(StrIndex(field, Value(term)) for field in fields))
    ).filter(grams__contains=wanted, place__gt=0)
    return found
