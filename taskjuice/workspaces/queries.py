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
    """Return the agencies this person is staff of, by name."""
    return Agency.objects.filter(memberships__user=user).order_by("name", "id")


def seat_of(user: User) -> ClientUser | None:
    """Return the client that this person reads, unless it is archived."""
    seats = ClientUser.objects.select_related("workspace__agency").filter(
        workspace__archived_at__isnull=True
    )
    return seats.filter(user=user).first()


def clients(agency: Agency, *, search: str = "", archived: bool = False) -> "QuerySet[Workspace]":
    """Return the agency's clients by name, each with `people`, the count of its client users."""
    rows = agency.workspaces.filter(archived_at__isnull=not archived, deleting_at=None)
    if search:
        rows = rows.filter(Q(name__icontains=search) | Q(slug__icontains=search))
    return rows.annotate(people=Count("client_users")).order_by("name", "id")


def client_names(agency: Agency) -> list[tuple[int, str]]:
    """Return id and name of each client, archived ones too, for a filter."""
    return list(agency.workspaces.order_by("name", "id").values_list("pk", "name"))


def client_counts(agency: Agency) -> dict[str, int]:
    """Return the counts of `active` and `archived` clients."""
    return agency.workspaces.aggregate(
        active=Count("id", filter=Q(archived_at__isnull=True)),
        archived=Count("id", filter=Q(archived_at__isnull=False, deleting_at=None)),
    )


def staff(agency: Agency) -> "QuerySet[Membership]":
    """Return the owner, the admins, the members, each with `two_step` (on or off) and `seen_at`."""
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
    """Return the people of a client, in the order they joined, each with `seen_at`."""
    return (
        workspace.client_users.select_related("user")
        .annotate(seen_at=_seen_at())
        .order_by("created_at", "id")
    )


def invitations(agency: Agency, workspace: Workspace | None) -> "QuerySet[Invitation]":
    """Return the newest invitations to the staff, or to one client."""
    rows = agency.invitations.filter(workspace=workspace).select_related("invited_by")
    return rows.order_by("-created_at", "-id")[:INVITATIONS_SHOWN]


def invitations_to(user: User) -> "QuerySet[Invitation]":
    """Return the open invitations to addresses that this person has verified."""
    addresses = EmailAddress.objects.filter(user=user, verified=True).values_list(
        Lower("email"), flat=True
    )
    rows = Invitation.objects.filter(email__in=list(addresses), accepted_at=None, revoked_at=None)
    return rows.filter(expires_at__gt=timezone.now()).select_related("agency").order_by("id")


def _seen_at() -> Coalesce:
    """Select when the row's user last requested a page, or signed in where they have signed out."""
    sessions = UserSession.objects.filter(user=OuterRef("user")).order_by("-last_seen_at")
    return Coalesce(Subquery(sessions.values("last_seen_at")[:1]), F("user__last_login"))


# Jumps from value to value in the index; DISTINCT would read the whole trail.
OCCURRING = """
WITH RECURSIVE found(value) AS (
    SELECT min({column}) FROM workspaces_auditentry WHERE agency_id = %(agency)s
  UNION ALL
    SELECT (SELECT min({column}) FROM workspaces_auditentry
             WHERE agency_id = %(agency)s AND {column} > found.value)
      FROM found WHERE found.value IS NOT NULL)
SELECT value FROM found WHERE value IS NOT NULL LIMIT {most}
"""
MOST_CHOICES = 500


def audit_verbs(agency: Agency) -> list[str]:
    """Return the verbs that occur, for the filter."""
    return _list_occurring(agency, "verb")


def audit_actors(agency: Agency) -> list[str]:
    """Return the people and workflows that occur, for the filter."""
    return _list_occurring(agency, "actor_name")


def _list_occurring(agency: Agency, column: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(OCCURRING.format(column=column, most=MOST_CHOICES), {"agency": agency.pk})
        return [value for (value,) in cursor.fetchall()]


def audit_trail(agency: Agency, workspace: Workspace | None = None) -> "QuerySet[AuditEntry]":
    """Return the entries, newest first."""
    rows = AuditEntry.objects.filter(agency=agency)
    if workspace is not None:
        rows = rows.filter(workspace=workspace)
    return rows.order_by("-at", "-id")
