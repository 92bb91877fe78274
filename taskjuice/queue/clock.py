"""The database's clock as this process knows it: what is stored for later is compared with that
one.

A machine whose own clock is wrong by minutes would try again minutes late, or take a key for
remembered that is forgotten. So the difference is measured, and kept up by the monotonic clock,
which nobody sets.
"""

import time
from datetime import datetime, timedelta

from django.db import connection as database

FRESH_SECONDS = 60.0  # clocks drift by milliseconds in that time

_measured: tuple[datetime, float] | None = None


def note(now: datetime) -> None:
    """The database has just said what time it is."""
    global _measured  # noqa: PLW0603 - one clock for the whole process
    _measured = now, time.monotonic()


def now() -> datetime:
    """Return the database's time; asked anew where nobody has noted it for a while."""
    if _measured is None or time.monotonic() - _measured[1] > FRESH_SECONDS:
        with database.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            note(cursor.fetchone()[0])
    assert _measured is not None
    at, since = _measured
    return at + timedelta(seconds=time.monotonic() - since)
