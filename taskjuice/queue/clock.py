"""The database's clock, as this process knows it.

Instants stored for later are the database's. A machine whose own clock is wrong by minutes would
try again minutes late, or take a forgotten key for a remembered one. So the difference is measured,
and kept up by the monotonic clock, which cannot be set.
"""

import time
from datetime import datetime, timedelta

from django.db import connection as database

FRESH_SECONDS = 60.0  # clocks drift by milliseconds in that time

_measured: tuple[datetime, float] | None = None


def note(now: datetime) -> None:
    """Note the time that the database has just returned."""
    global _measured  # noqa: PLW0603 - one clock for the whole process
    _measured = now, time.monotonic()


def now() -> datetime:
    """Return the database's time; query it where it was not noted for a while."""
    if _measured is None or time.monotonic() - _measured[1] > FRESH_SECONDS:
        with database.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            note(cursor.fetchone()[0])
    assert _measured is not None
    at, since = _measured
    return at + timedelta(seconds=time.monotonic() - since)
