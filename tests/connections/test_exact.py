"""Rows for the database: what comes out is what `dumps` writes, number by number and letter by letter."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection as database
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from connections import exact
from connections.models import DeliveryState

AN_ID = UUID("8694c9c5-7097-4449-a708-b8c1982921a4")
VALUES: dict[str, Any] = {
    "money": [Decimal("0.10"), Decimal("1234567890123456789.0001"), Decimal("1E-7"), Decimal("-0.00")],
    "integers": [0, -5, 10**30, True, None],
    "text": ['Zoë said "5 < 6" 🍊', "line\nline\ttab", "\\u0000", "\\\\"],
    "NUL": ["a\x00b", "\\\x00"],
    "lone surrogate": ["half \ud800 a pair", "\x00\udc00"],
    "subclasses": [mark_safe("<b>"), DeliveryState.WAITING, gettext_lazy("Name")],
    "ids and days": [AN_ID, dt.date(2026, 11, 23)],
    "nested": {"a": {"b": [{"c": Decimal("1.50")}, []]}, "ü": {}},
    "tuples": [(1, Decimal("2.5"))],
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_batch_is_read_as_dumps_is(db: None, value: Any) -> None:
    rows = [{"value": value}]
    assert exact.loads(exact.batch(rows)) == exact.loads(exact.dumps(rows))
    with database.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb = %s::jsonb", [exact.batch(rows), exact.dumps(rows)])
        assert cursor.fetchone() == (True,)


def test_instant_is_the_same_in_its_column(db: None) -> None:
    zone = dt.timezone(dt.timedelta(hours=13))
    at = [dt.datetime(2026, 11, 23, 9, 5, 7, 123456, dt.UTC), dt.datetime(1969, 12, 31, 23, 59, tzinfo=zone)]
    with database.cursor() as cursor:
        statement = "SELECT at FROM jsonb_to_recordset(%s::jsonb) AS new (at timestamptz)"
        cursor.execute(statement, [exact.batch([{"at": each} for each in at])])
        assert [row[0] for row in cursor.fetchall()] == at
