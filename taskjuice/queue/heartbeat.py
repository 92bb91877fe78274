"""The sign of life of worker nodes and web processes, with the keys that each knows."""

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
LOST = timedelta(
    hours=1
)  # without a sign of life a node of another host is taken for gone for good
# What processes of a host held is free when none of its nodes beat for so long, which is three
# beats. A web process beats as often as a worker node, since it may be all that its host has.
SILENT = timedelta(seconds=6)

WEB_SECONDS = 2.0  # between two signs of life of a web process
DATABASE_SECONDS = 3.0  # that one of them may take

_key_reports: dict[str, Callable[[], Sequence[str]]] = {}


def report_keys(setting: str, list_ids: Callable[[], Sequence[str]]) -> None:
    """Have every sign of life name the keys of a setting, by ids that do not reveal them."""
    _key_reports[setting] = list_ids


def list_known_keys() -> dict[str, list[str]]:
    """Return the ids of the keys that this process knows, by setting."""
    return {setting: list(list_ids()) for setting, list_ids in _key_reports.items()}


def beat(node: str, kind: NodeKind = NodeKind.WORKER) -> None:
    values = {"beat_at": Now(), "kind": kind, "keys": list_known_keys()}
    Heartbeat.objects.update_or_create(node=node, defaults=values)


def alive() -> QuerySet[Heartbeat]:
    """The worker nodes and web processes that beat lately, by the database's clock."""
    return Heartbeat.objects.filter(beat_at__gt=Now() - FRESH)


def fresh() -> QuerySet[Heartbeat]:
    """The worker nodes among them."""
    return alive().filter(kind=NodeKind.WORKER)


def is_fresh() -> bool:
    return fresh().exists()


def is_fresh_here() -> bool:
    """Return whether a node of this machine, or of this container, beat lately."""
    return fresh().filter(node__startswith=processes.host_prefix()).exists()


def is_host_silent(name: str) -> bool:
    """Return whether no node of the named process's host beat lately. Never true of this host,
    whose dead are known.
    """
    host = name.split("|", maxsplit=1)[0]
    beats = Heartbeat.objects.filter(node__startswith=f"{host}|", beat_at__gt=Now() - SILENT)
    return not processes.is_here(name) and not beats.exists()


def start_in_web_process() -> None:
    """Beat from a thread of this process until it ends."""
    Thread(target=_beat_for_ever, name="heartbeat", daemon=True).start()


def _beat_for_ever() -> None:
    """The connection goes back to the pool each time."""
    node, is_new = processes.identity(), True
    while True:
        try:
            with limits.within(DATABASE_SECONDS):
                beat(node, NodeKind.WEB)
                if is_new:
                    forget_dead()
                    is_new = False
        except Error as error:  # the next one tells; /readyz says that the database is away
            logger.warning("no sign of life could be given: %s", type(error).__name__)
        finally:
            connection.close()
        time.sleep(WEB_SECONDS)


def restarted(node: str) -> None:
    Heartbeat.objects.filter(node=node).update(restarts=F("restarts") + 1)


def forget(node: str) -> None:
    Heartbeat.objects.filter(node=node).delete()


def forget_dead() -> None:
    """Drop nodes of this host that are gone (killed, they left no word), and those of hosts that
    never came back.
    """
    Heartbeat.objects.filter(beat_at__lt=Now() - LOST).delete()
    for node in Heartbeat.objects.values_list("node", flat=True):
        if processes.is_dead(node):
            forget(node)
