"""A moment without database: connections cut, a server that restarts, a full disk.

What it raises says nothing about the work that met it. It is never taken for an outcome: it rises,
and what is stored decides on the next turn. What a process knows and has not stored yet is worth
trying again for a while.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError
from django.db import connection as database

logger = logging.getLogger(__name__)
T = TypeVar("T")

OUTAGE = (OperationalError, InterfaceError)
SECONDS = 10.0  # a server restarts in less
PAUSES = (0.05, 0.2, 0.5, 1.0)
# SQLSTATEs of statements that were too much for the server, and might be again: no moment, but a
# fault of theirs.
TOO_MUCH = frozenset({"57014", "53200", "54000", "54001"})


def insist(statement: Callable[[], T]) -> T:
    """Run it, again over new connections while the database is away. It must be harmless to repeat.

    Inside a transaction it runs once: only as a whole could that be repeated.
    """
    ends, tries = time.monotonic() + SECONDS, 0
    while True:
        try:
            return statement()
        except OUTAGE as error:
            if database.in_atomic_block or time.monotonic() > ends:
                raise
            logger.warning("the database is away, trying again: %s", error)
            database.close()
            time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1


def is_of_the_moment(error: BaseException) -> bool:
    """Whether the same statement may well succeed later: then trying it has cost nothing."""
    return getattr(error.__cause__, "sqlstate", None) not in TOO_MUCH
