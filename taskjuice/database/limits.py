"""How long this process waits for its database (reasons: docs/decisions/0012-database-limits.md).

All of it is counted here, at the client: a server that hangs, or a network that swallows packets,
cannot end a statement, and behind a pooler in transaction mode no setting of a session holds.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

CONNECT_SECONDS = 3
IDLE_IN_TRANSACTION_SECONDS = (
    5  # whoever is cut off from its database holds its locks no longer than this
)
CANCEL_SECONDS = 0.5  # that a statement which took too long may take to be cancelled
LEAST_SECONDS = 0.05  # so that what comes last still fails by its own words

# Seconds of one statement, by kind of process. Anything else (migrations, a shell) waits as long as
# it takes.
STATEMENT_SECONDS = {"web": 10.0, "worker": 10.0}
# Of a web process's pool: as many as its threads at once, and some for those that just end.
POOL = {
    "min_size": 2,
    "max_size": 20,
    "timeout": 4.0,
    "reconnect_timeout": 4.0,  # then whoever needs a connection next makes it try again at once
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
# The server's side of it: what a client that vanished held is free again after as long.
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
    """Say what this process is: `web` or `worker`."""
    _process.statement = STATEMENT_SECONDS[kind]


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """All that this thread asks of the database inside, connecting included, is over after so many
    seconds.
    """
    before = _thread.deadline
    ends = time.monotonic() + seconds
    _thread.deadline = ends if before is None else min(before, ends)
    try:
        yield
    finally:
        _thread.deadline = before


@contextmanager
def patiently(seconds: float) -> Iterator[None]:
    """Statements inside may take so long each: upkeep that goes through many rows."""
    before, _thread.statement = _thread.statement, seconds
    try:
        yield
    finally:
        _thread.statement = before


def statement_seconds() -> float | None:
    """How long a statement may take in this thread, whatever it is part of; None: as long as it
    takes.
    """
    return None if _process.statement is None else _thread.statement or _process.statement


def seconds_left(most: float | None) -> float | None:
    """`most`, or less where what this thread is doing has to end sooner."""
    if _thread.deadline is None:
        return most
    left = max(LEAST_SECONDS, _thread.deadline - time.monotonic())
    return left if most is None else min(left, most)
