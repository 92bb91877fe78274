"""The journal of writes: each is stored before it is sent and its answer after, so that it happens
exactly once.

An integration describes its writes with a Writer; here is when what is sent:

- The intent (`Sending` with its bytes and key, a `Call` per element) is committed, then sent.
- Good answer: each element is confirmed or refused by itself. "Nothing was done": the intent waits for its time.
- No answer, or the process died: the record is looked up. It is there: confirmed. It is not: while the provider
  remembers the key, the same bytes go out under the same key; later a new call under a new key takes its place.
- The look-up cannot tell: the call is `unknown`, and a person decides (connections/writes/decisions.py).

No transaction is open while anything is sent. Calls of steps are protected by their lane: whoever
holds it is the only one who works on them. Calls of forms are left to the request that made them
for ALIVE_SECONDS, then to the sweep.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from connections import errors
from connections.integrations import Call as ActionCall
from connections.integrations import Data, Done, Failed, Outcome, TryLater, Unknown, outcome_of
from connections.models import LIVE_CALLS, OPEN_CALLS, Call, CallState, Connection, Sending
from connections.writes import admission, reconciliation, resend_checks, sending, settling
from connections.writes.sending import UNSETTLED
from connections.writes.writers import WRITERS, Draft, Writer
from taskjuice.crash import crash_point
from taskjuice.queue import clock, wake
from taskjuice.workspaces.models import User

STALE_SECONDS = (
    60  # a process that was held up for so long between intent and sending does not send
)
ALIVE_SECONDS = 40  # longer than a request that sends lives
CHECK_SECONDS = 30  # between two looks at the same sending
ORPHANED_SECONDS = 300  # a step's call that its lane did not come back to
TURN_SECONDS = 20.0  # of the task that looks, which may take 120
MOST = 200  # sendings of one such turn
SECOND_CLICK_SECONDS = 8.0  # how long a form sent twice waits for what its first sending brings
BUSY = "Another change of this document is under way."
SETTLE, SETTLE_TASK = "settle-calls", "connections.tasks.settle_calls"


def write(writer: Writer, calls: Sequence[ActionCall], rows: Sequence[Data]) -> list[Outcome]:
    """Make these records, each exactly once; an outcome per row. All calls are of one connection.

    A step or form that wrote before gets that outcome again. Call it outside transactions.
    """
    connection = calls[0].connection
    assert connection is not None  # a lane or a page has one
    waiting: dict[UUID, Outcome] = {}
    calls = [_named(call) for call in calls]
    before = _latest(calls)
    ours = {index: call for index, call in before.items() if call.state in LIVE_CALLS}
    waiting |= settling.settle(
        writer, connection, [call for call in ours.values() if _is_ours_to_settle(call)]
    )
    fresh = [index for index in range(len(calls)) if index not in ours]
    outcomes, later = _begin(writer, connection, calls, rows, fresh)
    waiting |= later
    for index, call in _latest(calls).items():
        if index not in outcomes:
            outcomes[index] = _outcome(call if call.pk in waiting else _awaited(call), waiting)
    return [outcomes.get(index) or Failed("busy", BUSY) for index in range(len(calls))]


def of_form(connection: Connection, form_key: UUID) -> Call | None:
    """The newest call of a page's form."""
    return (
        Call.objects.filter(connection=connection, form_key=form_key).order_by("created_at").last()
    )


def _named(call: ActionCall) -> ActionCall:
    """With a key of its own where it belongs neither to a form nor to a step."""
    lone = call.form_key is None and call.activation_id is None
    return replace(call, form_key=uuid4()) if lone else call


def _latest(calls: Sequence[ActionCall]) -> dict[int, Call]:
    """The newest journaled call of each, by its place in `calls`."""
    steps = {
        (c.activation_id, c.step, c.element): n for n, c in enumerate(calls) if c.form_key is None
    }
    forms = {c.form_key: n for n, c in enumerate(calls) if c.form_key is not None}
    activations = {c.activation_id for c in calls if c.activation_id is not None}
    known = Call.objects.filter(
        Q(activation_id__in=activations) | Q(form_key__in=list(forms)),
        connection=calls[0].connection,
    )
    found: dict[int, Call] = {}
    for call in known.select_related("sending").order_by("created_at", "epoch"):
        step = (call.activation_id, call.step, call.element)
        index = steps.get(step) if call.form_key is None else forms.get(call.form_key)
        if index is not None:
            found[index] = call
    return found


def _is_ours_to_settle(call: Call) -> bool:
    """Calls of steps belong to whoever holds the lane; those of forms to the request that sent
    them, for a while.
    """
    if call.state not in UNSETTLED:
        return False
    return call.form_key is None or clock.now() - call.created_at > timedelta(seconds=ALIVE_SECONDS)


