"""The queue's own tables: heartbeats, and flags of wake-ups already queued."""

from django.db import models
from django.db.models.functions import Now


class NodeKind(models.TextChoices):
    WORKER = "worker"
    WEB = "web"


class Heartbeat(models.Model):
    """A living worker node or web process. `/readyz` and the rotation of keys read it.

    `keys` names the keys that it knows, by setting, in order: {"TOKEN_KEYS": ["9f86d081884c", …]}.
    It is null for a process of an older release, which does not say.
    """

    node = models.CharField(max_length=100, primary_key=True)
    kind = models.CharField(max_length=10, choices=NodeKind, db_default=NodeKind.WORKER)
    keys = models.JSONField(null=True)
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())
    canary_sent_at = models.DateTimeField(null=True)
    canary_ran_at = models.DateTimeField(null=True)
    restarts = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.node


class Wake(models.Model):
    """A flag that a wake-up of a single-instance task is queued, so that a burst queues only one."""

    name = models.CharField(max_length=60, primary_key=True)
    pending = models.BooleanField(default=False)
    since = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
