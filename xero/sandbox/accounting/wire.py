"""Dates, amounts and JSON on the wire. Inside, a date is "2026-03-31" and an instant is whole
milliseconds (UTC).
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import simplejson

JSON_TYPE = "application/json; charset=utf-8"
ZERO_ID = "00000000-0000-0000-0000-000000000000"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  naive is UTC in here
_MS_DATE = re.compile(r"/Date\((-?\d{1,15})([+-]\d{4})?\)/")
_ISO_DATE = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,7})?(?:Z|[+-]\d{2}:\d{2})?)?"
)


def naive_utc(moment: datetime) -> datetime:
    """Return UTC without a zone, cut to the millisecond, as webhooks and the ledger have it."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def to_ms(moment: datetime) -> int:
    return (naive_utc(moment) - _EPOCH) // timedelta(milliseconds=1)


def from_ms(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


@lru_cache(maxsize=8192)
def date_on_wire(day: str) -> str:
    """Write "2018-10-20" as "/Date(1539993600000+0000)/": midnight, never shifted into a zone."""
    return f"/Date({to_ms(datetime.fromisoformat(day))}+0000)/"


def instant_on_wire(ms: int) -> str:
    return f"/Date({ms}+0000)/"


def instant_as_text(ms: int) -> str:
    """Write an instant as in UpdatedDateUTCString: to the second, with Z."""
    return from_ms(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_date(text: str) -> str | None:
    """Return the day that a request names, or None if Xero would refuse it (31 June, a blank before
    the time).
    """
    if match := _MS_DATE.fullmatch(text):
        try:
            return from_ms(int(match[1])).date().isoformat()
        except OverflowError:
            return None
    if match := _ISO_DATE.fullmatch(text):
        try:
            return date.fromisoformat(match[1]).isoformat()
        except ValueError:
            return None
    return None


def day_in_words(day: str) -> str:
    """Write "2026-03-31" as "31 March 2026", as Xero's messages do."""
    moment = date.fromisoformat(day)
    return f"{moment.day} {moment:%B %Y}"


def dump(value: Mapping[str, Any]) -> bytes:
    return simplejson.dumps(value, use_decimal=True, separators=(",", ":")).encode()


def load(body: bytes) -> Any:
    """Parse JSON with Decimals. Raises ValueError for anything that is not JSON, NaN and Infinity
    included.
    """
    return simplejson.loads(body.decode("utf-8-sig"), use_decimal=True, parse_constant=_no_constant)


def _no_constant(name: str) -> Decimal:
    raise ValueError(f"{name} is not JSON")
