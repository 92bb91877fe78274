"""Connections to PostgreSQL that wait for an answer no longer than they may."""

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

# Sets the session's limits where the server's process is the one this client was told of: behind a
# pooler it is not, and what is set there for a session would be somebody else's a moment later.
SET_SESSION = """
SELECT set_config(name, value, false)
  FROM unnest(%s::text[], %s::text[]) AS new (name, value) WHERE pg_backend_pid() = %s
"""


class Connection(psycopg.Connection[Any]):
    """`is_direct`: no pooler stands between, so the session is this connection's own."""

    is_direct = False

    def set_limits(self) -> None:
        """Find out whether the session is ours, and limit it on the server's side where it is."""
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
        """Have the server stop. One that does not even do that is not there: the connection is
        given up.
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
        """BEGIN brings the transaction's own limits along, in the same round trip; they hold behind
        any pooler.
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


def check(connection: psycopg.Connection[Any]) -> None:
    """Ask a connection of the pool whether it still works, before it is given to somebody."""
    with limits.within(CHECK_SECONDS):
        ConnectionPool.check_connection(connection)
