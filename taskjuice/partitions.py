"""Tables that only grow, partitioned by month, so that old rows go by dropping a table.

A default partition takes whatever has no month of its own. All months are UTC's. Names of tables
and columns are the code's own, never typed by a person.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection as database
from django.db import transaction
from django.db.backends.utils import CursorWrapper

LOCK_SECONDS = 3  # others wait no longer behind it; the next run tries again
AHEAD = 3  # months made before they begin

BOUNDS = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = %s::regclass
"""
NEW = "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
# The default partition may hold rows of that month by now.
FILL = """
WITH moved AS (
    DELETE FROM {table}_default WHERE {column} >= %(start)s AND {column} < %(end)s RETURNING *
)
INSERT INTO {name} SELECT * FROM moved
"""
ATTACH = "ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')"
KEPT = "CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT h.* FROM {name} h WHERE {keep}"
DETACH = "ALTER TABLE {table} DETACH PARTITION {name}"
PUT_BACK = "INSERT INTO {table} SELECT * FROM kept"
UPPER = re.compile(r"TO \('([^']+)'\)")


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A table partitioned by ranges of `column`, an instant."""

    table: str
    column: str

    def make_ahead(self, now: datetime) -> list[str]:
        """Make the missing partitions of this month and the next ones; return their names."""
        first = get_month_start(now)
        ends = self.list_ends()
        covered = max(ends.values(), default=first)
        names = []
        for number in range(AHEAD + 1):
            start = add_months(first, number)
            if start >= covered:
                names.append(self._make(start, add_months(start, 1)))
        return names

    def drop_before(self, cutoff: datetime, *, keep: str) -> list[str]:
        """Drop partitions that end at `cutoff` or sooner; return their names.

        Rows for which the SQL `keep` holds (of alias h) move to the default partition. `keep` may
        use the parameter %(cutoff)s.
        """
        old = sorted(name for name, end in self.list_ends().items() if end <= cutoff)
        for name in old:
            self._drop(name, keep, cutoff)
        return old

    def exists(self) -> bool:
        """Return whether the table exists and is partitioned; between two migrations it may not be."""
        with database.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_partitioned_table WHERE partrelid = to_regclass(%s)", [self.table]
            )
            return cursor.fetchone() is not None

    def is_ours(self) -> bool:
        """Return whether the database's user owns the table: only then may it make and drop
        partitions.
        """
        with database.cursor() as cursor:
            cursor.execute(
                "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = %s::regclass",
                [self.table],
            )
            return bool(cursor.fetchone()[0])

    def list_ends(self) -> dict[str, datetime]:
        """Return the end of each partition by its name, without the default one."""
        with database.cursor() as cursor:
            cursor.execute(BOUNDS, [self.table])
            bounds = cursor.fetchall()
        matches = ((name, UPPER.search(bound)) for name, bound in bounds)
        return {name: datetime.fromisoformat(match[1]) for name, match in matches if match}

    def _make(self, start: datetime, end: datetime) -> str:
        # Filled before it is attached, which locks less than CREATE TABLE … PARTITION OF.
        name = f"{self.table}_{start:%Y_%m}"
        names = {"table": self.table, "column": self.column, "name": name}
        with transaction.atomic(), database.cursor() as cursor:
            _limit_lock_wait(cursor)
            cursor.execute(NEW.format(**names))
            cursor.execute(FILL.format(**names), {"start": start, "end": end})
            cursor.execute(ATTACH.format(**names, start=start.isoformat(), end=end.isoformat()))
        return name

    def _drop(self, name: str, keep: str, cutoff: datetime) -> None:
        # Rows to keep are searched before anything is locked.
        with transaction.atomic(), database.cursor() as cursor:
            cursor.execute(KEPT.format(name=name, keep=keep), {"cutoff": cutoff})
            _limit_lock_wait(cursor)
            cursor.execute(DETACH.format(table=self.table, name=name))
            cursor.execute(PUT_BACK.format(table=self.table))
            # A table with deferred checks to come cannot be dropped.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(f"DROP TABLE {name}")
            cursor.execute("DROP TABLE kept")


def get_month_start(moment: datetime) -> datetime:
    """Return the first instant of the month, in UTC."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def add_months(month: datetime, months: int) -> datetime:
    count = month.year * 12 + month.month - 1 + months
    return month.replace(year=count // 12, month=count % 12 + 1)


def _limit_lock_wait(cursor: CursorWrapper) -> None:
    """Give up on a lock soon, instead of holding up every statement behind this one."""
    cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
