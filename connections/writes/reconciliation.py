"""Reconciliation after a restore: nothing is written until possible earlier writes are looked up.

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

from connections.integrations import ActionContext, Failed, Outcome, TryLater
from connections.models import Call, CallState, Connection, Reconciliation, Sending
from connections.writes import sending, settling
from connections.writes.results import UNSETTLED
from connections.writes.writers import WRITERS
from taskjuice.queue import clock

HELD = "TaskJuice was restored from a backup and is comparing itself with Xero. Nothing is written until that is done."
PAUSE_SECONDS = 60


class ActivationCause(NamedTuple):
    """The cause of an activation. `found_at`: when the comparison with the provider found it, else
    None.
    """

    happened_at: datetime
    found_at: datetime | None = None


Causes = Callable[[Collection[int]], Mapping[int, ActivationCause]]
OpenPoints = Callable[[Reconciliation], Iterable[str]]

_causes: list[Causes] = []
_beginners: list[Callable[[datetime], object]] = []
_checkers: list[OpenPoints] = []


class ReconciliationRefused(Exception):
    """This cannot be done now; the text says why."""


def add_cause_source(causes: Causes) -> None:
    """Add a source of what started each of these activations."""
    _causes.append(causes)


def on_begun(listener: Callable[[datetime], object]) -> None:
    """Call `listener` with the time of the backup: changes since then are to be read again."""
    _beginners.append(listener)


def add_release_check(open_points: OpenPoints) -> None:
    """Add a check that says, as texts, what has not been compared yet."""
    _checkers.append(open_points)


def find_open() -> Reconciliation | None:
    """Return the reconciliation that is open, if any."""
    return Reconciliation.objects.filter(released_at=None).first()


def is_open() -> bool:
    return find_open() is not None


def hold_write(call: ActionContext) -> Outcome:
    """Return the outcome of a write during a reconciliation: a step waits, a page fails."""
    if call.activation_id is None:
        return Failed("held", HELD)
    return TryLater(HELD, at=sending.from_now(PAUSE_SECONDS), counts=False)


def find_doubtful(calls: Iterable[ActionContext]) -> dict[int, str]:
    """Return activations whose step may have written between backup and restore, with a text each."""
    latest = Reconciliation.objects.order_by("-begun_at").first()
    ids = {call.activation_id for call in calls if call.activation_id is not None}
    if latest is None or not ids:
        return {}
    reason = (
        f"TaskJuice was restored on {latest.begun_at:%d %B %Y} from a backup of {latest.since:%d %B %Y %H:%M} UTC, and"
        " what started this may be older: it may have been done already. Look in Xero whether it is there."
    )
    causes = {pk: cause for tell in _causes for pk, cause in tell(ids).items()}
    return {
        pk: reason for pk in ids if pk not in causes or _may_precede_restore(causes[pk], latest)
    }


def _may_precede_restore(cause: ActivationCause, row: Reconciliation) -> bool:
    """Return whether the cause may have been acted on before the restore.

    All times but the provider's are the database's. The first comparison after a restore may find a
    change from before it: a record that changed twice shows the earlier change with the time of the
    later one.
    """
    if cause.happened_at < row.begun_at:
        return True
    return cause.found_at is not None and (
        row.released_at is None or cause.found_at < row.released_at
    )


@transaction.atomic
def begin_reconciliation(*, since: datetime) -> Reconciliation:
    """Hold all writes and have everything since the backup read again."""
    if since > clock.now():
        raise ReconciliationRefused("The backup cannot be of the future.")
    try:
        with transaction.atomic():
            row = Reconciliation.objects.create(since=since)
    except IntegrityError as error:
        raise ReconciliationRefused("A reconciliation is open already.") from error
    for listener in _beginners:
        listener(since)
    return row


def look_up_unsettled() -> int:
    """Ask the provider about every call without an answer; return how many were asked about."""
    asked = 0
    for request in (
        Sending.objects.filter(calls__state__in=UNSETTLED).distinct().select_related("connection")
    ):
        Sending.objects.filter(pk=request.pk).update(checked_at=Now())
        calls = list(request.calls.filter(state__in=UNSETTLED).select_related("sending"))
        for action in {call.action for call in calls} & WRITERS.keys():
            mine = [call for call in calls if call.action == action]
            settling.settle_calls(WRITERS[action], request.connection, mine)
            asked += len(mine)
    return asked


def list_open_points(row: Reconciliation) -> list[str]:
    """Return what stands in the way of the release, as texts."""
    unasked = Call.objects.filter(
        Q(sending__checked_at=None) | Q(sending__checked_at__lt=row.begun_at), state__in=UNSETTLED
    ).count()
    points = [f"{unasked} writes without an answer have not been looked up"] if unasked else []
    return [*points, *(point for check in _checkers for point in check(row))]


def release_writes(row: Reconciliation, *, force: bool) -> None:
    """Let writes go out again. Raises ReconciliationRefused while something is open, unless forced."""
    points = list_open_points(row)
    if points and not force:
        raise ReconciliationRefused("Not everything has been compared: " + "; ".join(points) + ".")
    Reconciliation.objects.filter(pk=row.pk).update(released_at=Now())


def find_unknown_calls(ids: Collection[UUID]) -> set[UUID]:
    """Return those call ids, as records at the provider carry them, that this database does not
    know.
    """
    return set(ids) - set(Call.objects.filter(pk__in=ids).values_list("pk", flat=True))


def find_unknown_records(connection: Connection, ids: Collection[UUID]) -> set[UUID]:
    """Return those record ids at the provider that no confirmed write of this database made."""
    made = Call.objects.filter(connection=connection, record_id__in=ids, state=CallState.CONFIRMED)
    return set(ids) - set(made.values_list("record_id", flat=True))
