"""Time limits on waiting for the database (reasons: docs/decisions/0012-database-limits.md).

The client enforces all of them: a server that hangs, or a network that drops packets, cannot end a
statement, and behind a pooler in transaction mode no session setting holds.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

CONNECT_SECONDS = 3
# A client that is cut off from its database holds its locks no longer than this.
IDLE_IN_TRANSACTION_SECONDS = 5
CANCEL_SECONDS = 0.5  # that a statement which took too long may take to be cancelled
LEAST_SECONDS = 0.05  # so that the last statement still fails with its own message

# Seconds of one statement, by kind of process. Anything else (migrations, a shell) waits as long as
# it takes.
STATEMENT_SECONDS = {"web": 10.0, "worker": 10.0}
# Of a web process's pool: as many as its threads at once, and some for those that just end.
POOL = {
    "min_size": 2,
    "max_size": 20,
    "timeout": 4.0,
    "reconnect_timeout": 4.0,  # afterwards the next request for a connection tries again at once
}
# Given to libpq: sockets over which nothing is acknowledged any more are closed by the kernel.
SOCKET = {
    "connect_timeout": CONNECT_SECONDS,
    "tcp_user_timeout": 5000,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
}
# The server's side: it frees what a vanished client held after the same time.
SESSION = {
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
    "tcp_user_timeout": "5s",
    "tcp_keepalives_idle": "5s",
    "tcp_keepalives_interval": "2s",
    "tcp_keepalives_count": "2",
}


class _Process:
    statement: float | None = None


class _Thread(threading.local):
    deadline: float | None = None
    statement: float | None = None


_process, _thread = _Process(), _Thread()


def set_kind(kind: str) -> None:
    """Set the limits for this kind of process: `web` or `worker`."""
    _process.statement = STATEMENT_SECONDS[kind]


@contextmanager
def set_deadline(seconds: float) -> Iterator[None]:
    """End everything this thread asks of the database within so many seconds, connecting included."""
    before = _thread.deadline
    ends = time.monotonic() + seconds
    _thread.deadline = ends if before is None else min(before, ends)
    try:
        yield
    finally:
        _thread.deadline = before


@contextmanager
def allow_slow_statements(seconds: float) -> Iterator[None]:
    """Let each statement inside take so many seconds: for upkeep that reads many rows."""
    before, _thread.statement = _thread.statement, seconds
    try:
        yield
    finally:
        _thread.statement = before


def statement_seconds() -> float | None:
    """Return the time limit of a statement in this thread; None means no limit."""
    return None if _process.statement is None else _thread.statement or _process.statement


def seconds_left(most: float | None) -> float | None:
    """Return `most`, or less where this thread has a deadline that is sooner."""
    if _thread.deadline is None:
        return most
    seconds = max(LEAST_SECONDS, _thread.deadline - time.monotonic())
    return seconds if most is None else min(seconds, most)
