"""Checks that every open outcome ends in time: lists what is open longer than it may be, and why.

Each package adds a check for each kind of outcome it leaves open: a statement that finds those past
their time. An outcome that waits for a notified person (a paused connection, an approval before its
time) is not past it; neither is one that waits for a limit of the provider that has an end.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection as database

# Every open outcome ends within this time, or waits for a person who was notified.
WITHIN = timedelta(minutes=10)
MOST = 100  # rows that one check lists


@dataclass(frozen=True, slots=True)
class OverdueOutcome:
    """An outcome that should have ended. `since`: when it began to wait."""

    kind: str
    subject: str
    since: datetime
    why: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}, since {self.since:%Y-%m-%d %H:%M:%S %Z}: {self.why}"


@dataclass(frozen=True, slots=True)
class InvariantCheck:
    """A check of one kind of outcome.

    `statement` returns rows (subject, since, why); outcomes from before its parameter `late` are
    overdue. `extra` is the time beyond WITHIN that this kind may take.
    """

    kind: str
    statement: str
    extra: timedelta = timedelta()


CHECKS: list[InvariantCheck] = []
LISTED = "SELECT * FROM ({}) AS overdue (subject, since, why) ORDER BY since LIMIT {}"


def add_check(kind: str, statement: str, *, extra: timedelta = timedelta()) -> None:
    """Register a check, in an app's `ready()`."""
    CHECKS.append(InvariantCheck(kind, statement, extra))


def list_overdue_outcomes(within: timedelta = WITHIN) -> list[OverdueOutcome]:
    """Return what has been open for longer than `within`, oldest first within each kind."""
    return [overdue for check in CHECKS for overdue in _run_check(check, within)]


def _run_check(check: InvariantCheck, within: timedelta) -> list[OverdueOutcome]:
    seconds = (within + check.extra).total_seconds()
    with database.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp() - %s * interval '1 second'", [seconds])
        [late] = cursor.fetchone()
        cursor.execute(LISTED.format(check.statement, MOST), {"late": late})
        return [OverdueOutcome(check.kind, *row) for row in cursor.fetchall()]


def register_checks() -> None:
    """Add the checks of the queue itself."""
    add_check("wake-up", WAKE_UPS)
    add_check("queue message", MESSAGES)


WAKE_UPS = """
SELECT name, since, 'it is queued, and no worker has begun it'
  FROM queue_wake WHERE pending AND since < %(late)s
"""
# `lock` is the instant from which a message may be taken.
MESSAGES = """
SELECT 'message ' || id, lock, 'no worker takes it, or none says that it is done'
  FROM django_q_ormq WHERE lock < %(late)s
"""
