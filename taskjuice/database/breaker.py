"""A circuit breaker that keeps threads from queueing up behind a database that does not answer."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

PAUSE_SECONDS = 0.5  # after a failure, before the next one tries


class Breaker:
    """After a failure one thread at a time tries; the others fail at once and stay free."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed_at: float | None = None
        self._is_tried = False

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Guard the opening of a connection.

        Raises psycopg.OperationalError while another thread is still trying.
        """
        is_trial = self._enter()
        try:
            yield
        except psycopg.OperationalError:
            self.note_failure()
            raise
        else:
            self._failed_at = None
        finally:
            if is_trial:
                self._is_tried = False

    def note_failure(self) -> None:
        """Note that the database did not answer."""
        self._failed_at = time.monotonic()

    def _enter(self) -> bool:
        """Return whether this thread is the one that tries."""
        with self._lock:
            failed_at = self._failed_at
            if failed_at is None:
                return False
            if self._is_tried or time.monotonic() - failed_at < PAUSE_SECONDS:
                raise psycopg.OperationalError("the database did not answer a moment ago")
            self._is_tried = True
            return True


breaker = Breaker()
