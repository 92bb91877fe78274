"""Writing together: what several threads bring while one is writing goes with the next write, in
one commit.

Nobody waits for company: a thread that finds none writing writes at once. A commit costs nearly the
same for one as for many, so a burst is acknowledged with a fraction of them.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
SLOW_SECONDS = 0.5  # a write that takes longer than this is in trouble


class TooSlow(Exception):
    """It is not written: the write before it does not end."""


@dataclass(eq=False, slots=True)
class Brought(Generic[T]):
    """What one thread brought. `turn`: it is settled, or its thread is the next to write."""

    item: T
    turn: threading.Event = field(default_factory=threading.Event)
    settled: bool = False
    error: BaseException | None = None


class Together(Generic[T]):
    """`write` stores all it is given or raises; it runs in the thread of one who brought some of
    it.

    Nobody waits longer than `seconds` for others, and while a write is in trouble no more than
    `most` threads wait.
    """

    def __init__(self, write: Callable[[Sequence[T]], None], *, seconds: float, most: int) -> None:
        self._write = write
        self._seconds = seconds
        self._most = most
        self._began = 0.0  # when the write that is under way began
        self._lock = threading.Lock()
        self._waiting: list[Brought[T]] = []
        self._is_writing = False

    def add(self, item: T) -> None:
        """Returns once it is written; raises what kept it from being written, or TooSlow."""
        mine = Brought(item)
        with self._lock:
            if self._is_writing and len(self._waiting) >= self._most and self._is_slow():
                raise TooSlow
            self._waiting.append(mine)
            is_first, self._is_writing = not self._is_writing, True
        if not is_first and not mine.turn.wait(self._seconds):
            self._withdraw(mine)
        if not mine.settled:
            self._write_waiting()
        if mine.error is not None:
            raise mine.error

    def _is_slow(self) -> bool:
        return time.monotonic() - self._began > SLOW_SECONDS

    def _withdraw(self, mine: Brought[T]) -> None:
        """Wait no longer; raises TooSlow unless it is this thread's turn at this very moment."""
        with self._lock:
            if mine.turn.is_set():
                return
            if mine in self._waiting:  # else it is being written, and may be stored all the same
                self._waiting.remove(mine)
        raise TooSlow

    def _write_waiting(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
            self._began = time.monotonic()
        error: BaseException | None = None
        try:
            self._write([brought.item for brought in batch])
        except BaseException as found:  # noqa: BLE001 - raised again by each of them
            error = found
        self._settle(batch, error)

    def _settle(self, batch: list[Brought[T]], error: BaseException | None) -> None:
        with self._lock:
            if (
                error is not None
            ):  # who waits would meet the same, later than a provider waits for an answer
                batch, self._waiting = batch + self._waiting, []
            following = self._waiting[0] if self._waiting else None
            self._is_writing = following is not None
        if following is not None:
            following.turn.set()
        for brought in batch:
            brought.error, brought.settled = error, True
            brought.turn.set()
