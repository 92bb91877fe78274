"""Periodic work on every worker node, for what must happen even when a wake-up was lost.

An app adds its sweeps in `ready()`. A sweep must be safe in many copies at once.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from django.db import Error, close_old_connections

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 60.0  # until a sweep that failed is tried again, however rarely it runs


@dataclass
class Sweep:
    name: str
    seconds: float
    run: Callable[[], object]
    due: float = field(default=0.0, compare=False)


SWEEPS: list[Sweep] = []


def add_sweep(name: str, *, seconds: float, run: Callable[[], object]) -> None:
    SWEEPS.append(Sweep(name, seconds, run))


def run_due(now: float) -> None:
    """Run what is due by the monotonic clock.

    A sweep that fails is logged with its traceback and tried again within a minute.
    """
    for sweep in SWEEPS:
        if sweep.due <= now:
            sweep.due = now + min(sweep.seconds, AGAIN_SECONDS)
            try:
                sweep.run()
                sweep.due = now + sweep.seconds
            except Error:
                logger.exception("sweep %s could not reach the database", sweep.name)
                close_old_connections()
            except Exception:  # one broken sweep must not stop the others; the log has all of it
                logger.exception("sweep %s failed", sweep.name)


def run_until(stop: Event) -> None:
    while not stop.wait(0.5):
        run_due(time.monotonic())
