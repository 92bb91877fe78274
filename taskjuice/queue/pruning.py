"""Removing what is older than anybody needs, a little at a time. Every worker node asks for it once
a day.

An app adds its pruners in `ready()`, whoever points at a row before the row itself. What has not
ended stays. History goes by whole months: it is kept `HISTORY_DAYS` at least, and a month longer at
most.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

from taskjuice.database import limits
from taskjuice.partitions import month_of
from taskjuice.queue import wake

TASK = "taskjuice.queue.tasks.prune"
BATCH = 1000  # rows of one transaction
BATCH_SECONDS = 60.0  # of a statement in it
TASK_SECONDS = 60.0  # of one task, which may take 120; the rest is done by the next one
LOCK = 7_239_110_451  # an arbitrary number, ours alone: one pruning at a time


@dataclass(frozen=True, slots=True)
class Pruner:
    """`run` removes a batch of what ended before an instant and says how many; 0 when nothing is
    left.
    """

    name: str
    run: Callable[[datetime], int]


PRUNERS: list[Pruner] = []


def add(name: str, run: Callable[[datetime], int]) -> None:
    PRUNERS.append(Pruner(name, run))


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many of each were removed, and whether that was all there is to remove."""

    counts: dict[str, int]
    finished: bool


def cutoff() -> datetime:
    """What ended before this is removed: the beginning of a month."""
    return month_of(timezone.now() - timedelta(days=settings.HISTORY_DAYS))


def prune(*, seconds: float = float("inf")) -> Pruned:
    """Remove what is due, for so many seconds. Nothing is done while somebody else is at it."""
    counts: Counter[str] = Counter()
    ends, before = time.monotonic() + seconds, cutoff()
    for pruner in PRUNERS:
        while removed := _run_alone(pruner, before):
            counts[pruner.name] += removed
            if time.monotonic() > ends:
                return Pruned(dict(counts), finished=False)
        if removed is None:
            return Pruned({}, finished=True)
        counts[pruner.name] += 0  # said also where there was nothing
    return Pruned(dict(counts), finished=True)


def ask() -> None:
    """The sweep: prune in a task, where there is time for it."""
    wake.enqueue(TASK)


def delete_batch(rows: "QuerySet[Any]", *, born: str, before: datetime) -> int:
    """Delete the first of `rows` with what hangs off them; how many. `born` is the column of when a
    row was made.

    Keys grow with that column, so the walk ends where rows are too young, however long the table
    is.
    """
    last = _last_key(rows.model, born, before)
    with transaction.atomic():
        found = (
            rows.filter(pk__lte=last)
            .order_by("pk")
            .select_for_update(of=("self",), skip_locked=True)
        )
        keys = list(found.values_list("pk", flat=True)[:BATCH])
        rows.model._default_manager.filter(pk__in=keys).delete()
    return len(keys)


def _last_key(model: type[Model], born: str, before: datetime) -> int:
    """About the last key of a row made before then, by halving the range of keys; 0 where there is
    none.
    """
    rows = model._default_manager.order_by("pk")
    newest = rows.values_list("pk", flat=True).last() or 0
    low, high = 0, newest + 1
    while high - low > 1:
        middle = (low + high) // 2
        made = rows.filter(pk__gte=middle).values_list(born, flat=True).first()
        low, high = (middle, high) if made is not None and made < before else (low, middle)
    return low


def _run_alone(pruner: Pruner, before: datetime) -> int | None:
    """Remove one batch; how many, or None while somebody else is at it. The lock is the
    transaction's.
    """
    with limits.patiently(BATCH_SECONDS), transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            [is_alone] = cursor.fetchone()
        return pruner.run(before) if is_alone else None
