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
from django.db.models import Q

from connections import errors
from connections.integrations import (
    ActionContext,
    Data,
    Done,
    Failed,
    Outcome,
    TryLater,
    Unknown,
    convert_error,
)
from connections.models import LIVE_CALLS, Call, CallState, Connection, Sending
from connections.writes import admission, reconciliation, sending, settling
from connections.writes.orphans import ALIVE_SECONDS
from connections.writes.results import UNSETTLED
from connections.writes.writers import WRITERS, WriteDraft, Writer
from taskjuice.crash import crash_point
from taskjuice.queue import clock

STALE_SECONDS = (
    60  # a process that was held up for so long between intent and sending does not send
)
SECOND_CLICK_SECONDS = 8.0  # how long a form sent twice waits for what its first sending brings
BUSY = "Another change of this document is under way."


def write(writer: Writer, calls: Sequence[ActionContext], rows: Sequence[Data]) -> list[Outcome]:
    """Make these records, each exactly once, and return an outcome per row.

    All calls are of one connection. A step or form that wrote before gets that outcome again. Call
    it outside transactions.
    """
    connection = calls[0].connection
    assert connection is not None  # a lane or a page has one
    waiting: dict[UUID, Outcome] = {}
    calls = [_add_key(call) for call in calls]
    before = _find_latest(calls)
    ours = {index: call for index, call in before.items() if call.state in LIVE_CALLS}
    waiting |= settling.settle_calls(
        writer, connection, [call for call in ours.values() if _is_ours_to_settle(call)]
    )
    fresh = [index for index in range(len(calls)) if index not in ours]
    outcomes, later = _start_new(writer, connection, calls, rows, fresh)
    waiting |= later
    for index, call in _find_latest(calls).items():
        if index not in outcomes:
            outcomes[index] = _build_outcome(
                call if call.pk in waiting else _await_answer(call), waiting
            )
    return [outcomes.get(index) or Failed("busy", BUSY) for index in range(len(calls))]


def find_form_call(connection: Connection, form_key: UUID) -> Call | None:
    """Return the newest call of a page's form."""
    return (
        Call.objects.filter(connection=connection, form_key=form_key).order_by("created_at").last()
    )


def _add_key(call: ActionContext) -> ActionContext:
    """Return the context with a key of its own if it belongs neither to a form nor to a step."""
    lone = call.form_key is None and call.activation_id is None
    return replace(call, form_key=uuid4()) if lone else call


def _find_latest(calls: Sequence[ActionContext]) -> dict[int, Call]:
    """Return the newest journaled call of each context, by its index in `calls`."""
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
    """Return whether this process may settle the call.

    Calls of steps belong to the process that holds the lane; those of forms to the request that
    sent them, for a while.
    """
    if call.state not in UNSETTLED:
        return False
    return call.form_key is None or clock.now() - call.created_at > timedelta(seconds=ALIVE_SECONDS)


def _start_new(
    writer: Writer,
    connection: Connection,
    calls: Sequence[ActionContext],
    rows: Sequence[Data],
    fresh: Sequence[int],
) -> tuple[dict[int, Outcome], dict[UUID, Outcome]]:
    """Draft, store and send new writes.

    Returns the outcomes of those that are not sent, by index, and of those that still wait, by
    call.
    """
    outcomes: dict[int, Outcome] = {}
    if not fresh:
        return outcomes, {}
    if reconciliation.is_open():
        return {index: reconciliation.hold_write(calls[index]) for index in fresh}, {}
    try:
        drafts = writer.drafts(
            [calls[i] for i in fresh], [rows[i] for i in fresh], [uuid4() for _ in fresh]
        )
    except errors.ProviderError as error:
        return dict.fromkeys(fresh, convert_error(error)), {}
    accepted: dict[int, WriteDraft] = {}
    for index, draft in zip(fresh, drafts, strict=True):
        if isinstance(draft, WriteDraft):
            accepted[index] = draft
        else:
            outcomes[index] = draft
    outcomes |= _ask_admission(calls, accepted)
    accepted = {index: draft for index, draft in accepted.items() if index not in outcomes}
    doubts = reconciliation.find_doubtful(calls[index] for index in accepted)
    doubtful = {
        index: draft for index, draft in accepted.items() if calls[index].activation_id in doubts
    }
    made = _store_doubtful(writer, connection, calls, doubtful, doubts) if doubtful else []
    intended = time.monotonic()
    sure = {index: draft for index, draft in accepted.items() if index not in doubtful}
    made += _store_intents(writer, connection, calls, sure)
    crash_point("journal.after_intent")
    waiting: dict[UUID, Outcome] = {}
    for request, its_calls in sending.group_by_sending(
        call for call in made if call.state in UNSETTLED
    ):
        # Held up for so long, another process may have taken over.
        if time.monotonic() - intended > STALE_SECONDS:
            waiting |= sending.handle_nothing_sent(
                request, its_calls, errors.RetryLater("Held up before it was sent.")
            )
        else:
            waiting |= sending.send_calls(writer, request, its_calls)
    entered = {call.pk for call in made}
    kept_out = (index for index, draft in accepted.items() if draft.id not in entered)
    busy = TryLater(BUSY, at=sending.from_now(5), counts=False)
    outcomes |= {index: busy for index in kept_out if calls[index].form_key is None}
    return outcomes, waiting


