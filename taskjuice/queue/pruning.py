"""Pruning: old rows are removed a little at a time. Every worker node requests it once a day.

An app adds its pruners in `ready()`, those of referring rows before those of the rows referred to.
What has not ended stays. History goes by whole months: it is kept `HISTORY_DAYS` at least, and a
month longer at most.
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
from taskjuice.partitions import get_month_start
from taskjuice.queue import wake

TASK = "taskjuice.queue.tasks.prune"
BATCH = 1000  # rows of one transaction
BATCH_SECONDS = 60.0  # of a statement in it
TASK_SECONDS = 60.0  # of one task, which may take 120; the rest is done by the next one
LOCK = 7_239_110_451  # an arbitrary advisory lock: one pruning at a time


@dataclass(frozen=True, slots=True)
class Pruner:
    """A kind of rows to prune. `run` removes a batch that ended before an instant and returns its
    size.
    """

    name: str
    run: Callable[[datetime], int]


PRUNERS: list[Pruner] = []


def add_pruner(name: str, run: Callable[[datetime], int]) -> None:
    PRUNERS.append(Pruner(name, run))


@dataclass(frozen=True, slots=True)
class Pruned:
    """The number of rows removed of each kind. `finished`: nothing is left to remove."""

    counts: dict[str, int]
    finished: bool


def compute_cutoff() -> datetime:
    """Return the beginning of the month before which history is removed."""
    return get_month_start(timezone.now() - timedelta(days=settings.HISTORY_DAYS))


def prune_history(*, seconds: float = float("inf")) -> Pruned:
    """Remove what is due, for so many seconds; do nothing while another process is pruning."""
    counts: Counter[str] = Counter()
    ends, before = time.monotonic() + seconds, compute_cutoff()
    for pruner in PRUNERS:
        while removed := _run_alone(pruner, before):
            counts[pruner.name] += removed
            if time.monotonic() > ends:
                return Pruned(dict(counts), finished=False)
        if removed is None:
            return Pruned({}, finished=True)
        counts[pruner.name] += 0  # named also where nothing was removed
    return Pruned(dict(counts), finished=True)


def request_pruning() -> None:
    """Queue the task that prunes, which has more time than a sweep."""
    wake.enqueue_task(TASK)


def delete_batch(rows: "QuerySet[Any]", *, born: str, before: datetime) -> int:
    """Delete the first of `rows` with what depends on them; return how many.

    `born` is the column that says when a row was made.
    """
    # Keys grow with `born`, so the scan ends where rows are too young, however long the table is.
    last = _last_key(rows.model, born, before)
    with transaction.atomic():
        locked = (
            rows.filter(pk__lte=last)
            .order_by("pk")
            .select_for_update(of=("self",), skip_locked=True)
        )
        keys = list(locked.values_list("pk", flat=True)[:BATCH])
        rows.model._default_manager.filter(pk__in=keys).delete()
    return len(keys)


def _last_key(model: type[Model], born: str, before: datetime) -> int:
    """Return about the last key of a row made before then; 0 where there is none."""
    # A binary search over the primary key: `born` has no index of its own.
    rows = model._default_manager.order_by("pk")
    newest = rows.values_list("pk", flat=True).last() or 0
    low, high = 0, newest + 1
    while high - low > 1:
        middle = (low + high) // 2
        made_at = rows.filter(pk__gte=middle).values_list(born, flat=True).first()
        low, high = (middle, high) if made_at is not None and made_at < before else (low, middle)
    return low


def _run_alone(pruner: Pruner, before: datetime) -> int | None:
    """Remove one batch and return its size; None while another process is pruning."""
    with limits.allow_slow_statements(BATCH_SECONDS), transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            [is_alone] = cursor.fetchone()
        return pruner.run(before) if is_alone else None
