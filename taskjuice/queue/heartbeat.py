"""The sign of life of worker nodes."""

from datetime import timedelta

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from taskjuice.queue import processes
from taskjuice.queue.models import Heartbeat

FRESH = timedelta(seconds=30)
LOST = timedelta(hours=1)  # without a sign of life a node of another host is taken for gone for good


def beat(node: str) -> None:
    Heartbeat.objects.update_or_create(node=node, defaults={"beat_at": Now()})


def fresh() -> QuerySet[Heartbeat]:
    """The nodes that beat lately, by the database's clock."""
    return Heartbeat.objects.filter(beat_at__gt=Now() - FRESH)


def is_fresh() -> bool:
    return fresh().exists()


def is_fresh_here() -> bool:
    """Return whether a node of this machine, or of this container, beat lately."""
    return fresh().filter(node__startswith=processes.host_prefix()).exists()


def restarted(node: str) -> None:
    Heartbeat.objects.filter(node=node).update(restarts=F("restarts") + 1)


def forget(node: str) -> None:
    Heartbeat.objects.filter(node=node).delete()


def forget_dead() -> None:
    """Drop nodes of this host that are gone (killed, they left no word), and those of hosts that never came back."""
    Heartbeat.objects.filter(beat_at__lt=Now() - LOST).delete()
    for node in Heartbeat.objects.values_list("node", flat=True):
        if processes.is_dead(node):
            forget(node)
