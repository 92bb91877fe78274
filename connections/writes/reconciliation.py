"""After a restore from a backup: nothing is written until what may have been written since then was
looked up.

The database knows nothing of what happened between the backup and the restore, but the provider
does. While a reconciliation is open (`manage.py reconcile`) the journal sends nothing; it only
looks up. Afterwards a step whose cause lies before the restore asks a person before it writes: it
may have written already.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from connections.integrations import Call as ActionCall
from connections.integrations import Failed, Outcome, TryLater
from connections.models import Call, CallState, Connection, Reconciliation, Sending
from connections.writes import sending, settling
from connections.writes.sending import UNSETTLED
from connections.writes.writers import WRITERS
from taskjuice.queue import clock

HELD = "TaskJuice was restored from a backup and is comparing itself with Xero. Nothing is written until that is done."
PAUSE_SECONDS = 60


class Cause(NamedTuple):
    """What started an activation. `found_at`: when comparing with the provider brought it to light,
    else None.
    """

    happened_at: datetime
    found_at: datetime | None = None


Causes = Callable[[Collection[int]], Mapping[int, Cause]]
OpenPoints = Callable[[Reconciliation], Iterable[str]]

_causes: list[Causes] = []
_beginners: list[Callable[[datetime], object]] = []
_checkers: list[OpenPoints] = []


class NotAllowed(Exception):
    """This cannot be done now; the text says why."""


def tell_causes(causes: Causes) -> None:
    """`causes` returns what started each of these activations."""
    _causes.append(causes)


def when_begun(listener: Callable[[datetime], object]) -> None:
    """`listener` is called with the time of the backup: what changed since then is to be read
    again.
    """
    _beginners.append(listener)


def ask_before_release(open_points: OpenPoints) -> None:
    """`open_points` says what has not been compared yet, in words."""
    _checkers.append(open_points)


def current() -> Reconciliation | None:
    """The one that is open."""
    return Reconciliation.objects.filter(released_at=None).first()


def is_open() -> bool:
    return current() is not None


def held(call: ActionCall) -> Outcome:
    """What a write comes to meanwhile: a step waits, a person is told."""
    if call.activation_id is None:
        return Failed("held", HELD)
    return TryLater(HELD, at=sending.soon(PAUSE_SECONDS), counts=False)


def doubtful(calls: Iterable[ActionCall]) -> dict[int, str]:
    """Activations whose step may have written between a backup and its restore, with the words for
    a person.
    """
    latest = Reconciliation.objects.order_by("-begun_at").first()
    ids = {call.activation_id for call in calls if call.activation_id is not None}
    if latest is None or not ids:
        return {}
    reason = (
        f"TaskJuice was restored on {latest.begun_at:%d %B %Y} from a backup of {latest.since:%d %B %Y %H:%M} UTC, and"
        " what started this may be older: it may have been done already. Look in Xero whether it is there."
    )
    causes = {pk: cause for tell in _causes for pk, cause in tell(ids).items()}
    return {pk: reason for pk in ids if pk not in causes or _is_before(causes[pk], latest)}


def _is_before(cause: Cause, row: Reconciliation) -> bool:
    """Whether it may have been acted on before the restore. All times but the provider's are the
    database's.

    What the first comparison after a restore finds may be a change of before it: a record that
    changed twice shows the earlier change with the time of the later one.
    """
    if cause.happened_at < row.begun_at:
        return True
    return cause.found_at is not None and (
        row.released_at is None or cause.found_at < row.released_at
    )


@transaction.atomic
def begin(*, since: datetime) -> Reconciliation:
    """Hold all writes and have everything since the backup read again."""
    if since > clock.now():
        raise NotAllowed("The backup cannot be of the future.")
    try:
        with transaction.atomic():
            row = Reconciliation.objects.create(since=since)
    except IntegrityError as error:
        raise NotAllowed("A reconciliation is open already.") from error
    for listener in _beginners:
        listener(since)
    return row


def look_up() -> int:
    """Ask the provider about every call without an answer; how many were asked about."""
    asked = 0
    for request in (
        Sending.objects.filter(calls__state__in=UNSETTLED).distinct().select_related("connection")
    ):
        Sending.objects.filter(pk=request.pk).update(checked_at=Now())
        calls = list(request.calls.filter(state__in=UNSETTLED).select_related("sending"))
        for action in {call.action for call in calls} & WRITERS.keys():
            mine = [call for call in calls if call.action == action]
            settling.settle(WRITERS[action], request.connection, mine)
            asked += len(mine)
    return asked


def open_points(row: Reconciliation) -> list[str]:
    """What stands in the way of the release, in words."""
    unasked = Call.objects.filter(
        Q(sending__checked_at=None) | Q(sending__checked_at__lt=row.begun_at), state__in=UNSETTLED
    ).count()
    points = [f"{unasked} writes without an answer have not been looked up"] if unasked else []
    return [*points, *(point for check in _checkers for point in check(row))]


def release(row: Reconciliation, *, force: bool) -> None:
    """Writes go out again. Raises NotAllowed while something is open, unless forced."""
    points = open_points(row)
    if points and not force:
        raise NotAllowed("Not everything has been compared: " + "; ".join(points) + ".")
    Reconciliation.objects.filter(pk=row.pk).update(released_at=Now())


def unknown_calls(ids: Collection[UUID]) -> set[UUID]:
    """Return those ids of calls, as records at the provider carry them, that this database does not
    know.
    """
    return set(ids) - set(Call.objects.filter(pk__in=ids).values_list("pk", flat=True))


def unknown_records(connection: Connection, ids: Collection[UUID]) -> set[UUID]:
    """Return those ids of records at the provider that no confirmed write of this database made."""
    made = Call.objects.filter(connection=connection, record_id__in=ids, state=CallState.CONFIRMED)
    return set(ids) - set(made.values_list("record_id", flat=True))
