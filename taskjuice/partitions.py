"""Tables that only grow, kept in partitions of one month each, so that what is old goes by dropping
a table.

A partitioned table has a default partition too: whatever has no month of its own still finds its
place. All months are UTC's. Names of tables and columns are the code's own, never typed by anybody.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection as database
from django.db import transaction
from django.db.backends.utils import CursorWrapper

LOCK_SECONDS = 3  # longer nobody is kept waiting; the next run tries again
AHEAD = 3  # months made before they begin

BOUNDS = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = %s::regclass
"""
NEW = "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
# The default partition may hold rows of that month by now.
FILL = """
WITH moved AS (DELETE FROM {table}_default WHERE {column} >= %(start)s AND {column} < %(end)s RETURNING *)
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
        """The partitions of this month and the next ones, where they are missing; their names."""
        first = month_of(now)
        ends = self.ends()
        covered = max(ends.values(), default=first)
        made = []
        for number in range(AHEAD + 1):
            start = later(first, number)
            if start >= covered:
                made.append(self._make(start, later(start, 1)))
        return made

    def drop_before(self, cutoff: datetime, *, keep: str) -> list[str]:
        """Drop partitions that end at `cutoff` or sooner; rows for which the SQL `keep` holds (of
        alias h) move to the default partition. `keep` may use the parameter %(cutoff)s. Names of
        what was dropped.
        """
        old = sorted(name for name, end in self.ends().items() if end <= cutoff)
        for name in old:
            self._drop(name, keep, cutoff)
        return old

    def exists(self) -> bool:
        """Whether the table is there and partitioned; between two migrations it may not be."""
        with database.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_partitioned_table WHERE partrelid = to_regclass(%s)", [self.table]
            )
            return cursor.fetchone() is not None

    def is_ours(self) -> bool:
        """Whether the database's user owns the table: nobody else may make and drop its partitions."""
        with database.cursor() as cursor:
            cursor.execute(
                "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = %s::regclass",
                [self.table],
            )
            return bool(cursor.fetchone()[0])

    def ends(self) -> dict[str, datetime]:
        """Where each partition ends, the default one left out."""
        with database.cursor() as cursor:
            cursor.execute(BOUNDS, [self.table])
            bounds = cursor.fetchall()
        found = ((name, UPPER.search(bound)) for name, bound in bounds)
        return {name: datetime.fromisoformat(match[1]) for name, match in found if match}

    def _make(self, start: datetime, end: datetime) -> str:
        """Filled before it is attached, which locks less than making it in its place."""
        name = f"{self.table}_{start:%Y_%m}"
        names = {"table": self.table, "column": self.column, "name": name}
        with transaction.atomic(), database.cursor() as cursor:
            _be_brief(cursor)
            cursor.execute(NEW.format(**names))
            cursor.execute(FILL.format(**names), {"start": start, "end": end})
            cursor.execute(ATTACH.format(**names, start=start.isoformat(), end=end.isoformat()))
        return name

    def _drop(self, name: str, keep: str, cutoff: datetime) -> None:
        """What is kept is looked for before anything is locked."""
        with transaction.atomic(), database.cursor() as cursor:
            cursor.execute(KEPT.format(name=name, keep=keep), {"cutoff": cutoff})
            _be_brief(cursor)
            cursor.execute(DETACH.format(table=self.table, name=name))
            cursor.execute(PUT_BACK.format(table=self.table))
            cursor.execute(
                "SET CONSTRAINTS ALL IMMEDIATE"
            )  # checked now: a table with checks to come stays
            cursor.execute(f"DROP TABLE {name}")
            cursor.execute("DROP TABLE kept")


def month_of(moment: datetime) -> datetime:
    """Its first instant."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def later(month: datetime, months: int) -> datetime:
    count = month.year * 12 + month.month - 1 + months
    return month.replace(year=count // 12, month=count % 12 + 1)


def _be_brief(cursor: CursorWrapper) -> None:
    """An operation that finds no lock soon gives up instead of holding up everybody behind it."""
    cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
