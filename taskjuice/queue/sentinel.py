"""django-q2's sentinel, except that it and its children leave SIGTERM to the cluster's main
process.

Service managers and container runtimes send it to all processes at once. Whoever died of it in the
middle of a task left the main process waiting for a sentinel that could not come to an end.
"""

import signal
from multiprocessing import Process
from typing import Any

from django_q.cluster import Sentinel


class DrainingSentinel(Sentinel):  # type: ignore[misc]  # django-q2 publishes no types
    def start(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the children are forked from here on
        super().start()

    def spawn_process(self, target: Any, *args: Any) -> Process:
        """One whose task takes too long is ended by `terminate`, which has to work all the same."""
        process: Process = super().spawn_process(target, *args)
        process.terminate = process.kill  # type: ignore[method-assign]
        return process
