"""Whose consents an agency's connections hang on: what is lost when a colleague leaves, and who
could take over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from connections.models import Connection, ConnectionState, Grant
from taskjuice.workspaces.models import Agency, User


@dataclass(frozen=True, slots=True)
class Holder:
    """A grant with the agency's organisations under it, and the colleague who connected the latest
    of them.

    Another agency may share the grant; nothing of it is said here. `is_here`: the colleague is on
    the staff still.
    """

    grant: Grant
    connections: list[Connection]
    by: User | None
    is_here: bool

    @property
    def broken(self) -> list[Connection]:
        return [each for each in self.connections if each.state == ConnectionState.ERROR]

    @property
    def is_broken(self) -> bool:
        """Whether no organisation can be reached with it."""
        return len(self.broken) == len(self.connections)

    @property
    def through(self) -> str:
        """The address of whoever gave it by a connect link, as far as it is known; empty for staff."""
        if self.by is not None:
            return ""
        links = [each.connected_through for each in self.connections if each.connected_through]
        return (links[0].email or "a copied link") if links else ""


def holders(agency: Agency) -> list[Holder]:
    """Those with the most organisations first. Two queries."""
    staff = set(agency.memberships.values_list("user_id", flat=True))
    return grouped(list(_live(agency)), staff)


def grouped(connections: Sequence[Connection], staff: set[int]) -> list[Holder]:
    by_grant: dict[int, list[Connection]] = {}
    for connection in connections:
        if connection.grant_id is not None:
            by_grant.setdefault(connection.grant_id, []).append(connection)
    found = []
    for under in by_grant.values():
        by = max(under, key=lambda each: (each.connected_at, each.pk)).connected_by
        if under[0].grant is not None:
            found.append(Holder(under[0].grant, under, by, by is not None and by.pk in staff))
    return sorted(found, key=lambda holder: (-len(holder.connections), holder.grant.pk))


def of(agency: Agency, grant_id: int) -> Holder | None:
    """None for a grant that nothing in this agency hangs on."""
    staff = set(agency.memberships.values_list("user_id", flat=True))
    found = grouped(list(_live(agency).filter(grant_id=grant_id)), staff)
    return found[0] if found else None


def brought_by(agency: Agency, user: User) -> list[Holder]:
    """What hangs on the consents that this colleague brought."""
    return grouped(list(_live(agency).filter(connected_by=user)), {user.pk})


def _live(agency: Agency) -> "QuerySet[Connection]":
    live = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED), agency=agency, grant__isnull=False
    )
    return live.select_related("workspace", "grant", "connected_by", "connected_through").order_by(
        "workspace__name", "name", "pk"
    )
