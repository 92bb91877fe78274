"""Commits that do not wait for the disk, for what is done again should PostgreSQL crash in the half
second after.

Transactions reach the disk in the order of their commits, so a later one that waits makes these
durable as well.
"""

from django.db import connection as database

# A column, for a statement that is a transaction by itself
QUICK = "set_config('synchronous_commit', 'off', true)"


def quick() -> None:
    """Inside a transaction: its commit does not wait."""
    with database.cursor() as cursor:
        cursor.execute(f"SELECT {QUICK}")
