"""The queue's own tasks. Dotted paths are part of queued messages: never rename them."""

from django.db.models.functions import Now

from taskjuice.queue import pruning
from taskjuice.queue.models import Heartbeat


def canary(node: str) -> None:
    """Note that a message made its way through pusher and worker."""
    Heartbeat.objects.filter(node=node).update(canary_ran_at=Now())


def prune() -> None:
    if not pruning.prune_history(seconds=pruning.TASK_SECONDS).finished:
        pruning.request_pruning()
