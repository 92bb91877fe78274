"""The sign of life of worker nodes."""

from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Now

from taskjuice.queue.models import Heartbeat

FRESH = timedelta(seconds=30)


def beat(node: str) -> None:
    Heartbeat.objects.update_or_create(node=node, defaults={"beat_at": Now()}, create_defaults={"started_at": Now()})


def is_fresh() -> bool:
    """Whether any worker node beat lately, by the database's clock."""
    return Heartbeat.objects.filter(beat_at__gt=Now() - FRESH).exists()


def restarted(node: str) -> None:
    Heartbeat.objects.filter(node=node).update(restarts=F("restarts") + 1)
