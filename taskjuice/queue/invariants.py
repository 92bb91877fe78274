"""What is open longer than it may be, and why: the promise that every open outcome ends, as
something to be checked.

Each room adds a check for each kind of outcome it leaves open: a statement that finds those past
their time. What waits for a person who was told (a paused connection, an approval before its time)
is not past it; neither is what waits for a limit of the provider that has an end.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection as database

WITHIN = timedelta(
    minutes=10
)  # of its beginning every open outcome ends, or waits for a person who was told
MOST = 100  # rows that one check lists


@dataclass(frozen=True, slots=True)
class OverdueOutcome:
    """One outcome that should have ended. `since`: when it began to wait for what should have ended
    it.
    """

    kind: str
    subject: str
    since: datetime
    why: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}, since {self.since:%Y-%m-%d %H:%M:%S %Z}: {self.why}"


@dataclass(frozen=True, slots=True)
class Check:
    """`statement` gives rows (subject, since, why); its parameter `late` is the instant before
    which it is too long.

    `extra` is the time beyond WITHIN that this kind may take.
    """

    kind: str
    statement: str
    extra: timedelta = timedelta()


CHECKS: list[Check] = []
LISTED = "SELECT * FROM ({}) AS overdue (subject, since, why) ORDER BY since LIMIT {}"


def add(kind: str, statement: str, *, extra: timedelta = timedelta()) -> None:
    """Register a check, in an app's `ready()`."""
    CHECKS.append(Check(kind, statement, extra))


def list_overdue_outcomes(within: timedelta = WITHIN) -> list[OverdueOutcome]:
    """Return what has been open for longer than `within`, oldest first within each kind."""
    return [overdue for check in CHECKS for overdue in _run_check(check, within)]


def _run_check(check: Check, within: timedelta) -> list[OverdueOutcome]:
    seconds = (within + check.extra).total_seconds()
    with database.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp() - %s * interval '1 second'", [seconds])
        [late] = cursor.fetchone()
        cursor.execute(LISTED.format(check.statement, MOST), {"late": late})
        return [OverdueOutcome(check.kind, *row) for row in cursor.fetchall()]


def register() -> None:
    """Add what the queue itself leaves open."""
    add("wake-up", WAKE_UPS)
    add("queue message", MESSAGES)


WAKE_UPS = """
SELECT name, since, 'it is queued, and no worker has begun it'
  FROM queue_wake WHERE pending AND since < %(late)s
"""
# `lock` is the instant from which a message may be taken.
MESSAGES = """
SELECT 'message ' || id, lock, 'no worker takes it, or none says that it is done'
  FROM django_q_ormq WHERE lock < %(late)s
"""
