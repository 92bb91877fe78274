"""Workflows, their versions and steps, their activations, and what those ask and send."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Coalesce, Collate, Now, Upper

from connections.models import Connection, Event
from taskjuice.exact_json import ExactJSONField
from taskjuice.workspaces.models import Agency, User, Workspace


class WorkflowState(models.TextChoices):
    DRAFT = "draft"
    PUBLISHED = "published"
    PAUSED = "paused"
    SAFETY = "safety", "Paused (safety)"  # at all organisations at once, by an earlier release
    ARCHIVED = "archived"


# Events start activations; a safety pause holds them back
LISTENING = (
    WorkflowState.PUBLISHED,
    WorkflowState.SAFETY,
)
PAUSE_AFTER = 20
MAX_ATTEMPTS = 5  # of one step of an activation


class Workflow(models.Model):
    """A trigger and an ordered list of steps of one agency, applied to some of its connections."""

    agency = models.ForeignKey(Agency, models.CASCADE, related_name="workflows")
    name = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=WorkflowState, default=WorkflowState.DRAFT)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)
    # Failures in a row at one organisation; 0: never
    pause_after = models.PositiveSmallIntegerField(db_default=PAUSE_AFTER)
    # Safety pauses are kept for each organisation (OrganisationPause). These three are of workflows
    # that an earlier release stopped at all of them: they stay paused until a person resumes them.
    failures = models.PositiveIntegerField(db_default=0)
    held = models.BooleanField(db_default=False)
    paused_because = models.CharField(max_length=300, db_default="")

    class Meta:
        constraints = (
            models.UniqueConstraint("id", "agency", name="workflow_with_agency"),
            models.UniqueConstraint("agency", "name", name="workflow_name_once_in_agency"),
        )

    def __str__(self) -> str:
        return self.name


class WorkflowConnection(models.Model):
    """A connection that a workflow is applied to.

    Composite keys hold both in one agency (migration 0002).
    """

    agency = models.ForeignKey(Agency, models.CASCADE)
    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="applications")
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="applications")
    # For a schedule: its next start here (triggers/runner.py)
    due_at = models.DateTimeField(null=True)
    # The time zone that due_at was calculated in
    due_zone = models.CharField(max_length=64, db_default="")
    failures = models.PositiveIntegerField(db_default=0)  # in a row here (safety_pause.py)

    class Meta:
        constraints = (
            models.UniqueConstraint("workflow", "connection", name="workflow_connection_once"),
        )
        indexes = (
            models.Index(
                fields=["due_at"],
                condition=models.Q(due_at__isnull=False),
                name="workflow_connection_due",
            ),
        )

    def __str__(self) -> str:
        return f"{self.workflow} on {self.connection}"


class OrganisationPause(models.Model):
    """A pause of a workflow at one organisation, by a person or by itself after failures.

    `holds`: events start activations that wait; otherwise they start nothing and running
    activations finish. It outlives the application, so that removing the organisation does not
    release what waits. Composite keys hold it in one agency (migration 0018).
    """

    agency = models.ForeignKey(Agency, models.CASCADE, db_index=False)
    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="pauses", db_index=False)
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="workflow_pauses")
    since = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True)  # None: until a person resumes it
    why = models.CharField(max_length=300, db_default="")
    by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    by_name = models.CharField(max_length=254, db_default="")
    by_safety = models.BooleanField(db_default=False)  # by itself, after failures in a row
    holds = models.BooleanField(db_default=False)

    class Meta:
        constraints = (
            models.UniqueConstraint("workflow", "connection", name="organisation_pause_once"),
            models.CheckConstraint(
                condition=models.Q(by_safety=False) | models.Q(holds=True),
                name="organisation_pause_safe_holds",
            ),
        )
        indexes = (
            models.Index(
                fields=["agency"],
                condition=models.Q(by_safety=True),
                name="organisation_pause_safety",
            ),
        )

    def __str__(self) -> str:
        return f"{self.workflow} paused at {self.connection}"


class Version(models.Model):
    """A trigger with its settings and an ordered list of steps.

    Frozen once published; one version is live. `steps` is a list of {"name", "action", "input",
    "only_if", "for_each"}; `input` holds raw values as typed. A trigger in the database (migration
    0006) refuses changes to a published version.
    """

    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    trigger = models.CharField(max_length=60)
    trigger_settings = ExactJSONField(default=dict)
    steps = ExactJSONField(default=list)
    live = models.BooleanField(default=False)
    published_at = models.DateTimeField(null=True)
    published_by = models.ForeignKey(User, models.SET_NULL, null=True)
    # Raised by every save of the draft, so that an editor of an older content is refused
    revision = models.PositiveIntegerField(db_default=0)
    edited_at = models.DateTimeField(db_default=Now())
    edited_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = (
            models.UniqueConstraint("workflow", "number", name="version_number_once"),
            models.UniqueConstraint(
                "workflow", condition=models.Q(live=True), name="version_one_live"
            ),
            models.CheckConstraint(
                condition=models.Q(live=False) | models.Q(published_at__isnull=False),
                name="version_live_is_published",
            ),
        )

    def __str__(self) -> str:
        return f"{self.workflow} v{self.number}"


class Lane(models.Model):
    """The queue of due activations of one connection, drained by the holder of its lease.

    All times are the database's.
    """

    connection = models.OneToOneField(Connection, models.CASCADE, primary_key=True)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    # As taskjuice.queue.processes.identity returns it
    lease_holder = models.CharField(max_length=200, blank=True)
    wake_pending = models.BooleanField(default=False)  # a wake-up is queued and not yet taken
    woken_at = models.DateTimeField(null=True)  # when that wake-up may be taken
    turn_at = models.DateTimeField(null=True)  # when the last turn began
    parked_until = models.DateTimeField(null=True)  # the provider's limit: nothing runs before this
    parked_reason = models.CharField(max_length=100, blank=True)

    def __str__(self) -> str:
        return f"lane of {self.connection}"


class ActivationState(models.TextChoices):
    READY = "ready"  # due at next_at
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    STOPPED = "stopped"  # a condition said no
    FAILED = "failed"
    UNKNOWN = "unknown", "Needs a decision"
    CANCELLED = "cancelled"


FINISHED = ("succeeded", "stopped", "failed", "cancelled")


class Activation(models.Model):
    """One run of one published version for one event.

    `outputs` maps step names to their outputs; `position` is the next step. It outlives its
    workflow. Its foreign keys are checked by composite keys (migration 0003); a simple constraint
    beside each would only check it again.
    """

    agency = models.ForeignKey(Agency, models.CASCADE, db_index=False, db_constraint=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, db_index=False, db_constraint=False)
    connection = models.ForeignKey(Connection, models.CASCADE, db_index=False, db_constraint=False)
    workflow = models.ForeignKey(
        Workflow, models.SET_NULL, null=True, db_index=False, db_constraint=False
    )
    version = models.ForeignKey(Version, models.SET_NULL, null=True, db_index=False)
    event = models.ForeignKey(Event, models.PROTECT, null=True, db_index=False, db_constraint=False)
    workflow_name = models.CharField(max_length=100)
    version_number = models.PositiveIntegerField()
    trigger_data = ExactJSONField(default=dict)
    subject = models.CharField(max_length=200, db_default="")  # INV-0042, a contact's name
    # Notes of its steps for readers, one per line
    note = models.TextField(db_default="")
    # The person who ran it by hand; "" for an event's
    run_by = models.CharField(max_length=254, db_default="")
    state = models.CharField(
        max_length=10, choices=ActivationState, db_default=ActivationState.READY
    )
    position = models.PositiveSmallIntegerField(db_default=0)
    attempt = models.PositiveSmallIntegerField(db_default=0)
    next_at = models.DateTimeField(db_default=Now())
    lease_token = models.UUIDField(null=True)
    outputs = ExactJSONField(default=dict)
    error_code = models.CharField(max_length=60, db_default="")
    error = models.CharField(max_length=500, db_default="")
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # A person's last replay; step runs before it are of earlier rounds
    restarted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint("event", "workflow", name="activation_once_per_event"),
            models.UniqueConstraint("id", "workspace", name="activation_with_workspace"),
        )
        indexes = (
            models.Index(
                fields=["connection", "next_at", "id"],
                condition=models.Q(state__in=["ready", "running"]),
                name="activation_due",
            ),
            models.Index(  # the same by workflow, which take turns (store.CLAIM)
                "connection",
                Coalesce("workflow", 0),
                "next_at",
                "id",
                condition=models.Q(state__in=["ready", "running"]),
                name="activation_turns",
            ),
            models.Index(fields=["agency", "-id"], name="activation_newest_in_agency"),
            models.Index(  # the homes' charts, which read nothing else
                fields=["agency", "created_at"],
                include=["workspace", "state"],
                name="activation_by_hour",
            ),
            models.Index(fields=["workspace", "-id"], name="activation_newest"),
            models.Index(fields=["agency", "state", "-id"], name="activation_by_state"),
            models.Index(fields=["workspace", "state", "-id"], name="activation_by_state_here"),
            models.Index(fields=["workflow", "-id"], name="activation_by_workflow"),
            models.Index(fields=["workflow", "state", "-id"], name="activation_by_workflow_state"),
            models.Index(
                fields=["workspace", "workflow", "state", "-id"], name="activation_by_workflow_here"
            ),
            # The search by subject: a range of upper-case texts, in byte order so that it can be
            # walked. Most get theirs from their first step; what has none yet costs nothing here.
            models.Index(
                "agency",
                Collate(Upper("subject"), "C"),
                condition=~models.Q(subject=""),
                name="activation_named_in_agency",
            ),
            models.Index(
                "workspace",
                Collate(Upper("subject"), "C"),
                condition=~models.Q(subject=""),
                name="activation_named",
            ),
            models.Index(
                fields=["agency", "-created_at"],
                condition=models.Q(state="failed"),
                name="activation_failed_lately",
            ),
            models.Index(
                fields=["workflow", "error_code", "-id"],
                condition=models.Q(state="failed"),
                name="activation_failed_by_cause",
            ),
            models.Index(
                fields=["agency", "error_code", "-id"],
                condition=models.Q(state="failed"),
                name="activation_cause_in_agency",
            ),
            models.Index(
                fields=["workspace", "error_code", "-id"],
                condition=models.Q(state="failed"),
                name="activation_cause_of_client",
            ),
            models.Index(
                fields=["workspace", "workflow", "error_code", "-id"],
                condition=models.Q(state="failed"),
                name="activation_cause_here",
            ),
        )

    def __str__(self) -> str:
        return f"activation {self.pk} of {self.workflow_name} v{self.version_number}"


class Permit(models.Model):
    """The permission for one write of a guarded step (approvals/permits.py).

    Composite keys hold it in its workspace (migration 0009).
    """

    agency = models.ForeignKey(Agency, models.CASCADE, db_index=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, db_index=False)
    connection = models.ForeignKey(Connection, models.CASCADE, db_index=False)
    workflow = models.ForeignKey(Workflow, models.CASCADE, db_index=False)
    activation = models.ForeignKey(Activation, models.CASCADE, db_index=False, db_constraint=False)
    step = models.CharField(max_length=60)
    # Of a step that runs once per element of a list
    element = models.PositiveIntegerField(db_default=0)
    amount = models.DecimalField(max_digits=19, decimal_places=4, null=True)
    currency = models.CharField(max_length=10, blank=True)
    likeness = models.CharField(max_length=64)  # SHA-256 of what the step was given
    given_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint("activation", "step", "element", name="permit_once_per_write"),
        )
        indexes = (
            models.Index(fields=["workflow", "step", "given_at"], name="permit_of_step"),
            models.Index(fields=["workflow", "likeness", "given_at"], name="permit_of_the_like"),
            models.Index(fields=["connection"], name="permit_of_connection"),
        )

    def __str__(self) -> str:
        return f"permit for {self.step} of activation {self.activation_id}"


class StepRun(models.Model):
    """One attempt at one step of one activation: its input and output, without secrets."""

    activation = models.ForeignKey(
        Activation, models.CASCADE, related_name="step_runs", db_index=False
    )
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=60)
    action = models.CharField(max_length=60)
    attempt = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=10)  # done, stopped, later, failed, unknown, skipped
    input = ExactJSONField(default=dict)
    output = ExactJSONField(null=True)
    error_code = models.CharField(max_length=60, db_default="")
    error = models.CharField(max_length=500, db_default="")
    provider_status = models.PositiveSmallIntegerField(null=True)
    wave = models.PositiveIntegerField(db_default=1)  # how many activations ran this step together
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = (models.Index(fields=["activation", "id"], name="step_run_of_activation"),)

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}"


class ApprovalState(models.TextChoices):
    OPEN = "open"
    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRED = "expired"  # nobody decided in time
    WITHDRAWN = "withdrawn"  # its activation was cancelled or replayed


DECIDED = (ApprovalState.APPROVED, ApprovalState.DECLINED)


class Approval(models.Model):
    """A task for a person: the step waits until it is approved or declined.

    Composite keys hold it in its activation's workspace, and it is deleted with its activation
    (migration 0011).
    """

    agency = models.ForeignKey(Agency, models.CASCADE, db_index=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, db_index=False)
    activation = models.ForeignKey(
        Activation, models.CASCADE, related_name="approvals", db_constraint=False, db_index=False
    )
    step = models.CharField(max_length=60)
    question = models.CharField(max_length=200)
    details = models.TextField(db_default="")
    told = ArrayField(models.EmailField(), default=list)  # who is written to
    reached = ArrayField(models.EmailField(), default=list, db_default=[])  # who of them has been
    told_at = models.DateTimeField(null=True)  # when the last of them was
    asked_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=ApprovalState, db_default=ApprovalState.OPEN)
    current = models.BooleanField(db_default=True)  # False: a replay asks again
    decided_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    decided_name = models.CharField(max_length=254, db_default="")
    decided_at = models.DateTimeField(null=True)
    comment = models.CharField(max_length=1000, db_default="")
    taken_at = models.DateTimeField(null=True)  # the activation has read the decision

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "activation",
                "step",
                condition=models.Q(current=True),
                name="approval_once_per_step",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=DECIDED, decided_at__isnull=False)
                | (~models.Q(state__in=DECIDED) & models.Q(decided_at__isnull=True)),
                name="approval_decided_has_time",
            ),
        )
        indexes = (
            models.Index(fields=["activation"], name="approval_of_activation"),
            models.Index(fields=["agency", "state", "-id"], name="approval_by_state"),
            models.Index(fields=["workspace", "state", "-id"], name="approval_by_state_here"),
            models.Index(
                fields=["asked_at"],
                condition=models.Q(state="open", told_at__isnull=True),
                name="approval_untold",
            ),
            models.Index(
                fields=["decided_at"],
                condition=models.Q(state__in=DECIDED, taken_at__isnull=True),
                name="approval_untaken",
            ),
        )

    def __str__(self) -> str:
        return self.question


class SentRequest(models.Model):
    """A request of a step that may have changed something at its receiver, noted before it is sent.

    Without `output` its outcome is unknown. It is deleted with its activation (migration 0011).
    """

    activation = models.ForeignKey(Activation, models.CASCADE, db_constraint=False, db_index=False)
    step = models.CharField(max_length=60)
    # Of a step that runs once per element of a list
    element = models.PositiveIntegerField(db_default=0)
    # The Idempotency-Key: the same content of the same step has the same one
    key = models.UUIDField()
    sent_at = models.DateTimeField(db_default=Now())
    output = ExactJSONField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint("activation", "step", "element", name="request_once_per_step"),
        )

    def __str__(self) -> str:
        return f"request {self.key} of {self.step}"


EMAILS_PER_DAY = 500


class EmailLimit(models.Model):
    """The e-mails that the workflows of an agency may send in a day.

    Without a row the limit is EMAILS_PER_DAY.
    """

    agency = models.OneToOneField(
        Agency, models.CASCADE, primary_key=True, related_name="email_limit"
    )
    per_day = models.PositiveIntegerField(db_default=EMAILS_PER_DAY)

    def __str__(self) -> str:
        return f"{self.agency}: {self.per_day} e-mails a day"


class EmailCount(models.Model):
    """The addresses that the workflows of an agency have written to on a day.

    The day is UTC's, by the database.
    """

    agency = models.ForeignKey(Agency, models.CASCADE, db_index=False)
    day = models.DateField()
    sent = models.PositiveIntegerField(db_default=0)
    refused_at = models.DateTimeField(null=True)  # when the limit last made a step wait

    class Meta:
        constraints = (models.UniqueConstraint("agency", "day", name="email_count_once_a_day"),)

    def __str__(self) -> str:
        return f"{self.agency}: {self.sent} e-mails on {self.day}"
