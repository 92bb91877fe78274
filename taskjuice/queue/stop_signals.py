"""The signals that ask a process to stop, noted for its main loop."""

import signal
from typing import ClassVar


class StopSignals:
    """Take SIGTERM and SIGINT from here on.

    The handler takes no lock, not even that of a `threading.Event`: it runs between any two steps
    of the main thread, which may hold the lock just then and would wait for itself.
    """

    POLL_SECONDS: ClassVar[float] = 0.2

    def __init__(self) -> None:
        self.came = 0  # the number of the last one
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        self.came = number
