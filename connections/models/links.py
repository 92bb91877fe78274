"""Connect links, which ask a person without an account to connect an organisation."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone

from connections.models.connections import Connection
from taskjuice.workspaces.models import Agency, User, Workspace


class LinkState(models.TextChoices):
    """The progress of a connect link, as its agency sees it."""

    MADE = "made"  # to be copied, or its letter could not be sent
    SENT = "sent"
    OPENED = "opened"
    CONSENTED = "consented"
    CHOSEN = "chosen"
    CONNECTED = "connected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ConnectLink(models.Model):
    """A request to a person without an account to connect an organisation of theirs.

    The link's token is only in the e-mail, or with the colleague who copied it; its SHA-256 is
    stored. It is good for one choice of organisations. Open: nothing chosen, not declined, not
    revoked. The instants record its progress; a new start clears an earlier cancellation.
    """

    agency = models.ForeignKey(Agency, models.CASCADE)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="connect_links")
    provider = models.CharField(max_length=30)
    reconnects = models.ForeignKey(Connection, models.CASCADE, null=True, related_name="+")
    email = models.EmailField("e-mail address", blank=True)
    token_hash = models.CharField(max_length=64, unique=True)
    sent_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True)
    consented_at = models.DateTimeField(null=True)
    chosen_at = models.DateTimeField(null=True)
    connected_at = models.DateTimeField(null=True)
    # Cancelled at the provider or before choosing: they may start again.
    cancelled_at = models.DateTimeField(null=True)
    declined_at = models.DateTimeField(null=True)  # for good
    revoked_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, db_default="")  # of the cancellation, for the agency
    # Since when the sender is to be notified of the outcome.
    untold_since = models.DateTimeField(null=True)
    organisations = ArrayField(models.CharField(max_length=254), default=list)  # chosen, by name

    class Meta:
        constraints = (
            models.UniqueConstraint("id", "workspace", name="link_with_workspace"),
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="link_email_small"
            ),
            models.CheckConstraint(
                condition=models.Q(chosen_at=None) | models.Q(declined_at=None, revoked_at=None),
                name="link_ends_once",
            ),
        )
        indexes = (
            models.Index(fields=["workspace", "-id"], name="link_newest"),
            models.Index(
                fields=["untold_since"],
                condition=models.Q(untold_since__isnull=False),
                name="link_untold",
            ),
        )

    def __str__(self) -> str:
        return f"connect link for {self.workspace}"

    @property
    def recipient(self) -> str:
        """Return who the link is for, as far as that is known."""
        return self.email or "whoever has the link"

    @property
    def is_open(self) -> bool:
        return not (self.chosen_at or self.declined_at or self.revoked_at)

    @property
    def is_expired(self) -> bool:
        """Return whether it is too late to begin; a visitor who had begun may finish."""
        return self.is_open and self.expires_at <= timezone.now()

    @property
    def state(self) -> LinkState:
        if not self.is_open:
            return self._end
        if self.is_expired:
            return LinkState.EXPIRED
        reached = (
            (self.cancelled_at, LinkState.CANCELLED),
            (self.consented_at, LinkState.CONSENTED),
            (self.opened_at, LinkState.OPENED),
            (self.sent_at, LinkState.SENT),
        )
        return next((state for at, state in reached if at), LinkState.MADE)

    @property
    def _end(self) -> LinkState:
        if self.connected_at:
            return LinkState.CONNECTED
        if self.chosen_at:
            return LinkState.CHOSEN
        return LinkState.REVOKED if self.revoked_at else LinkState.CANCELLED
