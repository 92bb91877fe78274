"""The people whose consents an agency's connections depend on.

They show what is lost when a colleague leaves, and to whom it could be transferred.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from connections.models import Connection, ConnectionState, Grant
from taskjuice.workspaces.models import Agency, User


@dataclass(frozen=True, slots=True)
class GrantHolder:
    """A grant with the agency's organisations under it and the colleague who connected the latest.

    Another agency may share the grant; it is not mentioned here. `is_here`: the colleague is still
    on the staff.
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
        """Return whether no organisation can be reached with the grant."""
        return len(self.broken) == len(self.connections)

    @property
    def through(self) -> str:
        """Return the address of the connect link's recipient, as far as known; empty for staff."""
        if self.by is not None:
            return ""
        links = [each.connected_through for each in self.connections if each.connected_through]
        return (links[0].email or "a copied link") if links else ""


def list_holders(agency: Agency) -> list[GrantHolder]:
    """List the grants of an agency, those with the most organisations first. Two queries."""
    staff = set(agency.memberships.values_list("user_id", flat=True))
    return group_by_grant(list(_list_live(agency)), staff)


def group_by_grant(connections: Sequence[Connection], staff: set[int]) -> list[GrantHolder]:
    """Group connections by grant, the largest first. `staff`: the ids of the agency's members."""
    by_grant: dict[int, list[Connection]] = {}
    for connection in connections:
        if connection.grant_id is not None:
            by_grant.setdefault(connection.grant_id, []).append(connection)
    found = []
    for under in by_grant.values():
        by = max(under, key=lambda each: (each.connected_at, each.pk)).connected_by
        if under[0].grant is not None:
            found.append(GrantHolder(under[0].grant, under, by, by is not None and by.pk in staff))
    return sorted(found, key=lambda holder: (-len(holder.connections), holder.grant.pk))


def find_holder(agency: Agency, grant_id: int) -> GrantHolder | None:
    """Return the grant with this agency's connections; None where none of them depends on it."""
    staff = set(agency.memberships.values_list("user_id", flat=True))
    found = group_by_grant(list(_list_live(agency).filter(grant_id=grant_id)), staff)
    return found[0] if found else None


def list_held_by_user(agency: Agency, user: User) -> list[GrantHolder]:
    """List the grants of the connections that this colleague made."""
    return group_by_grant(list(_list_live(agency).filter(connected_by=user)), {user.pk})


def _list_live(agency: Agency) -> "QuerySet[Connection]":
    live = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED), agency=agency, grant__isnull=False
    )
    return live.select_related("workspace", "grant", "connected_by", "connected_through").order_by(
        "workspace__name", "name", "pk"
    )
