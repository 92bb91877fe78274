"""Django's backend for PostgreSQL, except that nothing waits for the database without end (`ENGINE`
of the settings).

It also tells by itself whether a pooler in transaction mode stands between, as PgBouncer: there a
session is shared by all, so nothing may outlive its transaction.
"""

from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base, schema
from psycopg import IsolationLevel
from psycopg_pool import ConnectionPool

from taskjuice.database import limits
from taskjuice.database.breaker import breaker
from taskjuice.database.connecting import Connection, check

LOCK_SECONDS = 2  # that a migration waits for a lock; longer it would hold up everybody behind it


class DatabaseSchemaEditor(schema.DatabaseSchemaEditor):
    def __enter__(self) -> Any:
        entered = super().__enter__()
        if self.atomic_migration and not self.collect_sql:
            self.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        return entered


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = DatabaseSchemaEditor

    @property
    def pool(self) -> ConnectionPool[Connection] | None:
        """The process's pool, where the settings ask for one; Django's own would check connections
        without limit.
        """
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        pools: dict[str, ConnectionPool[Connection]] = self._connection_pools  # type: ignore[attr-defined]
        if self.alias not in pools:
            made = ConnectionPool(
                kwargs=self.get_connection_params(),
                connection_class=Connection,
                open=False,
                configure=self._set_up,
                check=check,
                **options,
            )
            pools.setdefault(self.alias, made)  # another thread may have been quicker
        return pools[self.alias]

    def get_connection_params(self) -> dict[str, Any]:
        return limits.SOCKET | {"autocommit": True} | super().get_connection_params()

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        self.isolation_level = IsolationLevel.READ_COMMITTED
        pool = self.pool
        if pool is None:
            return Connection.connect(**conn_params)
        pool.open()
        with breaker.guard():
            connection: Connection = pool.getconn(timeout=limits.seconds_left(pool.timeout))
        return connection

    def _configure_connection(self, connection: Connection) -> bool:
        """Django calls this for each new connection that is not of the pool; whether it has to
        commit then.
        """
        self._set_up(connection)
        return True

    def _set_up(self, connection: Connection) -> None:
        connection.set_limits()
        super()._configure_connection(connection)  # type: ignore[misc]  # unknown to django-stubs

    def chunked_cursor(self) -> Any:
        """Outside a transaction a cursor of the server's belongs to its session, which a pooler
        gives to others.
        """
        self.ensure_connection()
        assert self.connection is not None
        if self.connection.autocommit and not self.connection.is_direct:
            return self.cursor()
        return super().chunked_cursor()
