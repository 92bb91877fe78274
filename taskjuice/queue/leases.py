"""Leases on rows: one process at a time works on what a row stands for. Times are the database's.

A row has `lease_token`, `lease_until` and `lease_holder`, which names the process, so that what a killed one held is
free at once and not only when its lease ends. Who may take a lease and when is each table's own statement.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection as database
from django.db.models import Model
from django.db.models.functions import Now

from taskjuice.queue import processes


class LeaseLost(Exception):
    """Somebody else works on it now; nothing may be written under the old lease."""


@dataclass(frozen=True, slots=True)
class Lease:
    connection_id: int
    token: UUID


def acquire(statement: str, connection_id: int, values: Mapping[str, Any]) -> Lease | None:
    """By an UPDATE that sets the lease (`id`, `holder` and `values` are its parameters) and returns its token."""
    with database.cursor() as cursor:
        cursor.execute(statement, {**values, "id": connection_id, "holder": processes.identity()})
        row = cursor.fetchone()
    return Lease(connection_id, row[0]) if row else None


def free_dead(model: type[Model]) -> None:
    """The sweep: what processes held that are dead is free now."""
    rows = model._default_manager.filter(lease_until__gt=Now())
    for pk, token, holder in rows.values_list("pk", "lease_token", "lease_holder"):
        if holder and processes.is_dead(holder):
            rows.filter(pk=pk, lease_token=token).update(lease_until=Now())
