"""Commits that do not wait for the disk.

They are for work that is done again should PostgreSQL crash in the half second after. Transactions
reach the disk in the order of their commits, so a later one that waits makes these durable as well.
"""

from django.db import connection as database

# A column to select, in a statement that is a transaction by itself
QUICK = "set_config('synchronous_commit', 'off', true)"


def commit_without_waiting() -> None:
    """Have the present transaction commit without waiting for the disk."""
    with database.cursor() as cursor:
        cursor.execute(f"SELECT {QUICK}")
