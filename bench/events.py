"""The time from events to finished activations, with look-ups at the sandbox: alone, as a burst,
sustained.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import psycopg
import requests

from taskjuice.demo.place import Place

BURST = 500
SUSTAINED = 3000
SINGLES = 10
UNFINISHED = "SELECT count(*) FROM workflows_activation WHERE state IN ('ready', 'running')"
WAITING = "SELECT count(*) FROM connections_delivery WHERE state = 'waiting'"
LATENCY = """
SELECT extract(epoch FROM a.finished_at - d.received_at) * 1000
  FROM workflows_activation a JOIN connections_event e ON e.id = a.event_id
  JOIN connections_delivery d ON d.id = e.delivery_id
 ORDER BY a.id DESC LIMIT %s
"""
Figures = dict[str, Any]


class Events:
    """The measurements. `place` runs the whole product, connected, with a published workflow for
    invoices.
    """

    def __init__(self, place: Place, database: "psycopg.Connection[Any]") -> None:
        self.place = place
        self.database = database

    def measure(self) -> Figures:
        # The sandbox's minute would end first; the budget's own behaviour is a matter of tests.
        self._xero("POST", "settings", {"minute_limit": 100_000})
        return {
            "single": self._single(),
            "burst": self._burst(BURST),
            "sustained": self._burst(SUSTAINED),
        }

    def _single(self) -> Figures:
        """Measure one event on an idle system, from the webhook's arrival to the finished
        activation, by one clock.
        """
        latencies = []
        for _ in range(SINGLES):
            self._send(1)
            [[latency]] = self.database.execute(LATENCY, [1]).fetchall()
            latencies.append(float(latency))
            time.sleep(1.5)  # longer than a lane's pace, so that the next one finds it at rest
        return {"events": SINGLES, "median_ms": median(latencies), "max_ms": max(latencies)}

    def _burst(self, count: int) -> Figures:
        calls = self._look_ups()
        took = self._send(count)
        rows = self.database.execute(LATENCY, [count]).fetchall()
        return {
            "events": count,
            "seconds": took,
            "per_second": count / took,
            "look_ups": self._look_ups() - calls,
            "median_ms": median(float(latency) for (latency,) in rows),
        }

    def _send(self, count: int) -> float:
        """Return the seconds from the first webhook until the activation of every event is
        finished.
        """
        before = self._count("SELECT count(*) FROM workflows_activation")
        start = time.perf_counter()
        self._xero("POST", "burst", {"count": count, "concurrency": 16})
        self._until(
            lambda: self._count("SELECT count(*) FROM workflows_activation") - before == count,
            count,
        )
        self._until(lambda: self._count(UNFINISHED) + self._count(WAITING) == 0, count)
        return time.perf_counter() - start

    def _until(self, done: Callable[[], bool], count: int) -> None:
        deadline = time.monotonic() + 60 + count / 20
        while not done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{count} events were not worked off in time")
            time.sleep(0.02)

    def _count(self, statement: str) -> int:
        row = self.database.execute(statement).fetchone()
        assert row is not None
        return int(row[0])

    def _look_ups(self) -> int:
        counted = self._xero("GET", "counters")
        return sum(
            each["count"]
            for each in counted
            if each["method"] == "GET" and each["endpoint"] == "Invoices"
        )

    def _xero(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = requests.request(
            method, f"{self.place.sandbox_url}/sandbox/api/{path}", json=body, timeout=300
        )
        answer.raise_for_status()
        return answer.json()
