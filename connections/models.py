"""Grants, connections, secret values, consents, the inbox of deliveries and events, budgets, the
journal of calls.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone

from taskjuice.exact_json import ExactJSONField
from taskjuice.workspaces.audit import Actor
from taskjuice.workspaces.models import Agency, User, Workspace


class GrantState(models.TextChoices):
    ACTIVE = "active"
    ERROR = "error"  # the provider refused to refresh: a person must consent again
    REVOKED = "revoked"


class Grant(models.Model):
    """One OAuth token set: one person's consent at one provider for one app. Many connections hang
    off it.

    `tokens` is Fernet ciphertext of a JSON object that carries the grant's identity beside the
    tokens, so that ciphertext moved between rows does not open (connections/oauth/encryption.py).
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
    key_id = models.CharField(
        max_length=16, db_default=""
    )  # which of TOKEN_KEYS encrypted `tokens`
    access_expires_at = models.DateTimeField()
    refreshed_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(
        default=1
    )  # raised by every stored token set; fences late writers
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)  # after a transient refresh failure, not before this
    listed_at = models.DateTimeField(
        null=True
    )  # when the provider was last asked what hangs off it
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


class Secret(models.Model):
    """A value that steps put into headers of requests to one host: sealed like tokens, never shown
    again.
    """

    agency = models.ForeignKey(Agency, models.CASCADE, related_name="secrets")
    name = models.CharField(max_length=60)
    host = models.CharField(max_length=253)
    sealed = models.TextField()
    key_id = models.CharField(
        max_length=16, db_default=""
    )  # which of TOKEN_KEYS encrypted `sealed`
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


class LinkState(models.TextChoices):
    """How far a connect link has come, as far as its agency sees."""

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
    """An agency asks somebody without an account to connect an organisation of theirs.

    The link's token is only in the letter, or with whoever copied it; here is its SHA-256. It is
    good for one choice of organisations. Open: nothing chosen, not declined, not revoked. The
    instants tell how far it came; a new start forgets an earlier cancellation.
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
    cancelled_at = models.DateTimeField(
        null=True
    )  # at the provider or before choosing: they may start again
    declined_at = models.DateTimeField(null=True)  # for good
    revoked_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, db_default="")  # of the cancellation, for the agency
    untold_since = models.DateTimeField(
        null=True
    )  # what came of it, which the sender has not been told yet
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
        """Who opens it, as far as is known."""
        return self.email or "whoever has the link"

    @property
    def is_open(self) -> bool:
        return not (self.chosen_at or self.declined_at or self.revoked_at)

    @property
    def is_expired(self) -> bool:
        """Too late to begin; who had begun may finish."""
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


class Consent(models.Model):
    """One trip to the provider's consent page, from `state` to the tenants it brought.

    `state_hash` and `session_hash` are SHA-256 hex; the state itself is only in the person's
    browser. Whoever gives it is a member of staff (`user`) or somebody without an account who came
    by a connect link (`link`).
    """

    state_hash = models.CharField(max_length=64, unique=True)
    session_hash = models.CharField(max_length=64)
    provider = models.CharField(max_length=30)
    agency = models.ForeignKey(Agency, models.CASCADE)
    workspace = models.ForeignKey(Workspace, models.CASCADE)
    user = models.ForeignKey(User, models.CASCADE, null=True)
    link = models.ForeignKey(ConnectLink, models.CASCADE, null=True, related_name="consents")
    reconnects = models.ForeignKey(Connection, models.CASCADE, null=True)
    takes_over = models.ForeignKey(
        Grant, models.SET_NULL, null=True, related_name="+"
    )  # its organisations
    nonce = models.CharField(max_length=64)
    code_verifier = models.TextField()  # PKCE; encrypted like tokens
    created_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True)
    exchanged_at = models.DateTimeField(
        null=True
    )  # the code was exchanged, or that failed for good
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
        """Who gives it, for the audit trail."""
        return self.user or f"{self.link.recipient if self.link else ''} (connect link)"


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
    """That a delivery reported on a connection: how many events, and how many of them nobody had
    told before.

    What an agency may see of the deliveries, newest first by an index, duplicates included.
    Composite keys check whose it is (migration 0014); simple ones beside them would only check it
    again.
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
    activations = models.PositiveIntegerField(
        null=True
    )  # started when it came; not counted before there was this

    class Meta:
        constraints = (models.UniqueConstraint("delivery", "connection", name="mention_once"),)
        indexes = (
            models.Index(fields=["agency", "-delivery"], name="mention_newest_in_agency"),
            models.Index(fields=["workspace", "-delivery"], name="mention_newest"),
        )

    def __str__(self) -> str:
        return f"{self.connection_id} in delivery {self.delivery_id}"


