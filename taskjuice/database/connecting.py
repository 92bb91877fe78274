"""Connections to PostgreSQL that enforce time limits on every answer."""

from collections.abc import Generator
from typing import Any, NoReturn, TypeVar

import psycopg
from psycopg import errors, generators
from psycopg.pq import ExecStatus, Format
from psycopg_pool import ConnectionPool

from taskjuice.database import limits
from taskjuice.database.breaker import breaker

T = TypeVar("T")

CHECK_SECONDS = 1.5  # that a connection from the pool may take to show that it works

# Sets the session's limits only where the server's process is the one named at connecting. Behind a
# pooler it is another, and a setting of its session would be another client's a moment later.
SET_SESSION = """
SELECT set_config(name, value, false)
  FROM unnest(%s::text[], %s::text[]) AS new (name, value) WHERE pg_backend_pid() = %s
"""


class LimitedConnection(psycopg.Connection[Any]):
    """A connection with time limits. `is_direct`: no pooler stands between, so the session is ours."""

    is_direct = False

    def set_limits(self) -> None:
        """Detect whether the session is ours; if so, limit it on the server's side too."""
        names, values = list(limits.SESSION), list(limits.SESSION.values())
        is_limited = limits.statement_seconds() is not None
        rows = (
            self.execute(SET_SESSION, [names, values, self.info.backend_pid])
            if is_limited
            else None
        )
        if rows is None:
            rows = self.execute(
                "SELECT FROM pg_backend_pid() AS pid WHERE pid = %s", [self.info.backend_pid]
            )
        self.is_direct = rows.rowcount > 0

    def wait(
        self, gen: Generator[Any, Any, T], interval: float = 0.1, timeout: float | None = None
    ) -> T:  # psycopg waits for every answer by this
        seconds = limits.seconds_left(limits.statement_seconds()) if timeout is None else None
        if seconds is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, seconds)
        except errors._WaitTimeout:
            return self._cancel(gen, interval, seconds)

    def _cancel(self, gen: Generator[Any, Any, T], interval: float, seconds: float) -> T:
        """Have the server cancel the statement; close the connection where it does not answer even
        that.
        """
        try:
            self._try_cancel(timeout=limits.CANCEL_SECONDS)
            return super().wait(gen, interval, limits.CANCEL_SECONDS)
        except errors._WaitTimeout:
            self._give_up(seconds)

    def _give_up(self, seconds: float) -> NoReturn:
        self.close()
        breaker.note_failure()
        pool: ConnectionPool[Any] | None = getattr(self, "_pool", None)
        if pool is not None:  # what swallowed this one has most likely swallowed the others
            pool.drain()
        raise errors.OperationalError(f"no answer from the database for {seconds:.1f} s")

    def _exec_command(
        self, command: Any, result_format: Format = Format.TEXT
    ) -> Generator[Any, Any, Any]:
        """Send the transaction's own limits with BEGIN, in the same round trip.

        Such limits hold behind any pooler.
        """
        if not (isinstance(command, bytes) and command.startswith(b"BEGIN") and self._own_limits()):
            return (yield from super()._exec_command(command, result_format))
        self._check_connection_ok()
        self.pgconn.send_query(command + self._own_limits())
        results = yield from generators.execute(self.pgconn)
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise errors.error_from_result(result, encoding=self.info.encoding)
        return results[0]

    def _own_limits(self) -> bytes:
        seconds = limits.statement_seconds()
        if seconds is None:
            return b""
        own = {"statement_timeout": f"{seconds:.0f}s"}
        if not self.is_direct:
            own["idle_in_transaction_session_timeout"] = limits.SESSION[
                "idle_in_transaction_session_timeout"
            ]
        return "".join(f"; SET LOCAL {name} = '{value}'" for name, value in own.items()).encode()


def check_connection(connection: psycopg.Connection[Any]) -> None:
    """Check that a connection of the pool still works, before a thread gets it."""
    with limits.set_deadline(CHECK_SECONDS):
        ConnectionPool.check_connection(connection)
