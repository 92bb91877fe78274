"""Unread incidents, and the notification settings of people."""

from collections.abc import Iterable

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from taskjuice.notifications.models import Cadence, Incident, Kind, Reader, Wish
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import Role, User

# Unless a person wishes otherwise: owner and admins, then members.
USUAL = {
    Kind.REAUTHORISE: (Cadence.IMMEDIATE, Cadence.OFF),
    Kind.WEBHOOKS: (Cadence.IMMEDIATE, Cadence.OFF),
    Kind.DECIDE: (Cadence.IMMEDIATE, Cadence.DAILY),
    Kind.SAFETY: (Cadence.IMMEDIATE, Cadence.DAILY),
    Kind.FAILED: (Cadence.DAILY, Cadence.DAILY),
    Kind.EMAILS: (Cadence.IMMEDIATE, Cadence.OFF),
    Kind.PARKED: (Cadence.OFF, Cadence.OFF),
}
Wishes = dict[tuple[int, str], str]


def unread(scope: Scope) -> int:
    """Return the number of open incidents not yet read, by one query."""
    read = Reader.objects.filter(
        user=scope.user, agency=scope.agency, read_at__gte=OuterRef("opened_at")
    )
    return of(scope).filter(~Exists(read), closed_at=None).count()


def of(scope: Scope) -> QuerySet[Incident]:
    """Return the incidents, open ones first, then the newest.

    In a workspace: its own and those of the whole agency.
    """
    rows = Incident.objects.filter(agency=scope.agency).select_related("workspace")
    if scope.workspace is not None:
        rows = rows.filter(Q(workspace=scope.workspace) | Q(workspace=None))
    return rows.order_by(F("closed_at").desc(nulls_first=True), "-opened_at", "-pk")


def read_until(scope: Scope) -> Reader | None:
    return Reader.objects.filter(user=scope.user, agency=scope.agency).first()


def mark_read(scope: Scope) -> None:
    """Mark everything up to now as read."""
    Reader.objects.update_or_create(
        user=scope.user, agency=scope.agency, defaults={"read_at": Now()}
    )


def wishes_of(users: Iterable[int]) -> Wishes:
    rows = Wish.objects.filter(user__in=list(users))
    return {
        (user, kind): cadence
        for user, kind, cadence in rows.values_list("user_id", "kind", "cadence")
    }


def cadence(wishes: Wishes, user_id: int, role: str, kind: str) -> str:
    usual = USUAL[Kind(kind)][0 if role in {Role.OWNER, Role.ADMIN} else 1]
    return wishes.get((user_id, kind), usual)


def choose(user: User, wanted: dict[str, str]) -> None:
    """Store a cadence for each kind; kinds not named stay."""
    Wish.objects.bulk_create(
        [Wish(user=user, kind=kind, cadence=chosen) for kind, chosen in wanted.items()],
        update_conflicts=True,
        unique_fields=["user", "kind"],
        update_fields=["cadence"],
    )


def stop_all(user: User) -> None:
    choose(user, dict.fromkeys(Kind, Cadence.OFF))
