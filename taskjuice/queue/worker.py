"""One worker node: a django-q2 cluster in a process group of its own, a sweeper and a watchdog around it.

Why it is needed (measured): a django-q2 process that is killed while it holds an internal queue's lock leaves
the cluster silent, or repeating its tasks for ever, with every pid alive. So the node sends itself a canary
through the queue; if nothing at all moves for a while, the whole process group is killed and started anew.
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

from django.db import Error, close_old_connections
from django.db.models import F
from django.db.models.functions import Now
from django_q.models import OrmQ

from taskjuice.queue import heartbeat, processes, sweeping
from taskjuice.queue.models import Heartbeat
from taskjuice.queue.pulse import PULSE, Pulse
from taskjuice.queue.wake import enqueue

logger = logging.getLogger(__name__)

CANARY_SECONDS = 5
SILENT_SECONDS = 15  # nothing ran for so long although canaries were sent
BUSY_SECONDS = 40  # a task may be inside one slow call to a provider (30 s at most)
DRAIN_SECONDS = 130  # a task may take 120 s (Q_CLUSTER's timeout)
UNACKNOWLEDGED_SECONDS = 30  # a canary ran, but its message stays: the cluster's monitor is stuck


class Node:
    """This worker node, seen from its parent process."""

    def __init__(self) -> None:
        self.name = processes.identity()
        self.stop = Event()
        self.cluster: subprocess.Popen[bytes] | None = None
        self.canary: int | None = None  # the queue row of the last canary
        self.canary_sent = 0.0
        self.canary_ran = 0.0
        self.pulse = Pulse(Path(tempfile.mkdtemp(prefix="taskjuice-worker-")))

    # -- life --------------------------------------------------------------------------------------------
    def run(self) -> int:
        signal.signal(signal.SIGTERM, self._asked_to_stop)
        signal.signal(signal.SIGINT, self._asked_to_stop)
        heartbeat.forget_dead()
        heartbeat.beat(self.name)
        self._start_cluster()
        sweeper = Thread(target=sweeping.run_until, args=(self.stop,), name="sweeper", daemon=True)
        sweeper.start()
        while not self.stop.wait(1):
            self._look_after()
        self._drain()
        self.pulse.remove()
        heartbeat.forget(self.name)
        return 0

    def _asked_to_stop(self, signum: int, _frame: object) -> None:
        logger.info("worker stops on signal %s", signum)
        self.stop.set()

    def _start_cluster(self) -> None:
        self.pulse.clear()
        self.canary = None
        self.cluster = subprocess.Popen(
            [sys.executable, "-m", "taskjuice.queue.cluster"],
            # Its processes fork, and a pool of database connections that they share breaks them all.
            env={**os.environ, PULSE: str(self.pulse.folder), "DATABASE_POOL": "false"},
            start_new_session=True,
        )

    def _restart_cluster(self, why: str) -> None:
        logger.error("restarting the cluster: %s", why)
        self._kill_cluster()
        self._start_cluster()
        heartbeat.restarted(self.name)

    def _kill_cluster(self) -> None:
        assert self.cluster is not None
        with suppress(ProcessLookupError):  # gone already
            os.killpg(self.cluster.pid, signal.SIGKILL)
        self.cluster.wait()

    def _drain(self) -> None:
        """SIGTERM to the cluster's main process only: to the whole group it hangs (measured)."""
        assert self.cluster is not None
        self.cluster.send_signal(signal.SIGTERM)
        try:
            self.cluster.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            logger.warning("the cluster did not drain in time")
        self._kill_cluster()

    # -- watchdog ----------------------------------------------------------------------------------------
    def _look_after(self) -> None:
        assert self.cluster is not None
        if self.cluster.poll() is not None:
            self._restart_cluster(f"it ended with code {self.cluster.returncode}")
            return
        try:
            self._send_canary()
            trouble = self._trouble()
        except Error:  # without a database nothing can run, and a restart would not help
            logger.exception("the watchdog cannot reach the database")
            close_old_connections()
            return
        if trouble:
            self._restart_cluster(trouble)

    def _send_canary(self) -> None:
        if time.time() - self.canary_sent >= CANARY_SECONDS:
            heartbeat.beat(self.name)
            if self.canary is None or not OrmQ.objects.filter(pk=self.canary).exists():
                self.canary = enqueue("taskjuice.queue.tasks.canary", self.name)
                self.canary_ran = 0.0
                Heartbeat.objects.filter(node=self.name).update(canary_sent_at=Now())
            self.canary_sent = time.time()

    def _trouble(self) -> str:
        """What shows that the cluster is stuck; empty when it is well."""
        quiet = time.time() - self.pulse.last()
        limit = BUSY_SECONDS if self.pulse.is_busy() else SILENT_SECONDS
        if quiet > limit * self._nodes():
            return f"nothing ran for {quiet:.0f} s"
        return self._unacknowledged()

    def _unacknowledged(self) -> str:
        if self.canary is None:
            return ""
        ran = Heartbeat.objects.filter(node=self.name, canary_ran_at__gte=F("canary_sent_at")).exists()
        if not ran or not OrmQ.objects.filter(pk=self.canary).exists():
            self.canary_ran = 0.0
            return ""
        self.canary_ran = self.canary_ran or time.time()
        if time.time() - self.canary_ran > UNACKNOWLEDGED_SECONDS:
            return "finished tasks are not acknowledged"
        return ""

    def _nodes(self) -> int:
        """Nodes share the queue, so each sees only its part of the canaries."""
        return max(1, heartbeat.fresh().count())
