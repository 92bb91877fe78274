"""Lists and look-ups about agencies, clients and people."""

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.db import connection
from django.db.models import (
    Case,
    Count,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Lower
from django.utils import timezone

from taskjuice.workspaces import two_step
from taskjuice.workspaces.models import (
    Agency,
    AuditEntry,
    ClientUser,
    Invitation,
    Membership,
    Role,
    User,
    Workspace,
)

INVITATIONS_SHOWN = 50


def agencies_of(user: User) -> "QuerySet[Agency]":
    """The agencies this person is staff of, by name."""
    return Agency.objects.filter(memberships__user=user).order_by("name", "id")


def seat_of(user: User) -> ClientUser | None:
    """Where this person reads as a client, unless that client is archived."""
    seats = ClientUser.objects.select_related("workspace__agency").filter(
        workspace__archived_at__isnull=True
    )
    return seats.filter(user=user).first()


def clients(agency: Agency, *, search: str = "", archived: bool = False) -> "QuerySet[Workspace]":
    """The agency's clients by name, each with `people`: how many client users it has."""
    rows = agency.workspaces.filter(archived_at__isnull=not archived, deleting_at=None)
    if search:
        rows = rows.filter(Q(name__icontains=search) | Q(slug__icontains=search))
    return rows.annotate(people=Count("client_users")).order_by("name", "id")


def client_names(agency: Agency) -> list[tuple[int, str]]:
    """Id and name of each client, archived ones too, for a filter."""
    return list(agency.workspaces.order_by("name", "id").values_list("pk", "name"))


def client_counts(agency: Agency) -> dict[str, int]:
    """How many clients are `active` and `archived`."""
    return agency.workspaces.aggregate(
        active=Count("id", filter=Q(archived_at__isnull=True)),
        archived=Count("id", filter=Q(archived_at__isnull=False, deleting_at=None)),
    )


def staff(agency: Agency) -> "QuerySet[Membership]":
    """The owner, the admins, the members, each with `two_step` (on or off) and `seen_at`."""
    order = Case(
        When(role=Role.OWNER, then=Value(0)),
        When(role=Role.ADMIN, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    rows = agency.memberships.select_related("user")
    return rows.annotate(two_step=two_step.is_on_for("user"), seen_at=_seen_at()).order_by(
        order, "created_at", "id"
    )


def client_users(workspace: Workspace) -> "QuerySet[ClientUser]":
    """The people of a client, in the order they joined, each with `seen_at`."""
    return (
        workspace.client_users.select_related("user")
        .annotate(seen_at=_seen_at())
        .order_by("created_at", "id")
    )


def invitations(agency: Agency, workspace: Workspace | None) -> "QuerySet[Invitation]":
    """The newest invitations onto the staff, or to one client."""
    rows = agency.invitations.filter(workspace=workspace).select_related("invited_by")
    return rows.order_by("-created_at", "-id")[:INVITATIONS_SHOWN]


def invitations_to(user: User) -> "QuerySet[Invitation]":
    """What waits for this person in their mailbox: open invitations to addresses they have
    verified.
    """
    addresses = EmailAddress.objects.filter(user=user, verified=True).values_list(
        Lower("email"), flat=True
    )
    rows = Invitation.objects.filter(email__in=list(addresses), accepted_at=None, revoked_at=None)
    return rows.filter(expires_at__gt=timezone.now()).select_related("agency").order_by("id")


def _seen_at() -> Coalesce:
    """When the row's user last asked for a page; when they last signed in, once they have signed
    out.
    """
    sessions = UserSession.objects.filter(user=OuterRef("user")).order_by("-last_seen_at")
    return Coalesce(Subquery(sessions.values("last_seen_at")[:1]), F("user__last_login"))


# Jumps from value to value in the index; DISTINCT would read the whole trail.
OCCURRING = """
WITH RECURSIVE found(value) AS (
    SELECT min({column}) FROM workspaces_auditentry WHERE agency_id = %(agency)s
  UNION ALL
    SELECT (SELECT min({column}) FROM workspaces_auditentry WHERE agency_id = %(agency)s AND {column} > found.value)
      FROM found WHERE found.value IS NOT NULL)
SELECT value FROM found WHERE value IS NOT NULL LIMIT {most}
"""
MOST_CHOICES = 500


def audit_verbs(agency: Agency) -> list[str]:
    """The verbs that occur, for the filter."""
    return _occurring(agency, "verb")


def audit_actors(agency: Agency) -> list[str]:
    """The people and workflows that occur, for the filter."""
    return _occurring(agency, "actor_name")


def _occurring(agency: Agency, column: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(OCCURRING.format(column=column, most=MOST_CHOICES), {"agency": agency.pk})
        return [value for (value,) in cursor.fetchall()]


def audit_trail(agency: Agency, workspace: Workspace | None = None) -> "QuerySet[AuditEntry]":
    """Entries newest first."""
    rows = AuditEntry.objects.filter(agency=agency)
    if workspace is not None:
        rows = rows.filter(workspace=workspace)
    return rows.order_by("-at", "-id")
