"""Group commit: items that arrive while one thread is writing go with the next write.

A thread that finds no other writing writes at once. One commit costs nearly the same for many items
as for one, so a burst is acknowledged with a fraction of the commits.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
SLOW_SECONDS = 0.5  # a write that takes longer than this is in trouble


class TooSlow(Exception):
    """The item is not written, because the write before it does not end."""


@dataclass(eq=False, slots=True)
class PendingItem(Generic[T]):
    """The item of one thread. `turn`: it is settled, or its thread is the next to write."""

    item: T
    turn: threading.Event = field(default_factory=threading.Event)
    settled: bool = False
    error: BaseException | None = None


class GroupCommit(Generic[T]):
    """A writer that threads share. `write` stores all items it gets, or raises.

    It runs in the thread of one of the items. No thread waits longer than `seconds` for others, and
    while a write is slow at most `most` threads wait.
    """

    def __init__(self, write: Callable[[Sequence[T]], None], *, seconds: float, most: int) -> None:
        self._write = write
        self._seconds = seconds
        self._most = most
        self._began = 0.0  # when the write that is under way began
        self._lock = threading.Lock()
        self._waiting: list[PendingItem[T]] = []
        self._is_writing = False

    def add(self, item: T) -> None:
        """Return once the item is written.

        Raises TooSlow, or the error that kept the item from being written.
        """
        mine = PendingItem(item)
        with self._lock:
            is_slow = time.monotonic() - self._began > SLOW_SECONDS
            if self._is_writing and len(self._waiting) >= self._most and is_slow:
                raise TooSlow
            self._waiting.append(mine)
            is_first, self._is_writing = not self._is_writing, True
        if not is_first and not mine.turn.wait(self._seconds):
            self._withdraw(mine)
        if not mine.settled:
            self._write_waiting()
        if mine.error is not None:
            raise mine.error

    def _withdraw(self, mine: PendingItem[T]) -> None:
        """Stop waiting; raise TooSlow unless this thread's turn comes at this very moment."""
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
            self._write([pending.item for pending in batch])
        except BaseException as raised:  # noqa: BLE001 - raised again by each of them
            error = raised
        self._settle(batch, error)

    def _settle(self, batch: list[PendingItem[T]], error: BaseException | None) -> None:
        with self._lock:
            if error is not None:
                # The waiting ones would meet the same, later than a provider waits for an answer.
                batch, self._waiting = batch + self._waiting, []
            following = self._waiting[0] if self._waiting else None
            self._is_writing = following is not None
        if following is not None:
            following.turn.set()
        for pending in batch:
            pending.error, pending.settled = error, True
            pending.turn.set()
