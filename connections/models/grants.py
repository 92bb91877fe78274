"""Grants, their token refreshes, and secret values."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from taskjuice.workspaces.models import Agency, User


class GrantState(models.TextChoices):
    ACTIVE = "active"
    ERROR = "error"  # the provider refused to refresh: a person must consent again
    REVOKED = "revoked"


class Grant(models.Model):
    """One OAuth token set: one person's consent at one provider for one app.

    Many connections may depend on it. `tokens` is Fernet ciphertext of a JSON object that carries
    the grant's identity beside the tokens, so that ciphertext moved between rows does not open
    (connections/oauth/encryption.py).
    """

    provider = models.CharField(max_length=30)
    app_id = models.CharField(max_length=100)  # the OAuth client id
    provider_user_id = models.CharField(max_length=100)
    provider_user_name = models.CharField(max_length=254, blank=True)
    # Who brought it first, in whatever agency, and so shown in none: agencies that share a
    # provider's user share the row. Whom each agency has it from stands on its connections
    # (connections/oauth/grant_holders.py).
    granted_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="grants")
    scopes = ArrayField(models.CharField(max_length=100), default=list)
    tokens = models.TextField()
    # The key of TOKEN_KEYS that encrypted `tokens`.
    key_id = models.CharField(max_length=16, db_default="")
    access_expires_at = models.DateTimeField()
    refreshed_at = models.DateTimeField(db_default=Now())
    # Raised by every stored token set, so that late writers notice.
    version = models.PositiveIntegerField(default=1)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)  # after a transient refresh failure, not before this
    # When the provider was last asked for the tenants under it.
    listed_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, choices=GrantState, default=GrantState.ACTIVE)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "provider", "app_id", "provider_user_id", name="grant_once_per_user_and_app"
            ),
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


class Secret(models.Model):
    """A value that steps put into headers of requests to one host, encrypted and never shown again."""

    agency = models.ForeignKey(Agency, models.CASCADE, related_name="secrets")
    name = models.CharField(max_length=60)
    host = models.CharField(max_length=253)
    sealed = models.TextField()
    # The key of TOKEN_KEYS that encrypted `sealed`.
    key_id = models.CharField(max_length=16, db_default="")
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    replaced_at = models.DateTimeField(db_default=Now())  # its value is of then
    replaced_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = (
            models.UniqueConstraint("agency", "name", name="secret_name_once_in_agency"),
        )

    def __str__(self) -> str:
        return self.name
