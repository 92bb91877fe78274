"""Sending what the journal holds, and storing what came back (settling.py finds out what became of
the rest).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from connections import errors
from connections.integrations import Failed, Outcome, TryLater, outcome_of
from connections.models import Call, CallState, Connection, Sending
from connections.writes.writers import Found, Made, Refused, Undecided, Writer
from taskjuice.crash import crash_point
from taskjuice.database.outages import retry_during_outage
from taskjuice.queue import clock
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import User

SETTLE_SECONDS = 5  # a record may be found only so long after it was made
BACK_OFF = (5, 20, 60, 120)  # seconds after the first, second … sending without an answer
MOST_EPOCHS = 4  # keys of one step's call; each but the first follows a look-up that found nothing
FORM_EPOCHS = 2  # of a form's: whoever sent it has gone on, and is told that it is not there
UNSETTLED = (CallState.INTENDED, CallState.SENT)
Bars = Callable[
    [Sequence[Call]], Mapping[UUID, str]
]  # calls that may not be sent now, with the reason
_authors: list[Callable[[int], str]] = []


def new_sending(
    writer: Writer, connection: Connection, *, path: str = "", sent_now: bool = True
) -> Sending:
    """A sending whose bytes `stored` fills in. It counts as sent from now on, unless somebody else
    will send it.
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


def stored(writer: Writer, sending: Sending, rows: Sequence[Call]) -> list[Call]:
    """Insert the calls of a sending and freeze its bytes; those that a unique key keeps out are
    left out.
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


def by_sending(calls: Iterable[Call]) -> list[tuple[Sending, list[Call]]]:
    found: dict[int, tuple[Sending, list[Call]]] = {}
    for call in calls:
        found.setdefault(call.sending_id, (call.sending, []))[1].append(call)
    return list(found.values())


# -- sending
# ----------------------------------------------------------------------------------------------------


def dispatch(writer: Writer, sending: Sending, calls: Sequence[Call]) -> dict[UUID, Outcome]:
    """Send it and store what came back; the outcomes of calls that are not settled by that, by call
    id.
    """
    try:
        verdicts = writer.send(sending, by_person=_is_persons(calls))
    except errors.UnknownOutcome as error:
        return _unanswered(writer, sending, calls, error)
    except errors.Invalid as error:
        return _refused_whole(writer, sending, calls, error)
    except errors.ProviderError as error:
        return nothing_sent(sending, calls, error)
    crash_point("journal.after_send")
    by_position = {call.position: call for call in calls}
    decided: dict[UUID, Made | Refused] = {}
    doubtful: dict[int, str] = {}
    for position, verdict in enumerate(verdicts):
        if position not in by_position:
            continue
        if isinstance(verdict, Undecided):
            doubtful[position] = verdict.reason
        else:
            decided[by_position[position].pk] = verdict
    _store(writer, sending, _looked_at_again(writer, sending, calls, decided))
    if not doubtful:
        return {}
    doubt = errors.UnknownOutcome(" ".join(dict.fromkeys(doubtful.values())), status=200)
    return _unanswered(writer, sending, [by_position[position] for position in doubtful], doubt)


def _looked_at_again(
    writer: Writer, sending: Sending, calls: Sequence[Call], decided: Mapping[UUID, Made | Refused]
) -> dict[UUID, Made | Refused]:
    """A refusal of something sent before ("already exists") may only say that the first sending was
    carried out.
    """
    refused = [
        call
        for call in calls
        if isinstance(decided.get(call.pk), Refused) and (sending.times > 1 or call.epoch > 1)
    ]
    if not refused:
        return dict(decided)
    try:
        found = writer.look_up(sending.connection, refused, by_person=_is_persons(calls))
    except errors.ProviderError:
        return {
            pk: verdict
            for pk, verdict in decided.items()
            if pk not in {call.pk for call in refused}
        }
    there = {pk: record for pk, record in found.items() if isinstance(record, Made)}
    return {**decided, **there}


def _unanswered(
    writer: Writer, sending: Sending, calls: Sequence[Call], error: errors.ProviderError
) -> dict[UUID, Outcome]:
    """It may have been done: see whether it is there. If not, it is tried again later."""
    reason = str(error)[:500]
    Call.objects.filter(pk__in=[c.pk for c in calls], state__in=UNSETTLED).update(
        state=CallState.SENT, error=reason
    )
    Sending.objects.filter(pk=sending.pk).update(status=error.status, checked_at=Now())
    try:
        found = writer.look_up(sending.connection, calls, by_person=_is_persons(calls))
    except errors.ProviderError:
        found = {}
    missing = store_found(writer, sending, calls, found)
    pause = BACK_OFF[min(sending.times, len(BACK_OFF)) - 1]
    return {call.pk: later(reason, soon(pause)) for call in missing}


def _refused_whole(
    writer: Writer, sending: Sending, calls: Sequence[Call], error: errors.Invalid
) -> dict[UUID, Outcome]:
    """The request as such was refused, so nothing of it was done. One bad element must not fail the
    others.
    """
    if len(calls) > 1:
        waiting: dict[UUID, Outcome] = {}
        for call in calls:
            waiting |= send_anew(writer, [call])
        return waiting
    verdicts: dict[UUID, Made | Refused] = {calls[0].pk: Refused(error.messages)}
    Sending.objects.filter(pk=sending.pk).update(status=error.status)
    _store(writer, sending, _looked_at_again(writer, sending, calls, verdicts))
    return {}


def nothing_sent(
    sending: Sending, calls: Sequence[Call], error: errors.ProviderError
) -> dict[UUID, Outcome]:
    """Nothing was done this time. If it was the first, the intent is as good as new, or fails if it
    never can be.
    """
    outcome = outcome_of(error)
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
        outcome = later(str(error), soon(BACK_OFF[-1]))
    return dict.fromkeys([call.pk for call in calls], outcome)


def _is_persons(calls: Sequence[Call]) -> bool:
    return any(call.form_key is not None for call in calls)


# -- storing what became of it
# ----------------------------------------------------------------------------------


def _store(writer: Writer, sending: Sending, decided: Mapping[UUID, Made | Refused]) -> None:
    """Keep what is known of these; a call that is settled already stays as it is."""
    retry_during_outage(lambda: _store_once(writer, sending, decided))
    crash_point("journal.after_commit")


def _store_once(writer: Writer, sending: Sending, decided: Mapping[UUID, Made | Refused]) -> None:
    with transaction.atomic():
        locked = Call.objects.select_for_update(of=("self",)).filter(
            pk__in=list(decided), state__in=UNSETTLED
        )
        for call in locked.select_related("agency", "workspace", "user"):
            settled(writer, call, decided[call.pk])
        Sending.objects.filter(pk=sending.pk).update(status=200)
        crash_point("journal.before_commit")


def settled(writer: Writer, call: Call, verdict: Made | Refused, *, by: User | None = None) -> None:
    call.answer, call.settled_at = verdict.answer, timezone.now()
    if isinstance(verdict, Made):
        call.state, call.error = CallState.CONFIRMED, ""
        call.record_id, call.record_name = verdict.record_id, verdict.name[:255]
        call.messages = list(verdict.warnings)
        call.changed_at = verdict.changed_at
    else:
        call.state, call.messages = CallState.FAILED, verdict.messages
        call.error = " ".join(verdict.messages)[:500]
    call.save(
        update_fields=[
            "answer",
            "settled_at",
            "state",
            "error",
            "record_id",
            "record_name",
            "messages",
            "changed_at",
        ]
    )
    if isinstance(verdict, Made):
        note(call, writer.verb, by=by or call.user)


def tell_authors(author: Callable[[int], str]) -> None:
    """`author` returns what an activation runs, for the audit trail: "Thank a payer v3"."""
    _authors.append(author)


def note(call: Call, verb: str, *, by: User | None, **details: str) -> None:
    """Into the audit trail, with the call and whose it is: a person's, or a step's of a workflow's
    version.
    """
    step = {"activation": call.activation_id, "step": call.step} if call.activation_id else {}
    authors = [author(call.activation_id) for author in _authors] if call.activation_id else []
    audit.record(
        verb,
        by=by or (f"Workflow {authors[0]}" if any(authors) else None),
        agency=call.agency,
        workspace=call.workspace,
        subject=call.record_name or call.subject,
        call=str(call.pk),
        **step,
        **details,
    )


def store_found(
    writer: Writer, sending: Sending, calls: Sequence[Call], found: Mapping[UUID, Found]
) -> list[Call]:
    """Store what the look-up decided; the calls that are not there, as far as one can see."""
    made = {pk: record for pk, record in found.items() if isinstance(record, Made)}
    if made:
        _store(writer, sending, made)
    for pk, verdict in found.items():
        if isinstance(verdict, Undecided):
            _undecided(pk, verdict.reason)
    return [call for call in calls if not isinstance(found.get(call.pk), Made | Undecided)]


def close(reasons: Mapping[UUID, str]) -> None:
    """These are known not to be there, and nobody sends them any more."""
    for pk, reason in reasons.items():
        Call.objects.filter(pk=pk, state__in=UNSETTLED).update(
            state=CallState.FAILED, error=reason[:500], settled_at=Now()
        )


def _undecided(pk: UUID, reason: str) -> None:
    Call.objects.filter(pk=pk, state__in=UNSETTLED).update(
        state=CallState.UNKNOWN, error=reason[:500]
    )


# -- sending again
# ------------------------------------------------------------------------------------------


def resend(
    writer: Writer, sending: Sending, calls: Sequence[Call], *, barred: Bars
) -> dict[UUID, Outcome] | None:
    """Send the same bytes under the same key. None, and nothing is sent: not all that they hold is
    still wanted.

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
    return dispatch(writer, sending, calls)


