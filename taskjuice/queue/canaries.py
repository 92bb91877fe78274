"""Canaries: messages that a worker node sends itself through the queue, to see that it flows.

Everything the watchdog needs from the database happens here, in a thread of its own, so that a
database that hangs never keeps the watchdog from its processes.
"""

import logging
import time
from threading import Event

from django.db import Error, close_old_connections
from django.db.models import F
from django.db.models.functions import Now
from django_q.models import OrmQ

from taskjuice.database import limits, privileges
from taskjuice.queue import heartbeat
from taskjuice.queue.models import Heartbeat
from taskjuice.queue.wake import enqueue_task

logger = logging.getLogger(__name__)

EVERY_SECONDS = 5
BEAT_SECONDS = 2
DATABASE_SECONDS = 3.0  # that one round may take


class Canaries:
    """`flowing_since` and `unacknowledged_since` are seconds since 1970, or None.

    flowing_since           since then the database has been there, so that canaries could come through
    unacknowledged_since    since then a canary has run whose message stays: the cluster's monitor is stuck
    nodes                   how many share the queue, so that each sees only its part of the canaries
    """

    def __init__(self, node: str) -> None:
        self.node = node
        self.flowing_since: float | None = None
        self.unacknowledged_since: float | None = None
        self.nodes = 1
        self._message: int | None = None  # the queue row of the last one
        self._sent = self._beat = 0.0
        self._restarts = 0  # not yet noted
        self._is_new = True

    def note_restart(self) -> None:
        """Note that the cluster was restarted, and forget the canary that was under way in it."""
        self._restarts += 1
        self._forget_canary()

    def is_of_lost_host(self, name: str) -> bool:
        """Return whether the host of the named process was lost."""
        # After a time without database all hosts are silent: they get as long to be heard again.
        since = self.flowing_since
        return (
            since is not None
            and time.time() - since > heartbeat.SILENT.total_seconds()
            and heartbeat.is_host_silent(name)
        )

    def _forget_canary(self) -> None:
        self._message, self.unacknowledged_since = None, None

    def run_until(self, stop: Event) -> None:
        """Send canaries and heartbeats until `stop` is set."""
        while not stop.wait(1):
            try:
                with limits.set_deadline(DATABASE_SECONDS):
                    self._run_round()
                self.flowing_since = self.flowing_since or time.time()
            except Error:
                # Nothing can run without a database, and a restart would not help.
                logger.exception("the watchdog cannot reach the database")
                self.flowing_since = None
                self._forget_canary()  # its acknowledgement may be what was lost
                close_old_connections()
        self._remove_heartbeat()

    def _run_round(self) -> None:
        if self._is_new:
            for lack in privileges.list_missing():
                logger.error("the database's role lacks %s: run `manage.py grant_node_role`", lack)
            heartbeat.delete_dead_heartbeats()
            self._is_new = False
        if time.time() - self._beat >= BEAT_SECONDS:
            heartbeat.record_heartbeat(self.node)
            self._beat = time.time()
        if time.time() - self._sent >= EVERY_SECONDS:
            self.nodes = max(1, heartbeat.list_live_workers().count())
            self._send_canary()
            self._sent = time.time()
        if self._restarts:
            heartbeat.count_restart(self.node)
            self._restarts -= 1
        self._check_acknowledgement()

    def _send_canary(self) -> None:
        if self._message is None or not OrmQ.objects.filter(pk=self._message).exists():
            self._message = enqueue_task("taskjuice.queue.tasks.canary", self.node)
            self.unacknowledged_since = None
            Heartbeat.objects.filter(node=self.node).update(canary_sent_at=Now())

    def _check_acknowledgement(self) -> None:
        ran = Heartbeat.objects.filter(node=self.node, canary_ran_at__gte=F("canary_sent_at"))
        if (
            self._message is None
            or not ran.exists()
            or not OrmQ.objects.filter(pk=self._message).exists()
        ):
            self.unacknowledged_since = None
        else:
            self.unacknowledged_since = self.unacknowledged_since or time.time()

    def _remove_heartbeat(self) -> None:
        try:
            with limits.set_deadline(DATABASE_SECONDS):
                heartbeat.delete_heartbeat(self.node)
        except Error:  # others see that this node does not beat any more
            logger.exception("the watchdog could not say goodbye")
