"""A worker node: a django-q2 cluster in a process group, with a sweeper, canaries and a watchdog.

Why the watchdog (measured): a django-q2 process that is killed while it holds an internal queue's
lock leaves the cluster silent, or repeating its tasks for ever, with every pid alive. So the node
sends itself a canary through the queue; if nothing at all moves for a while, the whole process
group is killed and started again.
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

from taskjuice.database import limits
from taskjuice.queue import leases, processes, sweeping
from taskjuice.queue.canaries import DATABASE_SECONDS, Canaries
from taskjuice.queue.pulse import PULSE, Pulse
from taskjuice.queue.stop_signals import StopSignals

logger = logging.getLogger(__name__)

START_SECONDS = 60  # the cluster's processes load what they need before the first task runs
SILENT_SECONDS = 15  # nothing ran for so long although canaries were sent
BUSY_SECONDS = 40  # a task may be inside one slow call to a provider (30 s at most)
DRAIN_SECONDS = 130  # a task may take 120 s (Q_CLUSTER's timeout)
UNACKNOWLEDGED_SECONDS = 30  # a canary ran, but its message stays: the cluster's monitor is stuck


class WorkerNode:
    """This worker node, seen from its parent process."""

    def __init__(self) -> None:
        self.name = processes.identify_process()
        self.stop = Event()
        self.cluster: subprocess.Popen[bytes] | None = None
        self.canaries = Canaries(self.name)
        self.begun = 0.0  # the pulse when the cluster was started
        self.pulse = Pulse(Path(tempfile.mkdtemp(prefix="taskjuice-worker-")))

    def run(self) -> int:
        signals = StopSignals()
        limits.set_kind("worker")
        leases.add_idle_check(self._is_idle)
        leases.add_idle_check(self.canaries.is_of_lost_host)
        self._start_cluster()
        jobs = {"sweeper": sweeping.run_until, "canaries": self.canaries.run_until}
        threads = [
            Thread(target=job, args=(self.stop,), name=name, daemon=True)
            for name, job in jobs.items()
        ]
        for thread in threads:
            thread.start()
        while not signals.came:
            self._restart_if_stuck()
            time.sleep(StopSignals.POLL_SECONDS)
        logger.info("worker stops on signal %s", signals.came)
        self.stop.set()
        self._drain()
        self.pulse.remove()
        threads[-1].join(2 * DATABASE_SECONDS)  # it says that this node is gone
        return 0

    def _start_cluster(self) -> None:
        self.pulse.clear()
        self.begun = self.pulse.last()
        self.cluster = subprocess.Popen(
            [sys.executable, "-m", "taskjuice.queue.cluster"],
            # Its processes fork, and a pool of database connections that they share breaks them
            # all.
            env={**os.environ, PULSE: str(self.pulse.folder), "DATABASE_POOL": "false"},
            start_new_session=True,
        )

    def _restart_cluster(self, why: str) -> None:
        logger.error("restarting the cluster: %s", why)
        self._kill_cluster()
        self._start_cluster()
        self.canaries.note_restart()

    def _kill_cluster(self) -> None:
        assert self.cluster is not None
        with suppress(ProcessLookupError):  # gone already
            os.killpg(self.cluster.pid, signal.SIGKILL)
        self.cluster.wait()

    def _drain(self) -> None:
        """Let the running tasks end, then kill what is left."""
        assert self.cluster is not None
        # The main process ends the others in their order; they ignore SIGTERM (sentinel.py).
        self.cluster.send_signal(signal.SIGTERM)
        try:
            self.cluster.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            logger.warning("the cluster did not drain in time")
        self._kill_cluster()

    def _restart_if_stuck(self) -> None:
        """Restart the cluster where it ended or is stuck."""
        # It needs no database: one that hangs must not keep it from its work.
        assert self.cluster is not None
        if self.cluster.poll() is not None:
            self._restart_cluster(f"it ended with code {self.cluster.returncode}")
        elif trouble := self._find_trouble():
            self._restart_cluster(trouble)

    def _find_trouble(self) -> str:
        """Return what shows that the cluster is stuck; empty when it is well."""
        now, last = time.time(), self.pulse.last()
        if self.pulse.is_busy():
            limit = BUSY_SECONDS
        else:
            # While the database is away no canary comes, and after it the first needs its time.
            limit = START_SECONDS if last <= self.begun else SILENT_SECONDS
            last = max(last, self.canaries.flowing_since or now)
        if now - last > limit * self.canaries.nodes:
            return f"nothing ran for {now - last:.0f} s"
        since = self.canaries.unacknowledged_since
        if since is not None and now - since > UNACKNOWLEDGED_SECONDS:
            return "finished tasks are not acknowledged"
        return ""

    def _is_idle(self, name: str) -> bool:
        """Return whether the named process belongs to this node's cluster and is in no task."""
        if not processes.is_here(name):
            return False
        pid = name.split("|")[1]
        try:
            is_ours = self.cluster is not None and os.getsid(int(pid)) == self.cluster.pid
        except ProcessLookupError:
            return False
        return is_ours and not processes.is_dead(name) and not self.pulse.is_running(pid)