class Refusal(models.Model):
    """Webhook requests with a wrong signature, counted per minute. Nothing else of them is kept."""

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
    """One change reported inside a delivery; unique; belongs to one connection.

    A composite key checks connection and workspace together (migration 0003).
    """

    workspace = models.ForeignKey(Workspace, models.CASCADE, db_constraint=False)
    connection = models.ForeignKey(
        Connection, models.CASCADE, related_name="events", db_index=False, db_constraint=False
    )
    delivery = models.ForeignKey(Delivery, models.SET_NULL, null=True)
    category = models.CharField(
        max_length=30
    )  # as the provider names it, upper case: INVOICE, CONTACT
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
    """An event we cannot act on: a tenant nobody here has connected, or fields that make no sense.
    Kept apart.
    """

    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="strays")
    reason = models.CharField(max_length=100)
    tenant_id = models.CharField(max_length=100, blank=True)
    content = models.TextField()  # the event's JSON, cut to 2,000 characters

    def __str__(self) -> str:
        return f"stray: {self.reason}"


class Budget(models.Model):
    """What is left of a tenant's rate limits: one row per tenant, and one of the whole app (tenant
    of zeros).

    The provider's windows are fixed, but where they end is not told. `minute_ends` is the latest
    moment at which the running one may end and `minute_seen` the last at which it had not ended
    yet; both shrink towards the truth (xero/api/rate_limits.py). `slots` holds when the lease of
    each call in flight ends. Times are the database's.
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


class Sending(models.Model):
    """One request of the journal, byte for byte: a resend under the same key must be equal. It may
    carry many calls.

    `first_sent_at` None: nothing left this machine yet. Set, it may have (it is stored before
    sending).
    """

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="sendings")
    idempotency_key = models.CharField(max_length=128, unique=True)
    method = models.CharField(max_length=4)
    path = models.CharField(max_length=200)
    params = models.JSONField(default=dict)
    body = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    first_sent_at = models.DateTimeField(null=True)
    times = models.PositiveSmallIntegerField(
        db_default=0
    )  # how often it was, or may have been, sent
    status = models.PositiveSmallIntegerField(null=True)  # the last answer's
    checked_at = models.DateTimeField(
        null=True
    )  # when somebody last set out to find what became of it

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
    """One journaled write to a provider: what was sent, for whom, under which key, and what came
    back.

    It belongs to a person's form (`form_key`) or to a step of an activation (`activation_id`, of
    workflows, which this app does not know). `body` is this element as sent, `noted` what was known
    before, for the look-up after.
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
    element = models.PositiveIntegerField(
        db_default=0
    )  # of a step that runs once per element of a list
    epoch = models.PositiveSmallIntegerField(
        default=1
    )  # raised each time it is sent under a new key
    sending = models.ForeignKey(Sending, models.PROTECT, related_name="calls")
    position = models.PositiveSmallIntegerField(default=0)  # among the elements of its sending
    body = ExactJSONField()
    noted = ExactJSONField(default=dict)
    target = models.UUIDField(
        null=True
    )  # what may have one open call at a time: the invoice that a payment is for
    state = models.CharField(max_length=10, choices=CallState, db_default=CallState.INTENDED)
    record_id = models.UUIDField(null=True)
    record_name = models.CharField(max_length=255, db_default="")  # INV-0042, a contact's name
    changed_at = models.DateTimeField(null=True)  # when it was done, as the provider's answer says
    answer = ExactJSONField(null=True)
    messages = models.JSONField(
        default=list
    )  # the provider's own words: why it refused, or what it warned of
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
    """The time after a restore from a backup in which nothing is written: see
    connections/writes/reconciliation.py.
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
