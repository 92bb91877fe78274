"""Deliveries of webhooks, the events in them, and requests that were refused."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from connections.models.connections import Connection
from taskjuice.exact_json import ExactJSONField
from taskjuice.workspaces.models import Agency, Workspace


class DeliveryState(models.TextChoices):
    WAITING = "waiting"
    DONE = "done"
    UNPARSABLE = "unparsable"
    FAILED = "failed"  # our own fault: see the log, then replay


class Delivery(models.Model):
    """One webhook request as received: its raw body and verdict. Only correctly signed ones are
    stored.
    """

    provider = models.CharField(max_length=30)
    body = models.BinaryField()
    sha256 = models.BinaryField(max_length=32)
    received_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=10, choices=DeliveryState, db_default=DeliveryState.WAITING)
    # valid, intent to receive, duplicate, unknown tenant, no subscriber, unparsable; empty while it
    # waits
    verdict = models.CharField(max_length=20, db_default="")
    reason = models.CharField(max_length=300, db_default="")
    events = models.PositiveIntegerField(db_default=0)
    activations = models.PositiveIntegerField(db_default=0)
    processed_at = models.DateTimeField(null=True)
    # From the request's arrival to its storing, milliseconds; the commit and the empty answer
    # follow at once
    answer_ms = models.FloatField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = (
            models.Index(
                fields=["id"], condition=models.Q(state="waiting"), name="delivery_waiting"
            ),
            models.Index(fields=["-received_at"], name="delivery_newest"),
            models.Index(
                fields=["-id"],
                condition=models.Q(verdict="intent to receive"),
                name="delivery_check",
            ),
        )

    def __str__(self) -> str:
        return f"delivery {self.pk} of {self.provider}"


class Mention(models.Model):
    """One delivery's report on one connection: how many events, and how many of them were new.

    It decides what an agency may see of the deliveries, newest first by an index, duplicates
    included. Composite keys check its owner (migration 0014); simple ones beside them would only
    check it again.
    """

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="mentions", db_index=False)
    agency = models.ForeignKey(
        Agency, models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    workspace = models.ForeignKey(
        Workspace, models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="+", db_constraint=False
    )
    events = models.PositiveIntegerField()
    fresh = models.PositiveIntegerField()
    # Activations started when it came; None on rows older than this count.
    activations = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint("delivery", "connection", name="mention_once"),)
        indexes = (
            models.Index(fields=["agency", "-delivery"], name="mention_newest_in_agency"),
            models.Index(fields=["workspace", "-delivery"], name="mention_newest"),
        )

    def __str__(self) -> str:
        return f"{self.connection_id} in delivery {self.delivery_id}"


class Refusal(models.Model):
    """Webhook requests with a wrong signature, counted per minute. Nothing else about them is kept."""

    provider = models.CharField(max_length=30)
    minute = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint("provider", "minute", name="refusal_once_per_minute"),
        )

    def __str__(self) -> str:
        return f"{self.count} refused at {self.minute}"


class Event(models.Model):
    """One change reported in a delivery: unique, and of one connection.

    A composite key checks connection and workspace together (migration 0003).
    """

    workspace = models.ForeignKey(Workspace, models.CASCADE, db_constraint=False)
    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="events", db_index=False, db_constraint=False
    )
    delivery = models.ForeignKey(Delivery, models.SET_NULL, null=True)
    # As the provider names it, in upper case: INVOICE, CONTACT.
    category = models.CharField(max_length=30)
    type = models.CharField(max_length=20)  # CREATE, UPDATE
    resource_id = models.UUIDField()
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    recovered = models.BooleanField(default=False)  # found by a catch-up read, not by a webhook
    # Caused by a step of a workflow: starts nothing unless a workflow wants that too, else two
    # could chase each other
    ours = models.BooleanField(default=False)
    # Nobody can tell yet: a write of a step, whose answer is awaited, may have caused it.
    undecided = models.BooleanField(db_default=False)
    # What led to it: the workflows of the activation that caused it and of those before (keys of
    # the app workflows)
    chain = ArrayField(models.BigIntegerField(), db_default=models.Value("{}"), default=list)
    # What the integration knows of it beyond what all events have; webhooks tell nothing more
    details = ExactJSONField(default=dict, db_default=models.Value({}, ExactJSONField()))

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "connection", "category", "resource_id", "type", "occurred_at", name="event_once"
            ),
            models.UniqueConstraint("id", "connection", name="event_with_connection"),
        )
        indexes = (
            models.Index(fields=["connection", "-received_at"], name="event_newest"),
            models.Index(
                fields=["received_at"], condition=models.Q(recovered=True), name="event_recovered"
            ),
            models.Index(fields=["id"], condition=models.Q(undecided=True), name="event_undecided"),
        )

    def __str__(self) -> str:
        return f"{self.category} {self.type} {self.resource_id}"


class StrayEvent(models.Model):
    """An event that cannot be acted on: its tenant is not connected here, or its fields are
    invalid.
    """

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="strays")
    reason = models.CharField(max_length=100)
    tenant_id = models.CharField(max_length=100, blank=True)
    content = models.TextField()  # the event's JSON, cut to 2,000 characters

    def __str__(self) -> str:
        return f"stray: {self.reason}"