def _ask_admission(
    calls: Sequence[ActionContext], drafts: Mapping[int, WriteDraft]
) -> dict[int, Outcome]:
    answers = admission.judge_requests(
        [admission.WriteRequest.of(calls[index], draft) for index, draft in drafts.items()]
    )
    return {
        index: answer for index, answer in zip(drafts, answers, strict=True) if answer is not None
    }


def _await_answer(call: Call) -> Call:
    """Wait for the request that is sending the same form right now, and return its call."""
    until = time.monotonic() + SECOND_CLICK_SECONDS
    while call.form_key and _is_on_its_way(call) and time.monotonic() < until:
        time.sleep(0.1)
        call = Call.objects.select_related("sending").get(pk=call.pk)
    return call


def _is_on_its_way(call: Call) -> bool:
    """Return whether the call was sent, or is about to be, and its result is not known yet."""
    return call.state in UNSETTLED and not call.error and call.sending.first_sent_at is not None


def _store_intents(
    writer: Writer,
    connection: Connection,
    calls: Sequence[ActionContext],
    drafts: Mapping[int, WriteDraft],
    *,
    sent_now: bool = True,
) -> list[Call]:
    """Store the intents of a whole wave in one transaction, but for those that a unique key keeps
    out.
    """
    made: list[Call] = []
    indexes = list(drafts)
    with transaction.atomic():
        for start in range(0, len(indexes), writer.most):
            chunk = indexes[start : start + writer.most]
            request = sending.create_sending(
                writer, connection, path=drafts[chunk[0]].path, sent_now=sent_now
            )
            rows = [_build_call(writer, request, calls[index], drafts[index]) for index in chunk]
            made += sending.store_calls(writer, request, rows)
    return made


def _store_doubtful(
    writer: Writer,
    connection: Connection,
    calls: Sequence[ActionContext],
    drafts: Mapping[int, WriteDraft],
    doubts: Mapping[int, str],
) -> list[Call]:
    """Store intents for a person to decide: they may have been carried out before a restore."""
    with transaction.atomic():
        made = _store_intents(writer, connection, calls, drafts, sent_now=False)
        for call in made:
            call.state, call.error = CallState.UNKNOWN, doubts[call.activation_id or 0]
        Call.objects.bulk_update(made, ["state", "error"])
    return made


def _build_call(writer: Writer, request: Sending, call: ActionContext, draft: WriteDraft) -> Call:
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


def _build_outcome(call: Call, waiting: Mapping[UUID, Outcome]) -> Outcome:
    """Return the outcome of a journaled call for its step or page."""
    match call.state:
        case CallState.CONFIRMED:
            return Done(call.answer or {}, subject=call.record_name)
        case CallState.UNKNOWN:
            return Unknown(call.error)
        case CallState.FAILED:
            return Failed(_find_failure_code(call), call.error, status=call.sending.status)
        case CallState.INTENDED | CallState.SENT:
            return waiting.get(call.pk) or TryLater(call.error or "It is being sent.", counts=False)
    return Failed("abandoned", "It was decided not to do this.")


def _find_failure_code(call: Call) -> str:
    if not call.messages:
        return errors.NotPermitted.code if call.sending.status == 403 else "not-done"
    words = WRITERS[call.action].says_it_exists if call.action in WRITERS else ()
    exists = any(part in message.lower() for part in words for message in call.messages)
    return "duplicate" if exists else "invalid"


# -- calls that nobody came back to
# -----------------------------------------------------------------------------
