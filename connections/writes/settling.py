"""Settling of writes whose process died or whose answer never came."""

from collections.abc import Callable, Sequence
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Coalesce

from connections import errors
from connections.integrations import Outcome, TryLater, convert_error
from connections.models import Call, CallState, Connection, ConnectionState, Reconciliation, Sending
from connections.writes import resend_checks, results, sending
from connections.writes.results import UNSETTLED
from connections.writes.sending import BACK_OFF, from_now, group_by_sending, wait_until
from connections.writes.writers import Writer
from taskjuice.queue import clock

SETTLING = "Waiting until it is certain that Xero did not take it."
DISCONNECTED = "The organisation was disconnected before TaskJuice could see whether it is there."
Sender = Callable[[Writer, Sending, Sequence[Call]], dict[UUID, Outcome]]


def settle_calls(
    writer: Writer, connection: Connection, calls: Sequence[Call]
) -> dict[UUID, Outcome]:
    """Settle calls for their lane or person, who may send them; return the outcomes still waiting."""
    return _settle_each(writer, connection, calls, _send_wanted)


def settle_left_behind(
    writer: Writer, connection: Connection, calls: Sequence[Call]
) -> dict[UUID, Outcome]:
    """Settle calls that their process did not return to.

    Those that may not be sent any more are closed once it is certain that they are not at the
    provider. Of the others, forms are sent again; steps are sent by their lane alone.
    """
    return _settle_each(writer, connection, calls, _send_forms)


def _settle_each(
    writer: Writer, connection: Connection, calls: Sequence[Call], send: Sender
) -> dict[UUID, Outcome]:
    waiting: dict[UUID, Outcome] = {}
    only_look = Reconciliation.objects.filter(released_at=None).exists()
    for request, its_calls in group_by_sending(calls):
        request.connection = connection
        if only_look:
            waiting |= _only_look_up(writer, request, its_calls)
        elif request.first_sent_at is None:
            waiting |= send(writer, request, its_calls)
        else:
            waiting |= _look_up_and_send(writer, request, its_calls, send)
    return waiting


def _only_look_up(writer: Writer, request: Sending, calls: Sequence[Call]) -> dict[UUID, Outcome]:
    """Look up calls after a restore: whatever the rows say, they may have been sent since the
    backup.
    """
    Sending.objects.filter(pk=request.pk).update(
        first_sent_at=Coalesce(F("first_sent_at"), F("created_at"))
    )
    try:
        found = writer.look_up(request.connection, calls, by_person=False)
    except errors.ProviderError as error:
        return _wait_for_provider(calls, error)
    missing = results.store_found(writer, request, calls, found)
    reason = "It is not in Xero, and nothing is written before the restore has been compared."
    return {call.pk: wait_until(reason, from_now(60)) for call in missing}


def _look_up_and_send(
    writer: Writer, request: Sending, calls: Sequence[Call], send: Sender
) -> dict[UUID, Outcome]:
    try:
        found = writer.look_up(request.connection, calls, by_person=False)
    except errors.ProviderError as error:
        if request.connection.state == ConnectionState.REVOKED and not _may_be_remembered(
            writer, request
        ):
            _mark_unknown(calls, DISCONNECTED)
        return _wait_for_provider(calls, error)
    missing = results.store_found(writer, request, calls, found)
    return send(writer, request, missing) if missing else {}


def _send_wanted(writer: Writer, request: Sending, missing: Sequence[Call]) -> dict[UUID, Outcome]:
    """Send calls that are not at the provider, as far as known, and are still wanted."""
    if request.first_sent_at is None or _is_remembered(writer, request):
        waiting = sending.resend_unchanged(
            writer, request, missing, barred=resend_checks.find_barred
        )
        if waiting is not None:
            return waiting
        if request.first_sent_at is None:
            return sending.send_under_new_key(writer, missing)
    if _may_be_remembered(writer, request):
        pause = max(
            sending.SETTLE_SECONDS,
            writer.key_seconds + sending.SETTLE_SECONDS - _seconds_since_sending(request),
        )
        return {call.pk: wait_until(SETTLING, from_now(pause)) for call in missing}
    return sending.send_under_new_key(writer, missing)


def _send_forms(writer: Writer, request: Sending, missing: Sequence[Call]) -> dict[UUID, Outcome]:
    barred = resend_checks.find_barred(missing)
    if request.first_sent_at is None or not _may_be_remembered(writer, request):
        results.close_calls(
            {pk: f"It was not sent, because {reason}." for pk, reason in barred.items()}
        )
    wanted = [call for call in missing if call.form_key is not None and call.pk not in barred]
    return _send_wanted(writer, request, wanted) if wanted else {}


def _is_remembered(writer: Writer, request: Sending) -> bool:
    """Return whether the provider surely still knows the key, if it ever received it."""
    return _seconds_since_sending(request) < writer.key_seconds


def _may_be_remembered(writer: Writer, request: Sending) -> bool:
    """Return whether the sending may still turn up, or be answered from the provider's memory."""
    return _seconds_since_sending(request) < writer.key_seconds + sending.SETTLE_SECONDS


def _seconds_since_sending(request: Sending) -> float:
    assert request.first_sent_at is not None  # it was sent
    return (clock.now() - request.first_sent_at).total_seconds()


def _mark_unknown(calls: Sequence[Call], reason: str) -> None:
    """Leave the decision to a person, because nothing can be looked up any more."""
    Call.objects.filter(pk__in=[call.pk for call in calls], state__in=UNSETTLED).update(
        state=CallState.UNKNOWN, error=reason
    )


def _wait_for_provider(calls: Sequence[Call], error: errors.ProviderError) -> dict[UUID, Outcome]:
    """Wait: an error of the look-up says nothing about the calls."""
    outcome = convert_error(error)
    if not isinstance(outcome, TryLater):
        outcome = wait_until(getattr(outcome, "message", ""), from_now(BACK_OFF[-1]))
    return dict.fromkeys([call.pk for call in calls], outcome)