def send_anew(writer: Writer, calls: Sequence[Call]) -> dict[UUID, Outcome]:
    """They are not there: new calls under a new key take their places."""
    tired = [
        call for call in calls if call.epoch >= (FORM_EPOCHS if call.form_key else MOST_EPOCHS)
    ]
    if tired:
        close(
            {
                call.pk: f"It was sent {call.epoch} times without an answer and is not there."
                for call in tired
            }
        )
    successors = supersede(writer, [call for call in calls if call not in tired])
    crash_point("journal.after_intent")
    return dispatch(writer, successors[0].sending, successors) if successors else {}


def supersede(writer: Writer, calls: Sequence[Call], *, sent_now: bool = True) -> list[Call]:
    """These were sent in vain; as many new ones take their places, with the same bodies and so the
    same marks.
    """
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
        sending = new_sending(writer, old[0].connection, path=path, sent_now=sent_now)
        return stored(writer, sending, [_successor(call, sending) for call in old])


def _successor(call: Call, sending: Sending) -> Call:
    kept = (
        "agency_id workspace_id connection_id action subject user_id form_key activation_id step element body noted"
        " target"
    )
    values = {name: getattr(call, name) for name in kept.split()}
    was_sent = call.sending.first_sent_at is not None
    return Call(id=uuid4(), sending=sending, epoch=call.epoch + was_sent, **values)


def later(reason: str, at: datetime) -> TryLater:
    return TryLater(reason, at=at, counts=False)


def soon(seconds: float) -> datetime:
    return clock.now() + timedelta(seconds=seconds)
