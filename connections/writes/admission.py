"""Admission of writes: a gatekeeper may hold one back for its step's limits or a person's approval.

The journal asks with the drafts, outside any transaction; the engine asks for effects that are not
journaled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from connections.integrations import ActionContext, Outcome
from connections.writes.writers import Twin, WriteDraft


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A write that is about to happen. `amount` None: there is none, or it is not known yet."""

    call: ActionContext
    subject: str
    amount: Decimal | None = None
    currency: str = ""
    twin: Twin | None = None

    @classmethod
    def of(cls, call: ActionContext, draft: WriteDraft) -> "WriteRequest":
        return cls(call, draft.subject, draft.amount, draft.currency, draft.twin)


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """A source of limits on writes.

    `judge` answers each request with None, or with the outcome that takes the write's place.
    `give_back` receives the admitted calls that wrote nothing after all.
    """

    judge: Callable[[Sequence[WriteRequest]], list[Outcome | None]]
    give_back: Callable[[Sequence[ActionContext]], None]


_gatekeepers: list[Gatekeeper] = []


def add_gatekeeper(gatekeeper: Gatekeeper) -> None:
    """Have this gatekeeper judge each guarded write."""
    _gatekeepers.append(gatekeeper)


def judge_requests(requests: Sequence[WriteRequest]) -> list[Outcome | None]:
    """Return one answer per request; requests of steps without a guard pass."""
    answers: list[Outcome | None] = [None] * len(requests)
    for gatekeeper in _gatekeepers:
        numbers = [
            n for n, request in enumerate(requests) if request.call.guard and answers[n] is None
        ]
        if numbers:
            judged = gatekeeper.judge([requests[n] for n in numbers])
            for number, answer in zip(numbers, judged, strict=True):
                answers[number] = answer
    return answers


def give_back(calls: Sequence[ActionContext]) -> None:
    """Report to the gatekeepers that nothing was written for these admitted calls."""
    for gatekeeper in _gatekeepers:
        gatekeeper.give_back(calls)
