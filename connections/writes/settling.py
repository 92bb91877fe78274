"""Finding out what became of writes whose process died or whose answer never came, and going on
from there.
"""

from collections.abc import Callable, Sequence
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Coalesce

from connections import errors
from connections.integrations import Outcome, TryLater, outcome_of
from connections.models import Call, CallState, Connection, ConnectionState, Reconciliation, Sending
from connections.writes import resend_checks, sending
from connections.writes.sending import BACK_OFF, UNSETTLED, by_sending, later, soon
from connections.writes.writers import Writer
from taskjuice.queue import clock

SETTLING = "Waiting until it is certain that Xero did not take it."
DISCONNECTED = "The organisation was disconnected before TaskJuice could see whether it is there."
Sender = Callable[[Writer, Sending, Sequence[Call]], dict[UUID, Outcome]]


def settle(writer: Writer, connection: Connection, calls: Sequence[Call]) -> dict[UUID, Outcome]:
    """Go on with calls for whoever may send them: their lane, or their person. Outcomes of those
    that still wait.
    """
    return _each(writer, connection, calls, _send_wanted)


def settle_left_behind(
    writer: Writer, connection: Connection, calls: Sequence[Call]
) -> dict[UUID, Outcome]:
    """Go on with calls that nobody came back to.

    What may not be sent any more is closed once it is certain that it is not there. Of the rest,
    forms are sent again; steps are sent by their lane alone.
    """
    return _each(writer, connection, calls, _send_forms)


def _each(
    writer: Writer, connection: Connection, calls: Sequence[Call], send: Sender
) -> dict[UUID, Outcome]:
    waiting: dict[UUID, Outcome] = {}
    only_look = Reconciliation.objects.filter(released_at=None).exists()
    for request, its_calls in by_sending(calls):
        request.connection = connection
        if only_look:
            waiting |= _look(writer, request, its_calls)
        elif request.first_sent_at is None:
            waiting |= send(writer, request, its_calls)
        else:
            waiting |= _find_out(writer, request, its_calls, send)
    return waiting


def _look(writer: Writer, request: Sending, calls: Sequence[Call]) -> dict[UUID, Outcome]:
    """After a restore: whatever the rows say, it may have been sent since the backup."""
    Sending.objects.filter(pk=request.pk).update(
        first_sent_at=Coalesce(F("first_sent_at"), F("created_at"))
    )
    try:
        found = writer.look_up(request.connection, calls, by_person=False)
    except errors.ProviderError as error:
        return _patient(calls, error)
    missing = sending.store_found(writer, request, calls, found)
    reason = "It is not in Xero, and nothing is written before the restore has been compared."
    return {call.pk: later(reason, soon(60)) for call in missing}


def _find_out(
    writer: Writer, request: Sending, calls: Sequence[Call], send: Sender
) -> dict[UUID, Outcome]:
    try:
        found = writer.look_up(request.connection, calls, by_person=False)
    except errors.ProviderError as error:
        if request.connection.state == ConnectionState.REVOKED and not _may_be_remembered(
            writer, request
        ):
            _hand_over(calls, DISCONNECTED)
        return _patient(calls, error)
    missing = sending.store_found(writer, request, calls, found)
    return send(writer, request, missing) if missing else {}


def _send_wanted(writer: Writer, request: Sending, missing: Sequence[Call]) -> dict[UUID, Outcome]:
    """These are not there as far as one can see, and are wanted."""
    if request.first_sent_at is None or _is_remembered(writer, request):
        waiting = sending.resend(writer, request, missing, barred=resend_checks.barred)
        if waiting is not None:
            return waiting
        if request.first_sent_at is None:
            return sending.send_anew(writer, missing)
    if _may_be_remembered(writer, request):
        pause = max(
            sending.SETTLE_SECONDS, writer.key_seconds + sending.SETTLE_SECONDS - _age(request)
        )
        return {call.pk: later(SETTLING, soon(pause)) for call in missing}
    return sending.send_anew(writer, missing)


def _send_forms(writer: Writer, request: Sending, missing: Sequence[Call]) -> dict[UUID, Outcome]:
    barred = resend_checks.barred(missing)
    if request.first_sent_at is None or not _may_be_remembered(writer, request):
        sending.close({pk: f"It was not sent, because {reason}." for pk, reason in barred.items()})
    wanted = [call for call in missing if call.form_key is not None and call.pk not in barred]
    return _send_wanted(writer, request, wanted) if wanted else {}


def _is_remembered(writer: Writer, request: Sending) -> bool:
    """Whether the provider surely knows the key still, should it have seen it."""
    return _age(request) < writer.key_seconds


def _may_be_remembered(writer: Writer, request: Sending) -> bool:
    """Until then a sending may still turn up, or be answered from memory."""
    return _age(request) < writer.key_seconds + sending.SETTLE_SECONDS


def _age(request: Sending) -> float:
    assert request.first_sent_at is not None  # it was sent
    return (clock.now() - request.first_sent_at).total_seconds()


def _hand_over(calls: Sequence[Call], reason: str) -> None:
    """Nobody can look any more: a person decides."""
    Call.objects.filter(pk__in=[call.pk for call in calls], state__in=UNSETTLED).update(
        state=CallState.UNKNOWN, error=reason
    )


def _patient(calls: Sequence[Call], error: errors.ProviderError) -> dict[UUID, Outcome]:
    """What stands in the way of the look-up is no answer to what became of the calls."""
    outcome = outcome_of(error)
    if not isinstance(outcome, TryLater):
        outcome = later(getattr(outcome, "message", ""), soon(BACK_OFF[-1]))
    return dict.fromkeys([call.pk for call in calls], outcome)
