"""Agencies, their workspaces (one per client), the people in them, and the audit trail."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils import timezone

# Slugs stand in URLs beside fixed paths, so these first segments are taken.
RESERVED_AGENCY_SLUGS = frozenset(
    "account accounts admin agencies api branding connect connections design docs favicon healthz"
    " help invitations invite link login logout me metrics mfa places readyz settings signup static support theme"
    " webhooks welcome www".split()
)
RESERVED_WORKSPACE_SLUGS = frozenset(
    "accounts activations archive audit bills calls clients connect connections contacts deliveries"
    " home invoices items lanes members new notifications payments receivables rename search settings"
    " switch tasks team templates workflows".split()
)
slug_shape = RegexValidator(
    r"\A[a-z0-9]+(-[a-z0-9]+)*\Z",
    "Use small letters, digits and single hyphens, for example harbour-cafe.",
)


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person, known by e-mail address."""

    email = models.EmailField("e-mail address", unique=True)
    name = models.CharField(max_length=100, blank=True)
    timezone = models.CharField("time zone", max_length=64, default="UTC")
    is_active = models.BooleanField(default=True)
    notified_at = models.DateTimeField(null=True)  # the last e-mail of taskjuice/notifications
    date_joined = models.DateTimeField(db_default=Now())

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = (models.UniqueConstraint(Lower("email"), name="user_email_once"),)

    def __str__(self) -> str:
        return self.name or self.email


class Role(models.TextChoices):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"


class Agency(models.Model):
    """The customer of TaskJuice; owns workspaces; its staff are members."""

    name = models.CharField(max_length=100)
    slug = models.CharField(max_length=50, unique=True, validators=[slug_shape])
    two_step_required = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "agencies"

    def __str__(self) -> str:
        return self.name


class Branding(models.Model):
    """The branding of an agency on connect links and in the e-mails about them.

    `logo` is a PNG that we encoded ourselves. `logo_digest`, from its SHA-256, is its address,
    which cannot be guessed.
    """

    agency = models.OneToOneField(Agency, models.CASCADE, primary_key=True, related_name="branding")
    colour = models.CharField(max_length=7, db_default="")  # "#0f5570", or empty for ours
    reply_to = models.EmailField("reply-to address", db_default="")
    logo = models.BinaryField(null=True)
    logo_digest = models.CharField(max_length=32, db_default="", db_index=True)
    logo_width = models.PositiveSmallIntegerField(null=True)  # as shown, in CSS pixels
    logo_height = models.PositiveSmallIntegerField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(colour="") | models.Q(colour__regex=r"^#[0-9a-f]{6}$"),
                name="branding_colour_is_hex",
            ),
            models.CheckConstraint(
                condition=models.Q(logo=None, logo_digest="", logo_width=None, logo_height=None)
                | (
                    models.Q(
                        logo__isnull=False, logo_width__isnull=False, logo_height__isnull=False
                    )
                    & ~models.Q(logo_digest="")
                ),
                name="branding_logo_is_whole",
            ),
        )

    def __str__(self) -> str:
        return f"branding of {self.agency}"

    @property
    def colour_code(self) -> str:
        """Return the colour as it is in the address of its style sheet."""
        return self.colour.removeprefix("#")


class Membership(models.Model):
    """A member of an agency's staff. An agency has exactly one owner."""

    agency = models.ForeignKey(Agency, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint("agency", "user", name="membership_once"),
            models.UniqueConstraint(
                "agency", condition=models.Q(role="owner"), name="membership_one_owner"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="membership_role_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.user} ({self.role} of {self.agency})"


class Workspace(models.Model):
    """One client engagement of an agency: its connections, ledger copy, workflows, activations."""

    agency = models.ForeignKey(Agency, models.CASCADE, related_name="workspaces")
    name = models.CharField(max_length=100)
    slug = models.CharField(max_length=50, validators=[slug_shape])
    timezone = models.CharField("time zone", max_length=64, default="UTC")
    # Settled by a person, or by the first organisation connected; until then it is the zone of the
    # person who made the workspace.
    timezone_settled = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())
    archived_at = models.DateTimeField(null=True, blank=True)
    # From here on it is hidden from everyone, and a worker erases it.
    deleting_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint("agency", "slug", name="workspace_slug_once_in_agency"),
            # The target of composite foreign keys: a row of one agency cannot name another's
            # workspace.
            models.UniqueConstraint("id", "agency", name="workspace_with_agency"),
        )

    def __str__(self) -> str:
        return self.name


