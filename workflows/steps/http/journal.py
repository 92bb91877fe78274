"""The journal of requests that may have changed something at their receiver.

A note is committed before the request goes out and the output after it. A step that runs again,
because its process was killed or its lane was lost, neither sends twice nor loses the output.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from connections.integrations import ActionContext, Data
from taskjuice.database.outages import OUTAGE, retry_during_outage
from workflows.models import SentRequest

NAMESPACE = uuid.UUID("1b0b4a4e-9c5f-4f6e-8a39-6f0f2a7c9d53")
RequestKey = tuple[int, str, int]  # activation, step, element


@dataclass(frozen=True, slots=True)
class NotedRequest:
    """The state of a request in the journal.

    `output` is that of an earlier turn, or None; `is_open`: it was sent before, and its outcome is
    unknown.
    """

    output: Data | None = None
    is_open: bool = False


def request_key(call: ActionContext) -> RequestKey:
    assert call.activation_id is not None  # pages send none
    return call.activation_id, call.step, call.element


def idempotency_key(call: ActionContext, *content: str | bytes) -> uuid.UUID:
    """Return the Idempotency-Key, which is stable for this content of this step run."""
    digest = sha256()
    for part in content:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return uuid.uuid5(NAMESPACE, f"{request_key(call)} {digest.hexdigest()}")


def begin_requests(wanted: Mapping[RequestKey, uuid.UUID]) -> Mapping[RequestKey, NotedRequest]:
    """Note these requests as about to be sent, except earlier ones; return the state of each."""
    ids = {activation for activation, _, _ in wanted}
    rows = {
        (row.activation_id, row.step, row.element): row
        for row in SentRequest.objects.filter(activation__in=ids)
    }
    states = {request: _read_state(rows.get(request), key) for request, key in wanted.items()}
    fresh = [request for request, noted in states.items() if noted == NotedRequest()]
    try:
        _note_requests(fresh, wanted)
    except OUTAGE:  # it may have been committed; the caller sends nothing
        retry_during_outage(lambda: settle_requests(dict.fromkeys(fresh)))
        raise
    return states


def _note_requests(fresh: Sequence[RequestKey], wanted: Mapping[RequestKey, uuid.UUID]) -> None:
    SentRequest.objects.bulk_create(
        [
            SentRequest(
                activation_id=activation,
                step=step,
                element=element,
                key=wanted[activation, step, element],
            )
            for activation, step, element in fresh
        ],
        update_conflicts=True,  # other content than before: what became of that is known
        unique_fields=["activation", "step", "element"],
        update_fields=["key", "sent_at", "output"],
    )


def settle_requests(outputs: Mapping[RequestKey, Data | None]) -> None:
    """Store the outputs; None where a request certainly did nothing. All others stay open."""
    for (activation, step, element), output in outputs.items():
        row = SentRequest.objects.filter(activation=activation, step=step, element=element)
        if output is None:
            row.delete()
        else:
            row.update(output=output)


def forget_open(activation_id: int) -> None:
    """Delete the open requests of an activation, because a person replays it."""
    SentRequest.objects.filter(activation=activation_id, output__isnull=True).delete()


def _read_state(row: SentRequest | None, key: uuid.UUID) -> NotedRequest:
    if row is None:
        return NotedRequest()
    if row.output is None:
        return NotedRequest(is_open=True)
    return NotedRequest(output=row.output) if row.key == key else NotedRequest()
