"""Incidents, and the notification settings of each person."""

from django.db import models
from django.db.models.functions import Now

from taskjuice.workspaces.models import Agency, User, Workspace


class Kind(models.TextChoices):
    REAUTHORISE = "reauthorise", "A connection needs to be reauthorised"
    WEBHOOKS = "webhooks", "Xero’s webhooks do not come through"
    DECIDE = "decide", "A write needs a decision"
    SAFETY = "safety", "A workflow paused itself after failures in a row"
    FAILED = "failed", "Activations of a workflow fail"
    EMAILS = "emails", "The day’s e-mails of workflows are used up"
    PARKED = "parked", "A connection waits for Xero’s limits for more than an hour"


class Cadence(models.TextChoices):
    IMMEDIATE = "immediate", "At once"
    DAILY = "daily", "Once a day"
    OFF = "off", "Not by e-mail"


class Incident(models.Model):
    """A problem in an agency that needs attention, open until its cause is gone.

    `key` identifies its subject among those of its kind; `name` is shown; `path` is the page on
    which it can be fixed.
    """

    agency = models.ForeignKey(Agency, models.CASCADE, related_name="incidents")
    workspace = models.ForeignKey(Workspace, models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind)
    key = models.CharField(max_length=100)
    name = models.CharField(max_length=300)
    path = models.CharField(max_length=300)
    opened_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "agency",
                "kind",
                "key",
                condition=models.Q(closed_at=None),
                name="incident_open_once",
            ),
        )
        indexes = (models.Index(fields=["agency", "-opened_at"], name="incident_newest"),)

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


class Told(models.Model):
    """A person was sent an incident: once, by whatever way."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    incident = models.ForeignKey(Incident, models.CASCADE, related_name="told", db_index=False)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (models.UniqueConstraint("incident", "user", name="told_once"),)

    def __str__(self) -> str:
        return f"{self.user_id} was told of {self.incident_id}"


class Wish(models.Model):
    """A person's setting for a kind; without one the default of their role applies (reading.py)."""

    user = models.ForeignKey(User, models.CASCADE, related_name="notice_wishes")
    kind = models.CharField(max_length=20, choices=Kind)
    cadence = models.CharField(max_length=10, choices=Cadence)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "kind"), name="wish_once"),)

    def __str__(self) -> str:
        return f"{self.user_id}: {self.kind} {self.cadence}"


class Reader(models.Model):
    """The time until which a person has read an agency's notifications, and of their last digest."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    agency = models.ForeignKey(Agency, models.CASCADE, related_name="+")
    read_at = models.DateTimeField(null=True)
    digest_on = models.DateField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "agency"), name="reader_once"),)

    def __str__(self) -> str:
        return f"{self.user_id} in {self.agency_id}"
