"""The budget of evaluating expressions: elements visited and processor time.

It is shared by all expressions of one step or of one whole test. Each filter is bounded by itself,
yet a field holds hundreds of expressions and a step many fields. Code that visits the elements of a
list, or the characters of a long text, spends them here first. The time is the thread's own
processor time, so that a busy machine refuses nothing that an idle one evaluates.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

MOST_ELEMENTS = 500_000
MOST_SECONDS = 2.0  # as long as a lane's turn
CHARACTERS = 64  # of a text count as one element


class BudgetSpent(Exception):
    """An expression asks for more work than one step may take; the text is for its author."""


@dataclass(slots=True)
class _Budget:
    elements: int
    ends: float  # by the thread's processor time


_current: ContextVar[_Budget | None] = ContextVar("evaluation_budget", default=None)


@contextmanager
def evaluation_budget(
    elements: int = MOST_ELEMENTS, seconds: float = MOST_SECONDS
) -> Iterator[None]:
    """Share one budget among all evaluations inside; a budget that is already open is used
    further.
    """
    if _current.get() is not None:
        yield
        return
    token = _current.set(_Budget(elements, time.thread_time() + seconds))
    try:
        yield
    finally:
        _current.reset(token)


def is_open() -> bool:
    return _current.get() is not None


def spend_elements(elements: int = 1) -> None:
    """Raise BudgetSpent where the budget does not allow visiting this many elements."""
    budget = _current.get()
    if budget is None:
        return
    budget.elements -= elements
    if budget.elements < 0:
        raise BudgetSpent(
            f"The expressions of this step visit more than {MOST_ELEMENTS:,} elements in all."
            " Work on a shorter list, or split the step."
        )
    if time.thread_time() > budget.ends:
        raise BudgetSpent(
            f"The expressions of this step take longer than {MOST_SECONDS:.0f} seconds to work out."
            " Work on a shorter list, or split the step."
        )


def spend_text(length: int) -> None:
    """Spend the characters of a text, 64 of them as one element; short texts are free."""
    if length >= CHARACTERS:
        spend_elements(length // CHARACTERS)
