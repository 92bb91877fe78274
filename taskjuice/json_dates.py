"""Dates as Microsoft's old JSON writers put them, `/Date(1763856000000+0000)/`; Xero still does."""

import re
from datetime import UTC, datetime, time, timedelta

# Milliseconds since 1970 in UTC; the offset is information only, may be historic (+1300) or
# missing.
SHAPE = re.compile(r"/Date\((-?\d{1,15})([+-]\d{4})?\)/", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_json_date(text: str) -> datetime | None:
    """Return the instant in UTC; None where the text has another shape or is beyond the calendar."""
    match = SHAPE.fullmatch(text) if text.startswith("/Date(") else None
    if match is None:
        return None
    try:
        return EPOCH + timedelta(milliseconds=int(match[1]))
    except OverflowError:
        return None


def as_iso(text: str) -> str:
    """Return the date as ISO text, with its time where it is not midnight; any other text as it is."""
    instant = parse_json_date(text)
    if instant is None:
        return text
    if instant.time() == time():
        return instant.date().isoformat()
    return instant.isoformat(timespec="milliseconds" if instant.microsecond else "seconds").replace(
        "+00:00", "Z"
    )
