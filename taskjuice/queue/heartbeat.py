"""Heartbeats of worker nodes and web processes, with the ids of the keys that each knows."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Thread

from django.db import Error, connection
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from taskjuice.database import limits
from taskjuice.queue import processes
from taskjuice.queue.models import Heartbeat, NodeKind

logger = logging.getLogger(__name__)

FRESH = timedelta(seconds=30)
# A node of another host without a heartbeat for so long is taken for gone for good.
LOST = timedelta(hours=1)
# The leases of a host are freed when none of its nodes beat for so long, which is three beats. A web
# process beats as often as a worker node, since it may be all that its host has.
SILENT = timedelta(seconds=6)

WEB_SECONDS = 2.0  # between two heartbeats of a web process
DATABASE_SECONDS = 3.0  # that one of them may take

_key_reports: dict[str, Callable[[], Sequence[str]]] = {}


def report_keys(setting: str, list_ids: Callable[[], Sequence[str]]) -> None:
    """Have every heartbeat name the keys of a setting, by ids that do not reveal them."""
    _key_reports[setting] = list_ids


def list_known_keys() -> dict[str, list[str]]:
    """Return the ids of the keys that this process knows, by setting."""
    return {setting: list(list_ids()) for setting, list_ids in _key_reports.items()}


def record_heartbeat(node: str, kind: NodeKind = NodeKind.WORKER) -> None:
    """Store that this process lives, and the keys it knows."""
    values = {"beat_at": Now(), "kind": kind, "keys": list_known_keys()}
    Heartbeat.objects.update_or_create(node=node, defaults=values)


def list_live_processes() -> QuerySet[Heartbeat]:
    """Return the worker nodes and web processes with a recent heartbeat, by the database's clock."""
    return Heartbeat.objects.filter(beat_at__gt=Now() - FRESH)


def list_live_workers() -> QuerySet[Heartbeat]:
    """Return the worker nodes with a recent heartbeat."""
    return list_live_processes().filter(kind=NodeKind.WORKER)


def has_live_worker() -> bool:
    return list_live_workers().exists()


def has_live_worker_here() -> bool:
    """Return whether a node of this machine, or of this container, has a recent heartbeat."""
    return list_live_workers().filter(node__startswith=processes.get_host_prefix()).exists()


def is_host_silent(name: str) -> bool:
    """Return whether no node of the named process's host has a recent heartbeat.

    Never true of this host, whose dead processes are known.
    """
    host = name.split("|", maxsplit=1)[0]
    beats = Heartbeat.objects.filter(node__startswith=f"{host}|", beat_at__gt=Now() - SILENT)
    return not processes.is_here(name) and not beats.exists()


def start_in_web_process() -> None:
    """Start a thread that records heartbeats until this process ends."""
    Thread(target=_beat_for_ever, name="heartbeat", daemon=True).start()


def _beat_for_ever() -> None:
    node, is_new = processes.identify_process(), True
    while True:
        try:
            with limits.set_deadline(DATABASE_SECONDS):
                record_heartbeat(node, NodeKind.WEB)
                if is_new:
                    delete_dead_heartbeats()
                    is_new = False
        except Error as error:  # /readyz says that the database is away
            logger.warning("no sign of life could be given: %s", type(error).__name__)
        finally:
            connection.close()  # it goes back to the pool until the next beat
        time.sleep(WEB_SECONDS)


def count_restart(node: str) -> None:
    Heartbeat.objects.filter(node=node).update(restarts=F("restarts") + 1)


def delete_heartbeat(node: str) -> None:
    Heartbeat.objects.filter(node=node).delete()


def delete_dead_heartbeats() -> None:
    """Delete the heartbeats of dead processes of this host, and of hosts that never came back."""
    Heartbeat.objects.filter(beat_at__lt=Now() - LOST).delete()
    for node in Heartbeat.objects.values_list("node", flat=True):
        if processes.is_dead(node):
            delete_heartbeat(node)
