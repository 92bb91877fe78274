"""Who may hold a write back before it is entered in the journal: the limits of its step, a person's approval.

The journal asks with the drafts, outside any transaction; effects that know no journal are asked for by the engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from connections.integrations import Call, Outcome
from connections.writes.writers import Draft, Twin


@dataclass(frozen=True, slots=True)
class Request:
    """A write that is about to happen. `amount` None: it has none, or none that is known beforehand."""

    call: Call
    subject: str
    amount: Decimal | None = None
    currency: str = ""
    twin: Twin | None = None

    @classmethod
    def of(cls, call: Call, draft: Draft) -> "Request":
        return cls(call, draft.subject, draft.amount, draft.currency, draft.twin)


Gatekeeper = Callable[[Sequence[Request]], list[Outcome | None]]
_gatekeepers: list[Gatekeeper] = []


def add(gatekeeper: Gatekeeper) -> None:
    """`gatekeeper` answers each request with None, or with the outcome that stands in the write's place."""
    _gatekeepers.append(gatekeeper)


def ask(requests: Sequence[Request]) -> list[Outcome | None]:
    """One answer per request; those whose step is held to nothing pass."""
    answers: list[Outcome | None] = [None] * len(requests)
    for gatekeeper in _gatekeepers:
        open_ones = [n for n, request in enumerate(requests) if request.call.guard and answers[n] is None]
        if open_ones:
            for number, answer in zip(open_ones, gatekeeper([requests[n] for n in open_ones]), strict=True):
                answers[number] = answer
    return answers