def _begin(
    writer: Writer,
    connection: Connection,
    calls: Sequence[ActionCall],
    rows: Sequence[Data],
    fresh: Sequence[int],
) -> tuple[dict[int, Outcome], dict[UUID, Outcome]]:
    """Draft, intend and send the new ones: outcomes of those that are not sent, and of calls that
    still wait.
    """
    outcomes: dict[int, Outcome] = {}
    if not fresh:
        return outcomes, {}
    if reconciliation.is_open():
        return {index: reconciliation.held(calls[index]) for index in fresh}, {}
    try:
        drafts = writer.drafts(
            [calls[i] for i in fresh], [rows[i] for i in fresh], [uuid4() for _ in fresh]
        )
    except errors.ProviderError as error:
        return dict.fromkeys(fresh, outcome_of(error)), {}
    accepted: dict[int, Draft] = {}
    for index, draft in zip(fresh, drafts, strict=True):
        if isinstance(draft, Draft):
            accepted[index] = draft
        else:
            outcomes[index] = draft
    outcomes |= _held_back(calls, accepted)
    accepted = {index: draft for index, draft in accepted.items() if index not in outcomes}
    doubts = reconciliation.doubtful(calls[index] for index in accepted)
    doubtful = {
        index: draft for index, draft in accepted.items() if calls[index].activation_id in doubts
    }
    made = _doubt(writer, connection, calls, doubtful, doubts) if doubtful else []
    intended = time.monotonic()
    sure = {index: draft for index, draft in accepted.items() if index not in doubtful}
    made += _intend(writer, connection, calls, sure)
    crash_point("journal.after_intent")
    waiting: dict[UUID, Outcome] = {}
    for request, its_calls in sending.by_sending(call for call in made if call.state in UNSETTLED):
        if (
            time.monotonic() - intended > STALE_SECONDS
        ):  # held up: somebody else may have taken over by now
            waiting |= sending.nothing_sent(
                request, its_calls, errors.RetryLater("Held up before it was sent.")
            )
        else:
            waiting |= sending.dispatch(writer, request, its_calls)
    entered = {call.pk for call in made}
    kept_out = (index for index, draft in accepted.items() if draft.id not in entered)
    busy = TryLater(BUSY, at=sending.soon(5), counts=False)
    outcomes |= {index: busy for index in kept_out if calls[index].form_key is None}
    return outcomes, waiting


def _held_back(calls: Sequence[ActionCall], drafts: Mapping[int, Draft]) -> dict[int, Outcome]:
    answers = admission.ask(
        [admission.Request.of(calls[index], draft) for index, draft in drafts.items()]
    )
    return {
        index: answer for index, answer in zip(drafts, answers, strict=True) if answer is not None
    }


def _awaited(call: Call) -> Call:
    """A form sent twice: the request that came first is sending right now, so its answer is this
    one's too.
    """
    until = time.monotonic() + SECOND_CLICK_SECONDS
    while call.form_key and _is_on_its_way(call) and time.monotonic() < until:
        time.sleep(0.1)
        call = Call.objects.select_related("sending").get(pk=call.pk)
    return call


def _is_on_its_way(call: Call) -> bool:
    """Sent or about to be, and no word of how it went yet."""
    return call.state in UNSETTLED and not call.error and call.sending.first_sent_at is not None


def _intend(
    writer: Writer,
    connection: Connection,
    calls: Sequence[ActionCall],
    drafts: Mapping[int, Draft],
    *,
    sent_now: bool = True,
) -> list[Call]:
    """Store the intents of a whole wave in one transaction; those that a unique key keeps out are
    left out.
    """
    made: list[Call] = []
    indexes = list(drafts)
    with transaction.atomic():
        for start in range(0, len(indexes), writer.most):
            chunk = indexes[start : start + writer.most]
            request = sending.new_sending(
                writer, connection, path=drafts[chunk[0]].path, sent_now=sent_now
            )
            rows = [_row(writer, request, calls[index], drafts[index]) for index in chunk]
            made += sending.stored(writer, request, rows)
    return made


def _doubt(
    writer: Writer,
    connection: Connection,
    calls: Sequence[ActionCall],
    drafts: Mapping[int, Draft],
    doubts: Mapping[int, str],
) -> list[Call]:
    """Store the intents and let a person decide: these may have been carried out before a restore."""
    with transaction.atomic():
        made = _intend(writer, connection, calls, drafts, sent_now=False)
        for call in made:
            call.state, call.error = CallState.UNKNOWN, doubts[call.activation_id or 0]
        Call.objects.bulk_update(made, ["state", "error"])
    return made


