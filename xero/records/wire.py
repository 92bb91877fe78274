"""Xero's wire formats: its dates, and JSON with exact numbers."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from taskjuice import exact_json, json_dates

ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)?"
)
EPOCH = json_dates.EPOCH


def parse_instant(text: str) -> datetime:
    """Parse `/Date(…)/` or ISO text (without a zone: UTC) to an aware datetime in UTC.

    Raises ValueError for anything else.
    """
    return json_dates.parse_json_date(text) or _parse_iso(text)


def parse_day(text: str) -> date:
    """Parse an accounting date, which is never shifted into a time zone: Xero sends it as midnight
    UTC.
    """
    return parse_instant(text).date()


def format_instant(value: datetime) -> str:
    """Format an instant for If-Modified-Since: UTC, to the second, without a zone."""
    return value.astimezone(UTC).isoformat()[:19]


def decode(body: bytes) -> Any:
    """Decode JSON, numbers with a decimal point as Decimals. Raises ValueError."""
    return exact_json.loads(body)


def encode(value: Any) -> bytes:
    """Encode compact JSON; Decimals as plain numbers, dates as Xero takes them."""
    return exact_json.dumps(value).encode()


def _parse_iso(text: str) -> datetime:
    match = ISO.fullmatch(text)
    if not match:
        raise ValueError(f"not a date: {text!r}")
    year, month, day_, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    micros = int((match[7] or "0")[:6].ljust(6, "0"))
    at = datetime(year, month, day_, hour, minute, second, micros, tzinfo=UTC)
    try:
        return at - _parse_offset(match[8])
    except OverflowError as error:
        raise ValueError(f"beyond the calendar: {text!r}") from error


def _parse_offset(zone: str | None) -> timedelta:
    if not zone or zone == "Z":
        return timedelta()
    digits = zone[1:].replace(":", "")
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return size if zone[0] == "+" else -size
