"""Consents: the way to the provider's consent page and back."""

from django.db import models
from django.db.models.functions import Now

from connections.models.connections import Connection
from connections.models.grants import Grant
from connections.models.links import ConnectLink
from taskjuice.workspaces.audit import Actor
from taskjuice.workspaces.models import Agency, User, Workspace


class Consent(models.Model):
    """One visit to the provider's consent page, from `state` to the tenants that were granted.

    `state_hash` and `session_hash` are SHA-256 hex; the state itself is only in the person's
    browser. The consent is given by a member of staff (`user`) or by the recipient of a connect
    link (`link`), who has no account.
    """

    state_hash = models.CharField(max_length=64, unique=True)
    session_hash = models.CharField(max_length=64)
    provider = models.CharField(max_length=30)
    agency = models.ForeignKey(Agency, models.CASCADE)
    workspace = models.ForeignKey(Workspace, models.CASCADE)
    user = models.ForeignKey(User, models.CASCADE, null=True)
    link = models.ForeignKey(ConnectLink, models.CASCADE, null=True, related_name="consents")
    reconnects = models.ForeignKey(Connection, models.CASCADE, null=True)
    # The grant whose organisations this consent is to take over.
    takes_over = models.ForeignKey(Grant, models.SET_NULL, null=True, related_name="+")
    nonce = models.CharField(max_length=64)
    code_verifier = models.TextField()  # PKCE; encrypted like tokens
    created_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True)
    # When the code was exchanged, or that failed for good.
    exchanged_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=300, db_default="")  # why nothing came of it
    grant = models.ForeignKey(Grant, models.SET_NULL, null=True)
    # Tenants of this consent: [{"id": connection id, "tenant_id", "name", "type"}]
    tenants = models.JSONField(default=list)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(user__isnull=False, link=None)
                | models.Q(user=None, link__isnull=False),
                name="consent_of_person_or_link",
            ),
        )

    def __str__(self) -> str:
        return f"consent of {self.user or self.link} for {self.workspace}"

    @property
    def actor(self) -> Actor:
        """Return who gives the consent, for the audit chain."""
        return self.user or f"{self.link.recipient if self.link else ''} (connect link)"
