"""Leases on rows, so that one process at a time works on each. Times are the database's.

A row has `lease_token`, `lease_until` and `lease_holder`, which names the process, so that what a
killed one held is free at once and not only when its lease ends. Each table has its own statement
that says when a lease may be taken.

A process may also live on without working on what it holds: its database went away before it could
give a lease back. It frees those itself when its next task starts, and the node's sweep frees them
where it has none.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import Error, close_old_connections
from django.db import connection as database
from django.db.models import Model
from django.db.models.functions import Now

from taskjuice.database.outages import OUTAGE, retry_during_outage
from taskjuice.queue import clock, processes

logger = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Another process works on the row now; nothing may be written under the old lease."""


@dataclass(frozen=True, slots=True)
class Lease:
    connection_id: int
    token: UUID


_held: dict[UUID, type[Model]] = {}  # what this process has taken and not yet given back
_idle_checks: list[Callable[[str], bool]] = []


def acquire(
    model: type[Model], statement: str, connection_id: int, values: Mapping[str, Any]
) -> Lease | None:
    """Take a lease by an UPDATE of the model's row that sets it and returns the time.

    The statement's parameters are `id`, `token`, `holder` and `values`. Return None where it
    changes no row.
    """
    lease = Lease(connection_id, uuid4())
    own: dict[str, Any] = {
        "id": connection_id,
        "token": lease.token,
        "holder": processes.identify_process(),
    }
    try:
        with database.cursor() as cursor:
            cursor.execute(statement, {**values, **own})
            row = cursor.fetchone()
    except OUTAGE:  # it may be committed all the same, and no process would use it
        mine = model._default_manager.filter(pk=connection_id, lease_token=lease.token)
        retry_during_outage(lambda: mine.update(lease_until=Now()))
        raise
    if row is None:
        return None
    clock.note(row[0])
    _held[lease.token] = model
    return lease


def note_release(lease: Lease) -> None:
    """Note that the lease was given back, or that another process has it by now."""
    _held.pop(lease.token, None)


def free_unreturned() -> None:
    """Free what earlier tasks of this process could not give back; a task is about to start."""
    try:
        for token, model in list(_held.items()):
            model._default_manager.filter(lease_token=token, lease_until__gt=Now()).update(
                lease_until=Now()
            )
            del _held[token]
    except Error:  # outside a task an exception would end the process; the next one tries again
        logger.exception("a lease could not be given back")
        close_old_connections()


def add_idle_check(is_idle: Callable[[str], bool]) -> None:
    """Have the sweep also ask this about a living holder: is it certainly in no task?"""
    _idle_checks.append(is_idle)


def free_abandoned(model: type[Model]) -> list[int]:
    """Free the leases of dead or idle processes, and return the keys of their rows; a sweep runs
    this.
    """
    freed = []
    rows = model._default_manager.filter(lease_until__gt=Now())
    # The token is read before the holder is checked: what it has taken since has another token.
    for pk, token, holder in rows.values_list("pk", "lease_token", "lease_holder"):
        is_left = holder and (
            processes.is_dead(holder) or any(is_idle(holder) for is_idle in _idle_checks)
        )
        if is_left and rows.filter(pk=pk, lease_token=token).update(lease_until=Now()):
            freed.append(pk)
    return freed
