"""Lists and look-ups about agencies, clients and people."""

from django.db import connection
from django.db.models import Count, Q, QuerySet

from taskjuice.workspaces.models import Agency, AuditEntry, ClientUser, Membership, User, Workspace


def agencies_of(user: User) -> "QuerySet[Agency]":
    """The agencies this person is staff of, by name."""
    return Agency.objects.filter(memberships__user=user).order_by("name", "id")


def seat_of(user: User) -> ClientUser | None:
    """Where this person reads as a client, unless that client is archived."""
    seats = ClientUser.objects.select_related("workspace__agency").filter(workspace__archived_at__isnull=True)
    return seats.filter(user=user).first()


def clients(agency: Agency, *, search: str = "", archived: bool = False) -> "QuerySet[Workspace]":
    """The agency's clients by name, each with `people`: how many client users it has."""
    rows = agency.workspaces.filter(archived_at__isnull=not archived)
    if search:
        rows = rows.filter(Q(name__icontains=search) | Q(slug__icontains=search))
    return rows.annotate(people=Count("client_users")).order_by("name", "id")


def client_counts(agency: Agency) -> dict[str, int]:
    """How many clients are `active` and `archived`."""
    return agency.workspaces.aggregate(
        active=Count("id", filter=Q(archived_at__isnull=True)),
        archived=Count("id", filter=Q(archived_at__isnull=False)),
    )


def staff(agency: Agency) -> "QuerySet[Membership]":
    return agency.memberships.select_related("user").order_by("created_at", "id")


# Jumps from verb to verb in the index; DISTINCT would read the whole trail.
VERBS = """
WITH RECURSIVE found(verb) AS (
    SELECT min(verb) FROM workspaces_auditentry WHERE agency_id = %(agency)s
  UNION ALL
    SELECT (SELECT min(verb) FROM workspaces_auditentry WHERE agency_id = %(agency)s AND verb > found.verb)
      FROM found WHERE found.verb IS NOT NULL)
SELECT verb FROM found WHERE verb IS NOT NULL
"""


def audit_verbs(agency: Agency) -> list[str]:
    """The verbs that occur, for the filter."""
    with connection.cursor() as cursor:
        cursor.execute(VERBS, {"agency": agency.pk})
        return [verb for (verb,) in cursor.fetchall()]


def audit_trail(agency: Agency, workspace: Workspace | None = None) -> "QuerySet[AuditEntry]":
    """Entries newest first, with their workspaces."""
    rows = AuditEntry.objects.filter(agency=agency).select_related("workspace")
    if workspace is not None:
        rows = rows.filter(workspace=workspace)
    return rows.order_by("-at", "-id")
