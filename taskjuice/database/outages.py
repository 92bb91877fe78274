"""Short outages of the database: cut connections, a server that restarts, a full disk.

Such an error says nothing about the work it interrupted, so it is never stored as an outcome: it is
raised, and the stored rows decide at the next run. What a process knows and has not stored yet is
worth retrying for a while.
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
# SQLSTATEs of statements that were too much for the server and will be again: the statement's fault,
# not an outage.
TOO_MUCH = frozenset({"57014", "53200", "54000", "54001"})


def retry_during_outage(statement: Callable[[], T]) -> T:
    """Run a statement, and repeat it over new connections while the database is away.

    It must be harmless to repeat. Inside a transaction it runs once, since only the whole
    transaction could be repeated.
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


def is_transient(error: BaseException) -> bool:
    """Return whether the same statement may well succeed later, so that trying it cost nothing."""
    return getattr(error.__cause__, "sqlstate", None) not in TOO_MUCH
