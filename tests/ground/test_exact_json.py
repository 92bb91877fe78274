"""JSON that keeps money exact: what is written is read back here and by PostgreSQL."""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection as database
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from connections.models import DeliveryState
from taskjuice import exact_json

AN_ID = UUID("8694c9c5-7097-4449-a708-b8c1982921a4")
MONEY = [Decimal("0.10"), Decimal("1234567890123456789.0001"), Decimal("1E-7"), Decimal("-0.00")]
INSTANT = dt.datetime(2026, 11, 23, 9, 5, 7, 120000, dt.UTC)
UNCHANGED: dict[str, Any] = {
    "money": MONEY,
    "integers": [0, -5, 10**30, True, None],
    "text": ['Zoë said "5 < 6" 🍊', "line\nline\ttab", "\\u0000", "\\\\", "\\ud800"],
    "nested": {"a": {"b": [{"c": Decimal("1.50")}, []]}, "ü": {}},
}
CHANGED: dict[str, tuple[Any, Any]] = {
    "NUL": (["a\x00b", "\\\x00"], ["a\ufffdb", "\\\ufffd"]),
    "lone surrogate": (
        ["half \ud800 a pair", "\x00\udc00"],
        ["half \ufffd a pair", "\ufffd\ufffd"],
    ),
    "lone surrogate in a name": ({"\udfff": {"a": ("\ud800",)}}, {"\ufffd": {"a": ["\ufffd"]}}),
    "subclasses": (
        [mark_safe("<b>"), DeliveryState.WAITING, gettext_lazy("Name")],
        ["<b>", "waiting", "Name"],
    ),
    "ids and days": ([AN_ID, dt.date(2026, 11, 23)], [str(AN_ID), "2026-11-23"]),
    "instants": ([INSTANT], ["2026-11-23T09:05:07.120000Z"]),
    "tuples": ([(1, Decimal("2.5"))], [[1, Decimal("2.5")]]),
}
PAIRS = {name: (value, value) for name, value in UNCHANGED.items()} | CHANGED


@pytest.mark.parametrize(("value", "read"), PAIRS.values(), ids=PAIRS)
def test_dumps_is_read_back_here_and_in_the_database(db: None, value: Any, read: Any) -> None:
    assert exact_json.loads(exact_json.dumps(value)) == read
    assert exact_json.loads(exact_json.dumps_indented(value)) == read
    with database.cursor() as cursor:
        cursor.execute("SELECT (%s::jsonb)::text", [exact_json.dumps(value)])
        assert exact_json.loads(cursor.fetchone()[0]) == read


def test_money_keeps_its_digits() -> None:
    assert exact_json.dumps(MONEY) == "[0.10,1234567890123456789.0001,1E-7,-0.00]"
    assert exact_json.dumps_indented({"total": Decimal("2.50")}) == '{\n  "total": 2.50\n}'


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_loads_refuses_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="no JSON number"):
        exact_json.loads(text)


def test_instant_is_the_same_in_its_column(db: None) -> None:
    zone = dt.timezone(dt.timedelta(hours=13))
    at = [
        dt.datetime(2026, 11, 23, 9, 5, 7, 123456, dt.UTC),
        dt.datetime(1969, 12, 31, 23, 59, tzinfo=zone),
    ]
    with database.cursor() as cursor:
        statement = "SELECT at FROM jsonb_to_recordset(%s::jsonb) AS new (at timestamptz)"
        cursor.execute(statement, [exact_json.dumps([{"at": each} for each in at])])
        assert [row[0] for row in cursor.fetchall()] == at
