"""Xero's wire formats, with examples from its own documents and with whatever hypothesis thinks of."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xero.records import wire


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/Date(1539993600000+0000)/", datetime(2018, 10, 20, tzinfo=UTC)),
        ("/Date(1539993600000)/", datetime(2018, 10, 20, tzinfo=UTC)),
        ("/Date(1539993600000+1300)/", datetime(2018, 10, 20, tzinfo=UTC)),
        ("/Date(-80006400000+0000)/", datetime(1967, 6, 20, tzinfo=UTC)),
        ("/Date(0+0000)/", datetime(1970, 1, 1, tzinfo=UTC)),
        ("/Date(1552431874205)/", datetime(2019, 3, 12, 23, 4, 34, 205000, tzinfo=UTC)),
        ("2018-10-20T00:00:00", datetime(2018, 10, 20, tzinfo=UTC)),
        ("2018-11-02T16:31:30Z", datetime(2018, 11, 2, 16, 31, 30, tzinfo=UTC)),
        ("2019-12-07T18:46:19.5165400", datetime(2019, 12, 7, 18, 46, 19, 516540, tzinfo=UTC)),
        ("2025-05-01T14:32:04.198", datetime(2025, 5, 1, 14, 32, 4, 198000, tzinfo=UTC)),
        ("2025-05-01T14:32:04+12:00", datetime(2025, 5, 1, 2, 32, 4, tzinfo=UTC)),
        ("2025-05-01", datetime(2025, 5, 1, tzinfo=UTC)),
    ],
)
def test_instant_reads_every_form(text: str, expected: datetime) -> None:
    assert wire.parse_instant(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "/Date()/",
        "/Date(abc)/",
        "/Date(999999999999999)/",
        "2018-13-01",
        "2018-10-20 00:00:00x",
    ],
)
def test_instant_refuses_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueError):
        wire.parse_instant(text)


def test_accounting_date_is_never_shifted() -> None:
    assert wire.parse_day("/Date(1539993600000+1300)/") == date(2018, 10, 20)


@given(st.integers(-(10**13), 10**13))
def test_milliseconds_round_trip(milliseconds: int) -> None:
    at = wire.parse_instant(f"/Date({milliseconds}+0000)/")
    assert (at - wire.EPOCH) // timedelta(milliseconds=1) == milliseconds


@given(st.dates(date(1, 1, 1)))
def test_day_round_trip(value: date) -> None:
    assert wire.parse_day(value.isoformat()) == value


def test_requests_carry_iso() -> None:
    at = datetime(2026, 11, 23, 1, 2, 3, 999, tzinfo=timezone(timedelta(hours=13)))
    assert wire.format_instant(at) == "2026-11-22T12:02:03"


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4
    )
)
def test_amounts_stay_exact(amount: Decimal) -> None:
    body = wire.encode({"Amount": amount, "Date": date(2026, 1, 2)})
    assert wire.decode(body) == {"Amount": amount, "Date": "2026-01-02"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000], ids=["empty", "open", "no text", "deep"]
)
def test_decode_refuses_what_is_not_json(body: bytes) -> None:
    with pytest.raises(ValueError):
        wire.decode(body)
