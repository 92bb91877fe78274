"""Sending of what the journal holds, and storing of the answers.

settling.py finds out the outcome of writes without an answer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from connections import errors
from connections.integrations import Failed, Outcome, TryLater, convert_error
from connections.models import Call, CallState, Connection, Sending
from connections.writes.results import UNSETTLED, close_calls, store_found, store_verdicts
from connections.writes.writers import RecordMade, RecordRefused, Undecided, Writer
from taskjuice.crash import crash_point
from taskjuice.queue import clock

SETTLE_SECONDS = 5  # a record may be found only so long after it was made
BACK_OFF = (5, 20, 60, 120)  # seconds after the first, second … sending without an answer
MOST_EPOCHS = 4  # keys of one step's call; each but the first follows a look-up that found nothing
FORM_EPOCHS = 2  # of a form's: whoever sent it has gone on, and is told that it is not there
# Returns the calls that may not be sent now, with the reason.
Bars = Callable[[Sequence[Call]], Mapping[UUID, str]]


def create_sending(
    writer: Writer, connection: Connection, *, path: str = "", sent_now: bool = True
) -> Sending:
    """Create a sending whose bytes `store_calls` fills in.

    It counts as sent from now on, unless another process will send it.
    """
    return Sending.objects.create(
        connection=connection,
        idempotency_key=uuid4().hex,
        method=writer.method,
        path=path or writer.path,
        params=dict(writer.params),
        body=b"",
        first_sent_at=Now() if sent_now else None,
        times=int(sent_now),
    )


def store_calls(writer: Writer, sending: Sending, rows: Sequence[Call]) -> list[Call]:
    """Insert the calls of a sending and freeze its bytes, without calls that a unique key keeps
    out.
    """
    Call.objects.bulk_create(rows, ignore_conflicts=True)
    entered = dict(Call.objects.filter(sending=sending).values_list("pk", "created_at"))
    made = [row for row in rows if row.pk in entered]
    if not made:
        sending.delete()
        return []
    for position, row in enumerate(made):
        row.position, row.created_at, row.state = position, entered[row.pk], CallState.INTENDED
    Call.objects.bulk_update(made, ["position"])
    sending.body = writer.encode([row.body for row in made])
    sending.save(update_fields=["body"])
    sending.refresh_from_db(fields=["first_sent_at", "created_at"])
    return made


def group_by_sending(calls: Iterable[Call]) -> list[tuple[Sending, list[Call]]]:
    found: dict[int, tuple[Sending, list[Call]]] = {}
    for call in calls:
        found.setdefault(call.sending_id, (call.sending, []))[1].append(call)
    return list(found.values())


def send_calls(writer: Writer, sending: Sending, calls: Sequence[Call]) -> dict[UUID, Outcome]:
    """Send a request and store the answer; return the outcomes of unsettled calls, by call id."""
    try:
        verdicts = writer.send(sending, by_person=_is_by_person(calls))
    except errors.UnknownOutcome as error:
        return _handle_unanswered(writer, sending, calls, error)
    except errors.Invalid as error:
        return _handle_refusal(writer, sending, calls, error)
    except errors.ProviderError as error:
        return handle_nothing_sent(sending, calls, error)
    crash_point("journal.after_send")
    by_position = {call.position: call for call in calls}
    decided: dict[UUID, RecordMade | RecordRefused] = {}
    doubtful: dict[int, str] = {}
    for position, verdict in enumerate(verdicts):
        if position not in by_position:
            continue
        if isinstance(verdict, Undecided):
            doubtful[position] = verdict.reason
        else:
            decided[by_position[position].pk] = verdict
    store_verdicts(writer, sending, _recheck_refusals(writer, sending, calls, decided))
    if not doubtful:
        return {}
    doubt = errors.UnknownOutcome(" ".join(dict.fromkeys(doubtful.values())), status=200)
    return _handle_unanswered(
        writer, sending, [by_position[position] for position in doubtful], doubt
    )


def _recheck_refusals(
    writer: Writer,
    sending: Sending,
    calls: Sequence[Call],
    decided: Mapping[UUID, RecordMade | RecordRefused],
) -> dict[UUID, RecordMade | RecordRefused]:
    """Look up what was refused after an earlier sending ("already exists"): that one may have
    worked.
    """
    refused = [
        call
        for call in calls
        if isinstance(decided.get(call.pk), RecordRefused) and (sending.times > 1 or call.epoch > 1)
    ]
    if not refused:
        return dict(decided)
    try:
        found = writer.look_up(sending.connection, refused, by_person=_is_by_person(calls))
    except errors.ProviderError:
        return {
            pk: verdict
            for pk, verdict in decided.items()
            if pk not in {call.pk for call in refused}
        }
    there = {pk: record for pk, record in found.items() if isinstance(record, RecordMade)}
    return {**decided, **there}


def _handle_unanswered(
    writer: Writer, sending: Sending, calls: Sequence[Call], error: errors.ProviderError
) -> dict[UUID, Outcome]:
    """Look up writes that may have been carried out; those that are not there are tried again
    later.
    """
    reason = str(error)[:500]
    Call.objects.filter(pk__in=[c.pk for c in calls], state__in=UNSETTLED).update(
        state=CallState.SENT, error=reason
    )
    Sending.objects.filter(pk=sending.pk).update(status=error.status, checked_at=Now())
    try:
        found = writer.look_up(sending.connection, calls, by_person=_is_by_person(calls))
    except errors.ProviderError:
        found = {}
    missing = store_found(writer, sending, calls, found)
    pause = BACK_OFF[min(sending.times, len(BACK_OFF)) - 1]
    return {call.pk: wait_until(reason, from_now(pause)) for call in missing}


def _handle_refusal(
    writer: Writer, sending: Sending, calls: Sequence[Call], error: errors.Invalid
) -> dict[UUID, Outcome]:
    """Handle a request refused as a whole: nothing was done, and one bad element must not fail
    others.
    """
    if len(calls) > 1:
        waiting: dict[UUID, Outcome] = {}
        for call in calls:
            waiting |= send_under_new_key(writer, [call])
        return waiting
    verdicts: dict[UUID, RecordMade | RecordRefused] = {calls[0].pk: RecordRefused(error.messages)}
    Sending.objects.filter(pk=sending.pk).update(status=error.status)
    store_verdicts(writer, sending, _recheck_refusals(writer, sending, calls, verdicts))
    return {}


def handle_nothing_sent(
    sending: Sending, calls: Sequence[Call], error: errors.ProviderError
) -> dict[UUID, Outcome]:
    """Handle an error before anything was done.

    After the first attempt the intent is unsent again, or fails if it can never be sent.
    """
    outcome = convert_error(error)
    first = sending.times <= 1
    with transaction.atomic():
        if first:
            Sending.objects.filter(pk=sending.pk).update(
                first_sent_at=None, times=0, status=error.status
            )
        if first and isinstance(outcome, Failed):
            Call.objects.filter(pk__in=[c.pk for c in calls], state__in=UNSETTLED).update(
                state=CallState.FAILED, error=str(error)[:500], settled_at=Now()
            )
            return {}
    if isinstance(outcome, Failed):
        outcome = wait_until(str(error), from_now(BACK_OFF[-1]))
    return dict.fromkeys([call.pk for call in calls], outcome)


def _is_by_person(calls: Sequence[Call]) -> bool:
    return any(call.form_key is not None for call in calls)


def resend_unchanged(
    writer: Writer, sending: Sending, calls: Sequence[Call], *, barred: Bars
) -> dict[UUID, Outcome] | None:
    """Send the same bytes under the same key. None, without sending, if not all calls are still
    wanted.

    `barred` answers which of the sending's other calls may not go out.
    """
    with transaction.atomic():
        held = list(
            Call.objects.select_for_update(of=("self",)).filter(sending=sending).order_by("pk")
        )
        in_hand = {call.pk for call in calls}
        others = [call for call in held if call.pk not in in_hand]
        if any(call.state not in UNSETTLED for call in held) or barred(others):
            return None
        Sending.objects.filter(pk=sending.pk).update(
            first_sent_at=Coalesce(F("first_sent_at"), Now()), times=F("times") + 1
        )
    sending.refresh_from_db(fields=["first_sent_at", "times"])
    crash_point("journal.after_intent")
    return send_calls(writer, sending, calls)


def send_under_new_key(writer: Writer, calls: Sequence[Call]) -> dict[UUID, Outcome]:
    """Replace calls that are not at the provider by new ones under a new key, and send those."""
    tired = [
        call for call in calls if call.epoch >= (FORM_EPOCHS if call.form_key else MOST_EPOCHS)
    ]
    if tired:
        close_calls(
            {
                call.pk: f"It was sent {call.epoch} times without an answer and is not there."
                for call in tired
            }
        )
    successors = supersede_calls(writer, [call for call in calls if call not in tired])
    crash_point("journal.after_intent")
    return send_calls(writer, successors[0].sending, successors) if successors else {}


def supersede_calls(writer: Writer, calls: Sequence[Call], *, sent_now: bool = True) -> list[Call]:
    """Replace calls that were sent in vain by new ones with the same bodies, and so the same marks."""
    with transaction.atomic():
        states = (*UNSETTLED, CallState.UNKNOWN)
        old = list(
            Call.objects.select_for_update(of=("self",))
            .filter(pk__in=[call.pk for call in calls], state__in=states)
            .select_related("connection__agency", "connection__workspace", "sending")
            .order_by("position")
        )
        if not old:
            return []
        Call.objects.filter(pk__in=[call.pk for call in old]).update(
            state=CallState.SENT_AGAIN, settled_at=Now()
        )
        path = old[0].sending.path
        sending = create_sending(writer, old[0].connection, path=path, sent_now=sent_now)
        return store_calls(writer, sending, [_build_successor(call, sending) for call in old])


def _build_successor(call: Call, sending: Sending) -> Call:
    kept = (
        "agency_id workspace_id connection_id action subject user_id form_key activation_id step element body noted"
        " target"
    )
    values = {name: getattr(call, name) for name in kept.split()}
    was_sent = call.sending.first_sent_at is not None
    return Call(id=uuid4(), sending=sending, epoch=call.epoch + was_sent, **values)


def wait_until(reason: str, at: datetime) -> TryLater:
    return TryLater(reason, at=at, counts=False)


def from_now(seconds: float) -> datetime:
    return clock.now() + timedelta(seconds=seconds)
