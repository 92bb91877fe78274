"""The shared budget: 300 queued calls of one organisation, while a person clicks and another one
works on.
"""

import json
import os
import statistics
import sys
import threading
import time
from collections import Counter
from typing import Any
from uuid import uuid4
from zlib import crc32

from bench import ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskjuice.settings")
CALLS = 300
LIMIT = 60
WORKERS = 2
CLICK_EVERY = 2.4  # of a minute
COSTED = 300


def main() -> None:
    minute = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    ready()
    print(json.dumps({"cost_ms": cost(), "queue": queue(minute)}, indent=1))


def cost() -> dict[str, float]:
    """Return the time of the two statements around a call."""
    from xero.api import rate_limits

    left = {
        "X-MinLimit-Remaining": "60",
        "X-DayLimit-Remaining": "4000",
        "X-AppMinLimit-Remaining": "9000",
    }
    tenant, times = uuid4(), []
    for _ in range(COSTED):
        began = time.perf_counter()
        rate_limits.return_slot(rate_limits.take_slot(tenant), left, status=200)
        times.append((time.perf_counter() - began) * 1000)
    return {
        "median": round(statistics.median(times), 2),
        "p95": round(sorted(times)[int(COSTED * 0.95)], 2),
    }


def queue(minute: int) -> dict[str, Any]:
    from django.conf import settings

    from connections.models import Budget
    from tests.factories import make_agency, make_workspace
    from tests.sandbox_process import SandboxProcess
    from tests.xero.linked import link, point_at
    from xero.api import rate_limits

    rate_limits.MINUTE_SECONDS = float(minute)
    with SandboxProcess(minute_seconds=minute, latency_ms=30) as sandbox:
        point_at(settings, sandbox)
        Budget.objects.all().delete()  # this sandbox counts from nothing, whatever was measured before
        workspace = make_workspace(make_agency(slug=f"bench-{uuid4().hex[:8]}"))
        busy, other = link(sandbox, workspace, 0), link(sandbox, workspace, 1)
        began = time.monotonic()
        waits = Waits(busy, other, minute)
        workers = [
            threading.Thread(target=drain, args=(busy, CALLS // WORKERS)) for _ in range(WORKERS)
        ]
        for thread in (*workers, waits):
            thread.start()
        for thread in workers:
            thread.join()
        took = time.monotonic() - began
        waits.stop.set()
        waits.join()
        answered = [
            entry
            for entry in sandbox.api("GET", "calls")
            if entry["tenant_id"] == str(busy.tenant_id)
        ]
        shift = crc32(f"{sandbox.client_id}:{busy.tenant_id}".encode()) % minute
    windows = Counter(int((entry["at"] + shift) // minute) for entry in answered)
    whole = [windows[index] for index in sorted(windows)][
        1:-1
    ]  # the first began before, the last ended early
    return {
        "minute_seconds": minute,
        "seconds": round(took, 1),
        "calls": len(answered),
        "statuses": dict(Counter(entry["status"] for entry in answered)),
        "calls_per_minute": [windows[index] for index in sorted(windows)],
        "least_used_of_a_whole_minute": round(min(whole) / LIMIT, 2),
        "page_worst_seconds": round(max(waits.page), 2),
        "other_worst_seconds": round(max(waits.other), 2),
    }


def drain(connection: Any, calls: int) -> None:
    """Take calls as a lane does: one that gets no slot returns at the time that it is given."""
    from django.db import connection as database
    from django.utils import timezone

    from connections.errors import RetryLater
    from xero.api.client import client_for

    while calls:
        try:
            client_for(connection).get("/Organisation")
            calls -= 1
        except RetryLater as error:
            time.sleep(max(0.0, (error.at - timezone.now()).total_seconds()) if error.at else 1)
    database.close()


class Waits(threading.Thread):
    """The waits of a person at the busy organisation, and of work of another one; in seconds."""

    def __init__(self, busy: Any, other: Any, minute: int) -> None:
        super().__init__()
        self.targets, self.pause = (busy, other), minute / CLICK_EVERY
        self.page: list[float] = []
        self.other: list[float] = []
        self.stop = threading.Event()

    def run(self) -> None:
        from django.db import connection as database

        from xero.api.client import client_for
        from xero.api.rate_limits import PAGE, WORK

        while not self.stop.wait(self.pause):
            for target, purpose, waits in zip(
                self.targets, (PAGE, WORK), (self.page, self.other), strict=True
            ):
                began = time.monotonic()
                client_for(target, purpose=purpose).get("/Organisation")
                waits.append(time.monotonic() - began)
        database.close()


if __name__ == "__main__":
    main()
