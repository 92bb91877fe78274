"""Who may hold a write back before it is entered in the journal: the limits of its step, a person's
approval.

The journal asks with the drafts, outside any transaction; effects that know no journal are asked
for by the engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from connections.integrations import Call, Outcome
from connections.writes.writers import Draft, Twin


@dataclass(frozen=True, slots=True)
class Request:
    """A write that is about to happen. `amount` None: it has none, or none that is known
    beforehand.
    """

    call: Call
    subject: str
    amount: Decimal | None = None
    currency: str = ""
    twin: Twin | None = None

    @classmethod
    def of(cls, call: Call, draft: Draft) -> "Request":
        return cls(call, draft.subject, draft.amount, draft.currency, draft.twin)


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Whoever limits writes.

    `judge` answers each request with None, or with the outcome that stands in the write's place.
    `give_back` is told of the admitted calls that wrote nothing after all.
    """

    judge: Callable[[Sequence[Request]], list[Outcome | None]]
    give_back: Callable[[Sequence[Call]], None]


_gatekeepers: list[Gatekeeper] = []


def add(gatekeeper: Gatekeeper) -> None:
    """Have this gatekeeper asked before each guarded write."""
    _gatekeepers.append(gatekeeper)


def ask(requests: Sequence[Request]) -> list[Outcome | None]:
    """One answer per request; those whose step is held to nothing pass."""
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


def give_back(calls: Sequence[Call]) -> None:
    """Say that nothing was written for these calls, though they were admitted."""
    for gatekeeper in _gatekeepers:
        gatekeeper.give_back(calls)
