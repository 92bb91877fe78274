"""Django's backend for PostgreSQL with a time limit on every wait (`ENGINE` in the settings).

It detects whether a pooler in transaction mode, such as PgBouncer, stands between: there all
clients share the sessions, so nothing may outlive its transaction.
"""

from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base, schema
from psycopg import IsolationLevel
from psycopg_pool import ConnectionPool

from taskjuice.database import limits
from taskjuice.database.breaker import breaker
from taskjuice.database.connecting import LimitedConnection, check_connection

# A migration that waits for a lock makes every statement behind it wait as well.
LOCK_SECONDS = 2


class DatabaseSchemaEditor(schema.DatabaseSchemaEditor):
    def __enter__(self) -> Any:
        entered = super().__enter__()
        if self.atomic_migration and not self.collect_sql:
            self.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        return entered


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = DatabaseSchemaEditor

    @property
    def pool(self) -> ConnectionPool[LimitedConnection] | None:
        """Return the pool of this process, or None where the settings ask for none."""
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        pools: dict[str, ConnectionPool[LimitedConnection]] = self._connection_pools  # type: ignore[attr-defined]
        if self.alias not in pools:
            # Not Django's own pool: it checks connections without a time limit.
            pool = ConnectionPool(
                kwargs=self.get_connection_params(),
                connection_class=LimitedConnection,
                open=False,
                configure=self._set_up,
                check=check_connection,
                **options,
            )
            pools.setdefault(self.alias, pool)  # another thread may have been quicker
        return pools[self.alias]

    def get_connection_params(self) -> dict[str, Any]:
        return limits.SOCKET | {"autocommit": True} | super().get_connection_params()

    def get_new_connection(self, conn_params: dict[str, Any]) -> LimitedConnection:
        self.isolation_level = IsolationLevel.READ_COMMITTED
        pool = self.pool
        if pool is None:
            return LimitedConnection.connect(**conn_params)
        pool.open()
        with breaker.guard():
            connection: LimitedConnection = pool.getconn(timeout=limits.seconds_left(pool.timeout))
        return connection

    def _configure_connection(self, connection: LimitedConnection) -> bool:
        """Set up a new connection outside the pool; return whether Django has to commit then."""
        self._set_up(connection)
        return True

    def _set_up(self, connection: LimitedConnection) -> None:
        connection.set_limits()
        super()._configure_connection(connection)  # type: ignore[misc]  # unknown to django-stubs

    def chunked_cursor(self) -> Any:
        """Return a server-side cursor where the session is ours, otherwise an ordinary one."""
        # Outside a transaction such a cursor belongs to its session, which a pooler gives to others.
        self.ensure_connection()
        assert self.connection is not None
        if self.connection.autocommit and not self.connection.is_direct:
            return self.cursor()
        return super().chunked_cursor()
