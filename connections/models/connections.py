"""Connections: one tenant in one workspace each."""

from django.db import models
from django.db.models.functions import Now

from connections.models.grants import Grant
from taskjuice.workspaces.models import Agency, User, Workspace


class ConnectionState(models.TextChoices):
    ACTIVE = "active"
    PENDING = "pending"
    ERROR = "error"  # needs reauthorising
    REVOKED = "revoked"


class ConnectionProblem(models.TextChoices):
    """The reason why a connection does not work; the pages say for each what to do next."""

    NONE = "", "None"
    GRANT_REFUSED = "grant-refused"  # the provider does not renew the tokens
    TENANT_GONE = "tenant-gone"  # somebody disconnected us at the provider
    SCOPE_MISSING = "scope-missing"
    NOT_PERMITTED = (
        "not-permitted"  # the person who consented may not do everything at the provider
    )
    NOT_REACHED = "not-reached"  # connected, but the provider did not describe the tenant yet


class Connection(models.Model):
    """One tenant in one workspace."""

    agency = models.ForeignKey(Agency, models.CASCADE, related_name="connections")
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="connections")
    grant = models.ForeignKey(Grant, models.PROTECT, null=True, related_name="connections")
    provider = models.CharField(max_length=30)
    tenant_id = models.UUIDField()
    provider_connection_id = models.UUIDField(null=True)
    name = models.CharField(max_length=254)  # as the provider names the tenant
    # What the provider says of the tenant: legal_name, country, currency, timezone (IANA's
    # name, empty where unknown), timezone_name (in words), short_code, demo
    details = models.JSONField(default=dict)
    state = models.CharField(
        max_length=10, choices=ConnectionState, default=ConnectionState.PENDING
    )
    problem = models.CharField(max_length=20, choices=ConnectionProblem, blank=True, db_default="")
    reason = models.CharField(max_length=300, blank=True)
    paused_at = models.DateTimeField(null=True)
    connected_by = models.ForeignKey(User, models.SET_NULL, null=True)
    # By whom without an account; composite key holds it in one workspace
    connected_through = models.ForeignKey(
        "ConnectLink", models.SET_NULL, null=True, related_name="connections"
    )
    connected_at = models.DateTimeField(db_default=Now())
    last_webhook_at = models.DateTimeField(null=True)
    last_sync_at = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "workspace", "provider", "tenant_id", name="connection_once_in_workspace"
            ),
            models.UniqueConstraint(
                "agency",
                "provider",
                "tenant_id",
                condition=~models.Q(state="revoked"),
                name="connection_once_in_agency",
            ),
            # Targets of composite foreign keys (migration 0002).
            models.UniqueConstraint("id", "workspace", name="connection_with_workspace"),
            models.UniqueConstraint("id", "agency", name="connection_with_agency"),
        )
        indexes = (models.Index(fields=["provider", "tenant_id"], name="connection_by_tenant"),)

    def __str__(self) -> str:
        return self.name