class ClientUser(models.Model):
    """A person of the client: read-only, sees one workspace."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="client_users")
    user = models.OneToOneField(User, models.CASCADE, related_name="client_user")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.user} (client user of {self.workspace})"


class InvitedRole(models.TextChoices):
    ADMIN = "admin"
    MEMBER = "member"
    CLIENT = "client", "client user"


class InvitationState(models.TextChoices):
    SENT = "sent"
    UNSENT = "unsent", "not sent"
    ACCEPTED = "accepted"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Invitation(models.Model):
    """An offer of a place on the staff, or as client user of one workspace, to an address.

    The link's token is only in the e-mail; here is its SHA-256. Open: neither accepted nor revoked.
    """

    agency = models.ForeignKey(Agency, models.CASCADE, related_name="invitations")
    workspace = models.ForeignKey(Workspace, models.CASCADE, null=True, related_name="invitations")
    email = models.EmailField("e-mail address")
    role = models.CharField(max_length=10, choices=InvitedRole)
    token_hash = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    accepted_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "agency",
                "email",
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_one_open",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=("admin", "member"), workspace=None)
                | models.Q(role="client", workspace__isnull=False),
                name="invitation_role_fits_place",
            ),
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="invitation_email_small"
            ),
        )

    def __str__(self) -> str:
        return f"{self.email} ({self.role} of {self.workspace or self.agency})"

    @property
    def state(self) -> InvitationState:
        if self.accepted_at:
            return InvitationState.ACCEPTED
        if self.revoked_at and self.revoked_at < self.expires_at:
            return InvitationState.REVOKED
        if self.expires_at <= timezone.now():
            return InvitationState.EXPIRED
        return InvitationState.SENT if self.sent_at else InvitationState.UNSENT

    @property
    def is_open(self) -> bool:
        return self.accepted_at is None and self.revoked_at is None


class DataExport(models.Model):
    """An export of all data of a workspace (taskjuice/workspaces/data_exports.py).

    `table` (a holding's name) and the key `after` are the position at which it continues.
    """

    agency = models.ForeignKey(Agency, models.CASCADE, related_name="+")
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="data_exports")
    requested_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField(db_default=Now())
    table = models.CharField(max_length=100, blank=True)
    after = models.CharField(max_length=100, blank=True)
    rows = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0)  # bytes, compressed
    attempts = models.PositiveSmallIntegerField(default=0)  # turns since the last progress
    claimed_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "workspace",
                condition=models.Q(finished_at=None, failed_at=None),
                name="data_export_one_under_way",
            ),
        )

    def __str__(self) -> str:
        return f"export of {self.workspace}"

    @property
    def is_under_way(self) -> bool:
        return self.finished_at is None and self.failed_at is None

    @property
    def is_ready(self) -> bool:
        return self.finished_at is not None and (
            self.expires_at is None or self.expires_at > timezone.now()
        )


class DataExportPart(models.Model):
    """One file of an export, compressed with zlib."""

    export = models.ForeignKey(DataExport, models.CASCADE, related_name="parts")
    # invoices.jsonl; the zip adds a number where a table has several
    name = models.CharField(max_length=100)
    rows = models.PositiveIntegerField()
    content = models.BinaryField()

    def __str__(self) -> str:
        return self.name


class Deletion(models.Model):
    """The deletion of a workspace, which it outlives (taskjuice/workspaces/deletions.py)."""

    agency = models.ForeignKey(Agency, models.CASCADE, related_name="deletions")
    workspace_id = models.BigIntegerField(unique=True)
    name = models.CharField(max_length=100)
    requested_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField(db_default=Now())
    claimed_until = models.DateTimeField(null=True)
    warning = models.CharField(max_length=300, blank=True)  # what a person has to do themselves
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (
            models.Index(
                fields=["id"], condition=models.Q(finished_at=None), name="deletion_under_way"
            ),
        )

    def __str__(self) -> str:
        return f"deletion of {self.name}"


class AuditEntry(models.Model):
    """A record of who did what, when, from where. A trigger refuses changes and deletions."""

    agency = models.ForeignKey(
        Agency, models.DO_NOTHING, related_name="audit_entries", db_constraint=False
    )
    workspace = models.ForeignKey(Workspace, models.DO_NOTHING, null=True, db_constraint=False)
    workspace_name = models.CharField(max_length=100, db_default="")  # it outlives the workspace
    actor = models.ForeignKey(User, models.DO_NOTHING, null=True, db_constraint=False)
    actor_name = models.CharField(max_length=254)
    verb = models.CharField(max_length=60)
    subject = models.CharField(max_length=200, blank=True)
    details = models.JSONField(default=dict)
    address = models.GenericIPAddressField(null=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = (
            models.Index(fields=["agency", "-at"], name="audit_by_agency"),
            models.Index(fields=["workspace", "-at"], name="audit_by_workspace"),
            models.Index(fields=["agency", "verb", "-at"], name="audit_by_verb"),
            models.Index(fields=["agency", "actor_name", "-at"], name="audit_by_actor"),
        )

    def __str__(self) -> str:
        return f"{self.actor_name} {self.verb} {self.subject}"


class AuditLink(models.Model):
    """An entry's place in its agency's chain. `hash` covers the entry, its number and the hash
    before it.

    Written by the database alone, at commit (migration 0006); checked by
    taskjuice/workspaces/chain.py.
    """

    entry = models.OneToOneField(
        AuditEntry, models.DO_NOTHING, primary_key=True, related_name="link", db_constraint=False
    )
    agency = models.ForeignKey(
        Agency, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    number = models.BigIntegerField()  # 1, 2, 3 … in each agency
    hash = models.BinaryField(max_length=32)

    class Meta:
        constraints = (models.UniqueConstraint("agency", "number", name="audit_link_number_once"),)

    def __str__(self) -> str:
        return f"entry {self.entry_id} is number {self.number}"


class AuditHead(models.Model):
    """The last link of each agency's chain. Writers of one agency queue for this row at commit."""

    agency = models.OneToOneField(
        Agency, models.DO_NOTHING, primary_key=True, related_name="+", db_constraint=False
    )
    number = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return f"{self.number} entries"