def _row(writer: Writer, request: Sending, call: ActionCall, draft: Draft) -> Call:
    connection = request.connection
    return Call(
        id=draft.id,
        agency_id=connection.agency_id,
        workspace_id=connection.workspace_id,
        connection=connection,
        action=writer.action,
        subject=draft.subject[:200],
        user=call.user,
        form_key=call.form_key,
        activation_id=call.activation_id,
        step=call.step,
        element=call.element,
        sending=request,
        body=draft.body,
        noted=draft.noted,
        target=draft.target,
    )


def _outcome(call: Call, waiting: Mapping[UUID, Outcome]) -> Outcome:
    """What a journaled call means for the step or page that asks for it."""
    match call.state:
        case CallState.CONFIRMED:
            return Done(call.answer or {}, subject=call.record_name)
        case CallState.UNKNOWN:
            return Unknown(call.error)
        case CallState.FAILED:
            return Failed(_why_failed(call), call.error, status=call.sending.status)
        case CallState.INTENDED | CallState.SENT:
            return waiting.get(call.pk) or TryLater(call.error or "It is being sent.", counts=False)
    return Failed("abandoned", "It was decided not to do this.")


def _why_failed(call: Call) -> str:
    if not call.messages:
        return errors.NotPermitted.code if call.sending.status == 403 else "not-done"
    words = WRITERS[call.action].says_it_exists if call.action in WRITERS else ()
    exists = any(part in message.lower() for part in words for message in call.messages)
    return "duplicate" if exists else "invalid"


# -- calls that nobody came back to
# -----------------------------------------------------------------------------


def wake_orphans() -> None:
    """The sweep: calls whose process died, or that wait for an answer and have no lane that will
    ask.
    """
    if _left_behind().exists():
        wake.wake_once(SETTLE, SETTLE_TASK)


def settle_orphans() -> int:
    """Find out what became of them; how many were looked up. Any number of copies may run at once.

    The flag stays up meanwhile, so that a provider that answers slowly keeps one worker busy and
    not all.
    """
    total = 0
    ends = time.monotonic() + TURN_SECONDS
    due = Sending.objects.filter(calls__in=_left_behind()).order_by("pk").distinct()
    for request in due.select_related("connection")[:MOST]:
        if time.monotonic() > ends:  # others get their turn at this worker
            wake.wake_again(SETTLE, SETTLE_TASK)
            return total
        if Sending.objects.filter(pk=request.pk).filter(_unchecked("")).update(checked_at=Now()):
            total += _settle_left_behind(request)
    wake.note_taken(SETTLE)
    return total


def _settle_left_behind(request: Sending) -> int:
    unsettled = list(request.calls.filter(state__in=UNSETTLED).select_related("sending"))
    calls = unsettled if reconciliation.is_open() else _without_lanes(unsettled)
    for action in {call.action for call in calls} & WRITERS.keys():
        mine = [call for call in calls if call.action == action]
        settling.settle_left_behind(WRITERS[action], request.connection, mine)
    return len(calls)


def _without_lanes(calls: Sequence[Call]) -> list[Call]:
    """Those of forms, and of steps that their lane will not come back to, or has not for long."""
    barred = resend_checks.barred([call for call in calls if call.activation_id is not None])
    forgotten = clock.now() - timedelta(seconds=ORPHANED_SECONDS)
    return [
        call
        for call in calls
        if call.form_key is not None or call.pk in barred or call.created_at < forgotten
    ]


def _left_behind() -> "QuerySet[Call]":
    """Unsettled calls that nobody has looked at lately: whether a lane comes back to them is asked
    one by one.
    """
    begun = Q(created_at__lt=Now() - timedelta(seconds=ALIVE_SECONDS))
    told = ~Q(error="")  # whoever sent it noted that no answer came, and has let go of it
    return Call.objects.filter(begun | told, _unchecked("sending__"), state__in=UNSETTLED)


def _unchecked(prefix: str) -> Q:
    since = Now() - timedelta(seconds=CHECK_SECONDS)
    return Q(**{f"{prefix}checked_at": None}) | Q(**{f"{prefix}checked_at__lt": since})


def withdraw(activation_id: int, *, by: User) -> None:
    """The activation is cancelled, inside the caller's transaction: its open writes end with it.

    What never left this machine, or waits for a person, is abandoned. What may be in Xero is looked
    up by a worker, and closed where it is not.
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
            sending.note(call, "write abandoned", by=by)
        else:
            Sending.objects.filter(pk=call.sending_id).update(checked_at=None)
            wake.wake_once(SETTLE, SETTLE_TASK)
