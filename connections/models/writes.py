"""The journal of writes to a provider."""

from django.db import models
from django.db.models.functions import Now

from connections.models.connections import Connection
from taskjuice.exact_json import ExactJSONField
from taskjuice.workspaces.models import Agency, User, Workspace


class Sending(models.Model):
    """One request of the journal, byte for byte: a resend under the same key must be equal.

    It may carry many calls. `first_sent_at` None: nothing left this machine yet. Set, it may have
    (it is stored before sending).
    """

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="sendings")
    idempotency_key = models.CharField(max_length=128, unique=True)
    method = models.CharField(max_length=4)
    path = models.CharField(max_length=200)
    params = models.JSONField(default=dict)
    body = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    first_sent_at = models.DateTimeField(null=True)
    # How often it was, or may have been, sent.
    times = models.PositiveSmallIntegerField(db_default=0)
    status = models.PositiveSmallIntegerField(null=True)  # the last answer's
    # When a look-up of its outcome last began.
    checked_at = models.DateTimeField(null=True)

    class Meta:
        # Target of a composite foreign key (migration 0006).
        constraints = (models.UniqueConstraint("id", "connection", name="sending_with_connection"),)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class CallState(models.TextChoices):
    INTENDED = "intended"  # about to be sent; after a crash: perhaps sent
    SENT = "sent"  # sent, and the answer is missing
    CONFIRMED = "confirmed"
    FAILED = "failed"  # refused, or known not to be there
    SENT_AGAIN = "sent again"  # was not there; a later call took its place
    UNKNOWN = "unknown"  # nothing can decide: a person does
    ABANDONED = "abandoned"  # a person decided that it shall not be


OPEN_CALLS = (CallState.INTENDED, CallState.SENT, CallState.UNKNOWN)
LIVE_CALLS = (*OPEN_CALLS, CallState.CONFIRMED)


class Call(models.Model):
    """One journaled write to a provider: its content, owner, key and result.

    It belongs to a person's form (`form_key`) or to a step of an activation (`activation_id`, of
    the app workflows, which this app does not know). `body` is this element as sent, `noted` what
    was known before, for the look-up after.
    """

    id = models.UUIDField(primary_key=True)
    agency = models.ForeignKey(Agency, models.CASCADE)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="calls")
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="calls")
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=200)  # what it makes: "Invoice to Ridgeway University"
    user = models.ForeignKey(User, models.SET_NULL, null=True, related_name="calls")
    form_key = models.UUIDField(null=True)
    activation_id = models.BigIntegerField(null=True)
    step = models.CharField(max_length=60, db_default="")
    # The element's index, for a step that runs once per element of a list.
    element = models.PositiveIntegerField(db_default=0)
    # Raised each time it is sent under a new key.
    epoch = models.PositiveSmallIntegerField(default=1)
    sending = models.ForeignKey(Sending, models.PROTECT, related_name="calls")
    position = models.PositiveSmallIntegerField(default=0)  # among the elements of its sending
    body = ExactJSONField()
    noted = ExactJSONField(default=dict)
    # A record that may have one open call at a time: the invoice that a payment is for.
    target = models.UUIDField(null=True)
    state = models.CharField(max_length=10, choices=CallState, db_default=CallState.INTENDED)
    record_id = models.UUIDField(null=True)
    record_name = models.CharField(max_length=255, db_default="")  # INV-0042, a contact's name
    changed_at = models.DateTimeField(null=True)  # when it was done, as the provider's answer says
    answer = ExactJSONField(null=True)
    # The provider's own words: why it refused, or what it warned of.
    messages = models.JSONField(default=list)
    error = models.CharField(max_length=500, db_default="")
    created_at = models.DateTimeField(db_default=Now())
    settled_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "activation_id",
                "step",
                "element",
                condition=models.Q(state__in=LIVE_CALLS, activation_id__isnull=False),
                name="call_once_per_step",
            ),
            models.UniqueConstraint(
                "workspace",
                "form_key",
                condition=models.Q(state__in=LIVE_CALLS, form_key__isnull=False),
                name="call_once_per_form",
            ),
            models.UniqueConstraint(
                "target",
                condition=models.Q(state__in=OPEN_CALLS, target__isnull=False),
                name="call_one_open_per_target",
            ),
            models.CheckConstraint(
                condition=models.Q(form_key__isnull=True) | models.Q(activation_id__isnull=True),
                name="call_of_form_or_step",
            ),
        )
        indexes = (
            models.Index(fields=["workspace", "-created_at"], name="call_newest"),
            models.Index(
                fields=["created_at"],
                condition=models.Q(state__in=["intended", "sent"]),
                name="call_unsettled",
            ),
            models.Index(
                fields=["workspace", "state"],
                condition=models.Q(state="unknown"),
                name="call_undecided",
            ),
            models.Index(fields=["connection", "record_id"], name="call_of_record"),
            models.Index(fields=["connection", "target"], name="call_of_target"),
            models.Index(fields=["activation_id", "step"], name="call_of_step"),
        )

    def __str__(self) -> str:
        return f"{self.action}: {self.subject}"


class Reconciliation(models.Model):
    """A period after a restore from a backup in which nothing is written.

    See connections/writes/reconciliation.py.
    """

    since = models.DateTimeField()  # of the backup
    begun_at = models.DateTimeField(db_default=Now())
    released_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                models.Value(1),
                condition=models.Q(released_at=None),
                name="reconciliation_one_open",
            ),
        )

    def __str__(self) -> str:
        return f"reconciliation since {self.since}"
