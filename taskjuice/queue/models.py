"""What the queue itself keeps: heartbeats of the worker nodes, and flags of wake-ups already queued."""

from django.db import models
from django.db.models.functions import Now


class Heartbeat(models.Model):
    """A worker node that lives. `/readyz` and the pages read it."""

    node = models.CharField(max_length=100, primary_key=True)
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())
    canary_sent_at = models.DateTimeField(null=True)
    canary_ran_at = models.DateTimeField(null=True)
    restarts = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.node


class Wake(models.Model):
    """Whether a wake-up of a single-instance task is queued, so that a burst queues one and not thousands."""

    name = models.CharField(max_length=60, primary_key=True)
    pending = models.BooleanField(default=False)
    since = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
