"""Orphaned calls: their process died, or no lane returns to them; a worker looks them up."""

import time
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from connections.models import OPEN_CALLS, Call, CallState, Sending
from connections.writes import reconciliation, resend_checks, results, settling
from connections.writes.results import UNSETTLED
from connections.writes.writers import WRITERS
from taskjuice.queue import clock, wake
from taskjuice.workspaces.models import User

ALIVE_SECONDS = 40  # longer than a request that sends lives
CHECK_SECONDS = 30  # between two looks at the same sending
ORPHANED_SECONDS = 300  # a step's call that its lane did not come back to
TURN_SECONDS = 20.0  # of the task that looks, which may take 120
MOST = 200  # sendings of one such turn
SETTLE, SETTLE_TASK = "settle-calls", "connections.tasks.settle_calls"


def wake_orphans() -> None:
    """Wake the task for calls whose process died, or that no lane will ask about."""
    if _list_left_behind().exists():
        wake.wake_once(SETTLE, SETTLE_TASK)


def settle_orphans() -> int:
    """Look up calls left behind; return how many. Any number of copies may run at once.

    The flag stays set during the run, so that a provider that answers slowly keeps one worker busy
    and not all.
    """
    total = 0
    ends = time.monotonic() + TURN_SECONDS
    due = Sending.objects.filter(calls__in=_list_left_behind()).order_by("pk").distinct()
    for request in due.select_related("connection")[:MOST]:
        if time.monotonic() > ends:  # others get their turn at this worker
            wake.wake_again(SETTLE, SETTLE_TASK)
            return total
        if (
            Sending.objects.filter(pk=request.pk)
            .filter(_not_checked_recently(""))
            .update(checked_at=Now())
        ):
            total += _settle_left_behind(request)
    wake.note_taken(SETTLE)
    return total


def _settle_left_behind(request: Sending) -> int:
    unsettled = list(request.calls.filter(state__in=UNSETTLED).select_related("sending"))
    calls = unsettled if reconciliation.is_open() else _filter_without_lanes(unsettled)
    for action in {call.action for call in calls} & WRITERS.keys():
        mine = [call for call in calls if call.action == action]
        settling.settle_left_behind(WRITERS[action], request.connection, mine)
    return len(calls)


def _filter_without_lanes(calls: Sequence[Call]) -> list[Call]:
    """Return calls of forms, and of steps whose lane will not return to them or has not for long."""
    barred = resend_checks.find_barred([call for call in calls if call.activation_id is not None])
    forgotten = clock.now() - timedelta(seconds=ORPHANED_SECONDS)
    return [
        call
        for call in calls
        if call.form_key is not None or call.pk in barred or call.created_at < forgotten
    ]


def _list_left_behind() -> "QuerySet[Call]":
    """List unsettled calls that were not checked recently. Whether a lane returns is asked one by
    one.
    """
    begun = Q(created_at__lt=Now() - timedelta(seconds=ALIVE_SECONDS))
    told = ~Q(error="")  # whoever sent it noted that no answer came, and has let go of it
    return Call.objects.filter(
        begun | told, _not_checked_recently("sending__"), state__in=UNSETTLED
    )


def _not_checked_recently(prefix: str) -> Q:
    since = Now() - timedelta(seconds=CHECK_SECONDS)
    return Q(**{f"{prefix}checked_at": None}) | Q(**{f"{prefix}checked_at__lt": since})


def withdraw_calls(activation_id: int, *, by: User) -> None:
    """End the open writes of a cancelled activation, inside the caller's transaction.

    Calls that never left this machine, or wait for a person, are abandoned. Those that may be in
    Xero are looked up by a worker, and closed if they are not there.
    """
    rows: QuerySet[Call] = Call.objects.select_for_update(of=("self",)).filter(
        activation_id=activation_id
    )
    open_calls = rows.filter(state__in=OPEN_CALLS).select_related(
        "sending", "agency", "workspace", "user"
    )
    for call in open_calls.order_by("pk"):
        if call.state == CallState.UNKNOWN or call.sending.first_sent_at is None:
            Call.objects.filter(pk=call.pk).update(
                state=CallState.ABANDONED, settled_at=Now(), decided_by=by
            )
            results.record_write(call, "write abandoned", by=by)
        else:
            Sending.objects.filter(pk=call.sending_id).update(checked_at=None)
            wake.wake_once(SETTLE, SETTLE_TASK)
