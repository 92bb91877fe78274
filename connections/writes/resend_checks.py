"""Checks of unsettled writes, repeated each time before anything is sent again.

Since a write was intended, its activation may have been cancelled, its connection paused or ended,
its client archived, or the right taken from the person whose form it is.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from uuid import UUID

from connections.models import Call, Connection, ConnectionState
from taskjuice.workspaces.models import Membership

NOT_ACTIVE = "its organisation is not connected"
PAUSED = "its connection is paused"
ARCHIVED = "its client is archived"
NO_RIGHT = "whoever sent it may not write for this client any more"

Standings = Callable[[Collection[int]], Mapping[int, str]]
_standings: list[Standings] = []


def add_activation_check(standings: Standings) -> None:
    """Add a check that returns which of these activations may not write now, each with the reason."""
    _standings.append(standings)


def find_barred(calls: Sequence[Call]) -> dict[UUID, str]:
    """Return the calls that may not be sent now, each with the reason as a part of a sentence."""
    if not calls:
        return {}
    places = _find_barred_connections({call.connection_id for call in calls})
    activations = _find_barred_activations(call.activation_id for call in calls)
    staff = _find_staff(calls)
    found: dict[UUID, str] = {}
    for call in calls:
        reason = places.get(call.connection_id, "")
        if not reason and call.activation_id is not None:
            reason = activations.get(call.activation_id, "")
        elif not reason and (call.user_id, call.agency_id) not in staff:
            reason = NO_RIGHT
        if reason:
            found[call.pk] = reason
    return found


def _find_barred_connections(connection_ids: Collection[int]) -> dict[int, str]:
    rows = Connection.objects.filter(pk__in=connection_ids).values_list(
        "pk", "state", "paused_at", "workspace__archived_at"
    )
    return {
        pk: NOT_ACTIVE if state != ConnectionState.ACTIVE else ARCHIVED if archived_at else PAUSED
        for pk, state, paused_at, archived_at in rows
        if state != ConnectionState.ACTIVE or paused_at or archived_at
    }


def _find_barred_activations(ids: Iterable[int | None]) -> dict[int, str]:
    wanted = {pk for pk in ids if pk is not None}
    if not wanted:
        return {}
    return {pk: reason for tell in _standings for pk, reason in tell(wanted).items()}


def _find_staff(calls: Sequence[Call]) -> set[tuple[int | None, int]]:
    """Return the users and agencies of these forms that belong together: every role may write."""
    people = {call.user_id for call in calls if call.activation_id is None}
    rows = Membership.objects.filter(user__in=people, user__is_active=True)
    return set(rows.values_list("user_id", "agency_id"))
