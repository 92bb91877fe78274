"""Grants and connections, the inbox of deliveries and events, and the state of running consents."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from taskjuice.workspaces.models import Agency, User, Workspace


class GrantState(models.TextChoices):
    ACTIVE = "active"
    ERROR = "error"  # the provider refused to refresh: a person must consent again
    REVOKED = "revoked"


class Grant(models.Model):
    """One OAuth token set: one person's consent at one provider for one app. Many connections hang off it.

    `tokens` is Fernet ciphertext of a JSON object that carries the grant's identity beside the tokens, so that
    ciphertext moved between rows does not open (connections/vault.py).
    """

    provider = models.CharField(max_length=30)
    app_id = models.CharField(max_length=100)  # the OAuth client id
    provider_user_id = models.CharField(max_length=100)
    provider_user_name = models.CharField(max_length=254, blank=True)
    granted_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="grants")
    scopes = ArrayField(models.CharField(max_length=100), default=list)
    tokens = models.TextField()
    key_id = models.CharField(max_length=16, db_default="")  # which of TOKEN_KEYS encrypted `tokens`
    access_expires_at = models.DateTimeField()
    refreshed_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(default=1)  # raised by every stored token set; fences late writers
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)  # after a transient refresh failure, not before this
    state = models.CharField(max_length=10, choices=GrantState, default=GrantState.ACTIVE)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint("provider", "app_id", "provider_user_id", name="grant_once_per_user_and_app"),
        )

    def __str__(self) -> str:
        return f"{self.provider} grant of {self.provider_user_name or self.provider_user_id}"


class TokenRefresh(models.Model):
    """One attempt to refresh a grant, for the connection's page. Holds no token."""

    grant = models.ForeignKey(Grant, models.CASCADE, related_name="refreshes")
    at = models.DateTimeField(db_default=Now())
    outcome = models.CharField(max_length=30)  # refreshed, transient, refused, race
    message = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = (models.Index(fields=["grant", "-at"], name="refresh_by_grant"),)

    def __str__(self) -> str:
        return f"{self.outcome} at {self.at}"


class ConnectionState(models.TextChoices):
    ACTIVE = "active"
    PENDING = "pending"
    ERROR = "error"  # needs reauthorising
    REVOKED = "revoked"


class ConnectionProblem(models.TextChoices):
    """Why a connection does not work; the pages say for each what to do next."""

    NONE = "", "None"
    GRANT_REFUSED = "grant-refused"  # the provider does not renew the tokens
    TENANT_GONE = "tenant-gone"  # somebody disconnected us at the provider
    SCOPE_MISSING = "scope-missing"
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
    # What the provider says of the tenant: legal_name, country, currency, timezone, short_code, demo
    details = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=ConnectionState, default=ConnectionState.PENDING)
    problem = models.CharField(max_length=20, choices=ConnectionProblem, blank=True, db_default="")
    reason = models.CharField(max_length=300, blank=True)
    paused_at = models.DateTimeField(null=True)
    connected_by = models.ForeignKey(User, models.SET_NULL, null=True)
    connected_at = models.DateTimeField(db_default=Now())
    last_webhook_at = models.DateTimeField(null=True)
    last_sync_at = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)
    # What the provider said was left of its limits, when last asked
    minute_left = models.IntegerField(null=True)
    day_left = models.IntegerField(null=True)
    limits_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint("workspace", "provider", "tenant_id", name="connection_once_in_workspace"),
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


class Consent(models.Model):
    """One trip to the provider's consent page, from `state` to the tenants it brought.

    `state_hash` and `session_hash` are SHA-256 hex; the state itself is only in the person's browser.
    """

    state_hash = models.CharField(max_length=64, unique=True)
    session_hash = models.CharField(max_length=64)
    provider = models.CharField(max_length=30)
    agency = models.ForeignKey(Agency, models.CASCADE)
    workspace = models.ForeignKey(Workspace, models.CASCADE)
    user = models.ForeignKey(User, models.CASCADE)
    reconnects = models.ForeignKey(Connection, models.CASCADE, null=True)
    nonce = models.CharField(max_length=64)
    code_verifier = models.TextField()  # PKCE; encrypted like tokens
    created_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True)
    exchanged_at = models.DateTimeField(null=True)  # the code was exchanged, or that failed for good
    failure = models.CharField(max_length=300, db_default="")  # why nothing came of it
    grant = models.ForeignKey(Grant, models.SET_NULL, null=True)
    # Tenants of this consent: [{"id": connection id, "tenant_id", "name", "type"}]
    tenants = models.JSONField(default=list)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"consent of {self.user} for {self.workspace}"


class DeliveryState(models.TextChoices):
    WAITING = "waiting"
    DONE = "done"
    UNPARSABLE = "unparsable"
    FAILED = "failed"  # our own fault: see the log, then replay


class Delivery(models.Model):
    """One webhook request as received: raw body, verdict. Only correctly signed ones are stored."""

    provider = models.CharField(max_length=30)
    body = models.BinaryField()
    sha256 = models.BinaryField(max_length=32)
    received_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=10, choices=DeliveryState, db_default=DeliveryState.WAITING)
    # valid, intent to receive, duplicate, unknown tenant, no subscriber, unparsable; empty while it waits
    verdict = models.CharField(max_length=20, db_default="")
    reason = models.CharField(max_length=300, db_default="")
    events = models.PositiveIntegerField(db_default=0)
    activations = models.PositiveIntegerField(db_default=0)
    processed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = (
            models.Index(fields=["id"], condition=models.Q(state="waiting"), name="delivery_waiting"),
            models.Index(fields=["-received_at"], name="delivery_newest"),
        )

    def __str__(self) -> str:
        return f"delivery {self.pk} of {self.provider}"


class Refusal(models.Model):
    """Webhook requests with a wrong signature, counted per minute. Nothing else of them is kept."""

    provider = models.CharField(max_length=30)
    minute = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (models.UniqueConstraint("provider", "minute", name="refusal_once_per_minute"),)

    def __str__(self) -> str:
        return f"{self.count} refused at {self.minute}"


class Event(models.Model):
    """One change reported inside a delivery; unique; belongs to one connection."""

    workspace = models.ForeignKey(Workspace, models.CASCADE)
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="events", db_index=False)
    delivery = models.ForeignKey(Delivery, models.SET_NULL, null=True)
    category = models.CharField(max_length=30)  # as the provider names it, upper case: INVOICE, CONTACT
    type = models.CharField(max_length=20)  # CREATE, UPDATE
    resource_id = models.UUIDField()
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    recovered = models.BooleanField(default=False)  # found by a catch-up read, not by a webhook
    ours = models.BooleanField(default=False)  # caused by our own write; starts nothing unless a workflow allows it

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "connection", "category", "resource_id", "type", "occurred_at", name="event_once"
            ),
            models.UniqueConstraint("id", "connection", name="event_with_connection"),
        )
        indexes = (models.Index(fields=["connection", "-received_at"], name="event_newest"),)

    def __str__(self) -> str:
        return f"{self.category} {self.type} {self.resource_id}"


class StrayEvent(models.Model):
    """An event we cannot act on: a tenant nobody here has connected, or fields that make no sense. Kept apart."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="strays")
    reason = models.CharField(max_length=100)
    tenant_id = models.CharField(max_length=100, blank=True)
    content = models.TextField()  # the event's JSON, cut to 2,000 characters

    def __str__(self) -> str:
        return f"stray: {self.reason}"
