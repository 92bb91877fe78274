"""Xero's wire formats: its dates, and JSON with exact numbers."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from taskjuice import exact_json, json_dates

ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)?"
)
EPOCH = json_dates.EPOCH


def instant(text: str) -> datetime:
    """An aware UTC datetime from `/Date(…)/` or ISO text (without zone: UTC). ValueError if it is
    neither.
    """
    return json_dates.parse_json_date(text) or _from_iso(text)


def day(text: str) -> date:
    """An accounting date, never shifted into anybody's zone: Xero sends it as midnight UTC."""
    return instant(text).date()


def iso_instant(value: datetime) -> str:
    """As If-Modified-Since takes it: UTC, to the second, no zone."""
    return value.astimezone(UTC).isoformat()[:19]


def decode(body: bytes) -> Any:
    """JSON with numbers that have a point as Decimals. ValueError if it is not JSON."""
    return exact_json.loads(body)


def encode(value: Any) -> bytes:
    """Compact JSON; Decimals as plain numbers, dates as Xero takes them."""
    return exact_json.dumps(value).encode()


def _from_iso(text: str) -> datetime:
    found = ISO.fullmatch(text)
    if not found:
        raise ValueError(f"not a date: {text!r}")
    year, month, day_, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    micros = int((found[7] or "0")[:6].ljust(6, "0"))
    at = datetime(year, month, day_, hour, minute, second, micros, tzinfo=UTC)
    try:
        return at - _offset(found[8])
    except OverflowError as error:
        raise ValueError(f"beyond the calendar: {text!r}") from error


def _offset(zone: str | None) -> timedelta:
    if not zone or zone == "Z":
        return timedelta()
    digits = zone[1:].replace(":", "")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return size if zone[0] == "+" else -size
