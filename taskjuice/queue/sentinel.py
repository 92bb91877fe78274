"""django-q2's sentinel, changed to leave SIGTERM to the cluster's main process.

Service managers and container runtimes send it to all processes at once. A process that died of it
in the middle of a task left the main process waiting for a sentinel that could not end.
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
        """Spawn a process whose `terminate` kills, since it ignores SIGTERM."""
        # django-q2 ends a task that takes too long by `terminate`, which has to work all the same.
        process: Process = super().spawn_process(target, *args)
        process.terminate = process.kill  # type: ignore[method-assign]
        return process
