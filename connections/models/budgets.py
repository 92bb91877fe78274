"""Rate limits of tenants."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Budget(models.Model):
    """The state of a tenant's rate limits. One more row, with a tenant of zeros, is of the whole
    app.

    The provider's windows are fixed, but it does not say when they end. `minute_ends` is the latest
    moment at which the running one may end and `minute_seen` the last at which it had not ended
    yet; both move towards the truth (xero/api/rate_limits.py). `slots` holds when the lease of each
    call in flight ends. Times are the database's.
    """

    provider = models.CharField(max_length=30)
    tenant_id = models.UUIDField()
    minute_used = models.IntegerField(db_default=0)
    minute_ends = models.DateTimeField(db_default=Now())
    minute_seen = models.DateTimeField(db_default=Now())
    day_used = models.IntegerField(db_default=0)
    day_ends = models.DateTimeField(db_default=Now())
    day_seen = models.DateTimeField(db_default=Now())
    slots = ArrayField(models.DateTimeField(), default=list)
    parked_until = models.DateTimeField(null=True)
    parked_why = models.CharField(max_length=20, db_default="")  # minute, day, concurrent, app

    class Meta:
        constraints = (
            models.UniqueConstraint("provider", "tenant_id", name="budget_once_per_tenant"),
        )

    def __str__(self) -> str:
        return f"budget of {self.provider} {self.tenant_id}"
