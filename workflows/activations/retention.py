"""Removal of old history, and its exceptions: docs/decisions/0011-retention.md."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.signals import post_migrate
from django.utils import timezone

from connections.models import OPEN_CALLS, Call, Event
from taskjuice.partitions import Partitioned
from taskjuice.queue import pruning
from workflows.models import FINISHED, Activation

STEP_HISTORY = Partitioned("workflows_steprun", "finished_at")
# Steps of what is still to be seen: their activation has not ended, or not long enough ago.
STILL_SEEN = """EXISTS (SELECT FROM workflows_activation a WHERE a.id = h.activation_id
    AND NOT (a.state IN ('succeeded', 'stopped', 'failed', 'cancelled') AND a.finished_at < %(cutoff)s))"""
# An event outlives its activations: while it is known, the same report of it starts nothing again.
# Reports of events older than this are refused (connections.webhooks.parsing.ACCEPTED), so none
# comes back after it was forgotten.
EVENTS_LONGER = timedelta(days=62)


def register() -> None:
    pruning.add_pruner("months of step history", drop_step_history)
    pruning.add_pruner("activations", delete_activations)
    pruning.add_pruner("events", delete_events)
    post_migrate.connect(_make_partitions, dispatch_uid="workflows.activations.retention")


def drop_step_history(before: datetime) -> int:
    """Drop whole months of step history and create those ahead; return how many were dropped.

    Nodes that do not own the table leave it to `manage.py prune`.
    """
    if not STEP_HISTORY.is_ours():
        return 0
    STEP_HISTORY.make_ahead(timezone.now())
    return len(STEP_HISTORY.drop_before(before, keep=STILL_SEEN))


def delete_activations(before: datetime) -> int:
    """Delete ended activations, except those with a write whose outcome is open."""
    open_calls = Call.objects.filter(activation_id=OuterRef("pk"), state__in=OPEN_CALLS)
    ended = Activation.objects.filter(state__in=FINISHED, finished_at__lt=before).exclude(
        Exists(open_calls)
    )
    return pruning.delete_batch(ended, born="created_at", before=before)


def delete_events(before: datetime) -> int:
    """Delete events that no activation needs."""
    before -= EVENTS_LONGER
    needed = Activation.objects.filter(event=OuterRef("pk"))
    forgotten: QuerySet[Event] = Event.objects.filter(
        received_at__lt=before, occurred_at__lt=before
    )
    return pruning.delete_batch(
        forgotten.exclude(Exists(needed)), born="received_at", before=before
    )


def _make_partitions(sender: Any, **_: Any) -> None:
    """Create partitions after `migrate`, unless a backward migration left a plain table."""
    if sender.name == "workflows" and STEP_HISTORY.exists():
        STEP_HISTORY.make_ahead(timezone.now())
