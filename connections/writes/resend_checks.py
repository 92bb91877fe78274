"""Whether a write that was not settled may still go out: asked each time before anything is sent
again.

Since it was intended, somebody may have cancelled its activation, paused or ended its connection,
archived its client, or taken the right from the person whose form it is.
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


def tell_activations(standings: Standings) -> None:
    """`standings` says which of these activations may not write now, each with the reason."""
    _standings.append(standings)


def barred(calls: Sequence[Call]) -> dict[UUID, str]:
    """Return the calls that may not be sent now, each with the reason as a part of a sentence."""
    if not calls:
        return {}
    places = _of_places({call.connection_id for call in calls})
    activations = _of_activations(call.activation_id for call in calls)
    staff = _staff(calls)
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


def _of_places(connection_ids: Collection[int]) -> dict[int, str]:
    rows = Connection.objects.filter(pk__in=connection_ids).values_list(
        "pk", "state", "paused_at", "workspace__archived_at"
    )
    return {
        pk: NOT_ACTIVE if state != ConnectionState.ACTIVE else ARCHIVED if archived_at else PAUSED
        for pk, state, paused_at, archived_at in rows
        if state != ConnectionState.ACTIVE or paused_at or archived_at
    }


def _of_activations(ids: Iterable[int | None]) -> dict[int, str]:
    wanted = {pk for pk in ids if pk is not None}
    if not wanted:
        return {}
    return {pk: reason for tell in _standings for pk, reason in tell(wanted).items()}


def _staff(calls: Sequence[Call]) -> set[tuple[int | None, int]]:
    """Who of those whose forms these are is on the staff: every role may write."""
    people = {call.user_id for call in calls if call.activation_id is None}
    rows = Membership.objects.filter(user__in=people, user__is_active=True)
    return set(rows.values_list("user_id", "agency_id"))
