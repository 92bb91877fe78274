"""Workflows: single events of 20 organisations to finished activations of three steps, and a list
of a million.

A process of its own, `python -m bench.workflows [speed] [list]`, over an empty database, with the
environment of `taskjuice.demo.place`; prints one JSON object. It starts web, worker and a sandbox
with 20 organisations.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from bench import ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskjuice.settings")
ROOT = Path(__file__).resolve().parents[1]
TENANTS = 20
EVENTS = 5_000
WARM = 500
STEADY_SECONDS = 20
STEADY_RATE = 50  # events a second
SENDS_A_SECOND = 10
SLOW_SECONDS = 2.0
Figures = dict[str, Any]

STEPS = [
    {
        "name": "invoice",
        "action": "xero/get-invoice",
        "input": {"invoice_id": "{{ trigger.resource_id }}"},
    },
    {
        "name": "large",
        "action": "core/filter",
        "input": {
            "condition": {
                "match": "all",
                "rows": [
                    {"field": "{{ steps.invoice.Total }}", "operator": "greater", "value": "0"}
                ],
            }
        },
    },
    {
        "name": "note",
        "action": "core/set-values",
        "input": {
            "values": {"text": "{{ steps.invoice.InvoiceNumber }}: {{ steps.invoice.Total }}"}
        },
    },
]
UNFINISHED = """
SELECT (SELECT count(*) FROM connections_delivery WHERE state = 'waiting')
     + (SELECT count(*) FROM workflows_activation WHERE state IN ('ready', 'running') AND connection_id <> ALL (%s))
"""
LATENCIES = """
SELECT extract(epoch FROM a.finished_at - d.received_at) * 1000
  FROM workflows_activation a JOIN connections_event e ON e.id = a.event_id
  JOIN connections_delivery d ON d.id = e.delivery_id
 WHERE a.id > %s AND a.finished_at IS NOT NULL AND a.connection_id <> ALL (%s)
"""


def main() -> None:
    ready()
    wanted = set(sys.argv[1:]) or {"speed", "list"}
    found: Figures = {}
    if "speed" in wanted:
        found |= speed()
    if "list" in wanted:
        from bench import activation_list

        found["list"] = activation_list.measure()
    print(json.dumps(found, indent=1))


def speed() -> Figures:
    from tests.sandbox_process import SandboxProcess

    limits: dict[str, Any] = {
        "minute_limit": 1_000_000,
        "daily_limit": 10_000_000,
        "app_minute_limit": 10_000_000,
    }
    with ExitStack() as stack:
        # The limits' own behaviour is measured apart (bench.budget); here they would end the run.
        sandbox = stack.enter_context(
            SandboxProcess(organisations=TENANTS, invoices=300, bulk_connect=True, **limits)
        )
        lanes = connect(sandbox)
        worker = stack.enter_context(running(sandbox))
        run = Run(sandbox, lanes, worker)
        run.burst(WARM)
        found = {"at_once": run.burst(EVENTS), "steady": run.steady()}
        slow = lanes[0]
        fault = {
            "kind": "slow",
            "remaining": None,
            "tenant_id": slow.tenant,
            "seconds": SLOW_SECONDS,
        }
        sandbox.api("POST", "faults", fault)
        found["one_slow"] = run.steady(without=slow) | {
            "at_once": run.burst(EVENTS // 5, without=slow)
        }
        sandbox.api("DELETE", "faults")
        run.settle()
        park(slow)
        found["one_parked"] = run.steady(without=slow)
    return found


class Lane:
    """A connected organisation, and the key of its connection."""

    def __init__(self, connection: int, tenant: str) -> None:
        self.connection, self.tenant = connection, tenant


def connect(sandbox: Any) -> list[Lane]:
    """Connect all organisations, each of a client of one agency, to a published workflow."""
    from django.conf import settings
    from django.db import connection as database

    from taskjuice.queue.models import Wake
    from tests.factories import make_agency, make_workflow, make_workspace
    from tests.xero.linked import link, point_at
    from xero.models import Ledger

    point_at(settings, sandbox)
    Wake.objects.get_or_create(name="fan-out")
    agency = make_agency(slug=f"bench-{time.time_ns()}")
    connections = [link(sandbox, make_workspace(agency), index) for index in range(TENANTS)]
    make_workflow(agency, *connections, steps=STEPS, pause_after=0)
    Ledger.objects.all().delete()  # their first reads would share the processor with what is measured
    database.close()
    return [Lane(connection.pk, str(connection.tenant_id)) for connection in connections]


@contextmanager
def running(sandbox: Any) -> Iterator[psutil.Process]:
    """Run web and worker against this sandbox with its webhooks subscribed, and yield the
    worker.
    """
    url = sandbox.base_url
    xero = {"XERO_LOGIN_URL": url, "XERO_IDENTITY_URL": url, "XERO_API_URL": url}
    app = {"XERO_CLIENT_ID": sandbox.client_id, "XERO_CLIENT_SECRET": sandbox.client_secret}
    environment = {**os.environ, **xero, **app, "XERO_WEBHOOK_KEYS": sandbox.webhook_key}
    base = os.environ["BASE_URL"]
    web = [
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--no-ws",
        "--workers",
        "1",
        "--blocking-threads",
        "8",
    ]
    web += ["--port", str(urlsplit(base).port), "taskjuice.wsgi:application"]
    with ExitStack() as stack:
        log = stack.enter_context((Path(os.environ["VAR_DIR"]) / "bench-workflows.log").open("ab"))
        processes = [
            subprocess.Popen(
                [sys.executable, *words], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
            for words in (web, ["manage.py", "worker"])
        ]
        for process in processes:
            stack.callback(process.wait)
            stack.callback(process.terminate)
        _until(lambda: _answers(f"{base}/readyz"), 60)
        subscribed = {"url": f"{base}/webhooks/xero/", "key": sandbox.webhook_key}
        sandbox.api("POST", "subscription", subscribed)
        _until(lambda: sandbox.api("GET", "subscription")["status"] == "ok", 60)
        yield psutil.Process(processes[1].pid)


def park(lane: Lane) -> None:
    """Park a lane for an hour, as the provider's Retry-After does."""
    from datetime import timedelta

    from django.utils import timezone

    from workflows.models import Lane as Row

    until = timezone.now() + timedelta(hours=1)
    Row.objects.filter(pk=lane.connection).update(parked_until=until, parked_reason="bench")


class Run:
    def __init__(self, sandbox: Any, lanes: list[Lane], worker: psutil.Process) -> None:
        self.sandbox, self.lanes, self.worker = sandbox, lanes, worker

    def burst(self, count: int, *, without: Lane | None = None) -> Figures:
        """Send this many single events at once, over all organisations in turn."""
        newest, calls, began = self._newest(), self._calls(), time.perf_counter()
        sent = self._send(count, concurrency=16)
        acknowledged = time.perf_counter() - began
        self.settle(without)
        took = time.perf_counter() - began
        expected = count if without is None else count - count // len(self.lanes)
        return {
            "events": expected,
            "seconds": round(took, 2),
            "acknowledged_after": round(acknowledged, 2),
            "per_second": round(expected / took),
            "calls_per_1000": round((self._calls() - calls) * 1000 / count, 1),
            "statuses": sent["statuses"],
            "worker_mb": self._memory(),
        } | self._latencies(newest, without)

    def steady(self, *, without: Lane | None = None) -> Figures:
        """Send a few events every tenth of a second."""
        newest, calls, began = self._newest(), self._calls(), time.perf_counter()
        each = STEADY_RATE // SENDS_A_SECOND
        for number in range(STEADY_SECONDS * SENDS_A_SECOND):
            # The sandbox begins each burst with its first organisation: the turn is taken here.
            turn = [self.lanes[(number * each + n) % len(self.lanes)].tenant for n in range(each)]
            body = {"count": each, "concurrency": each, "tenant_ids": turn}
            threading.Thread(target=self.sandbox.api, args=("POST", "burst", body)).start()
            time.sleep(max(0.0, began + (number + 1) / SENDS_A_SECOND - time.perf_counter()))
        self.settle(without)
        count = STEADY_SECONDS * STEADY_RATE
        spent = round((self._calls() - calls) * 1000 / count, 1)
        return {"events": count, "calls_per_1000": spent} | self._latencies(newest, without)

    def settle(self, without: Lane | None = None) -> None:
        left = [without.connection] if without else []
        _until(lambda: not self._rows(UNFINISHED, [left])[0][0], 120)

    def _latencies(self, newest: int, without: Lane | None) -> Figures:
        """Return milliseconds from the webhook's arrival to the finished activation, by the
        database's clock.
        """
        left = [without.connection] if without else []
        times = sorted(float(row[0]) for row in self._rows(LATENCIES, [newest, left]))
        return {
            "finished": len(times),
            "p50_ms": round(times[len(times) // 2]),
            "p95_ms": round(times[int(len(times) * 0.95)]),
            "max_ms": round(times[-1]),
        }

    def _send(self, count: int, *, concurrency: int) -> Figures:
        sent: Figures = self.sandbox.api(
            "POST", "burst", {"count": count, "concurrency": concurrency}
        )
        return sent

    def _newest(self) -> int:
        return int(self._rows("SELECT coalesce(max(id), 0) FROM workflows_activation", [])[0][0])

    def _calls(self) -> int:
        return sum(each["count"] for each in self.sandbox.api("GET", "counters"))

    def _memory(self) -> float:
        """Return the megabytes of the worker node; what its processes share counts once."""
        family = [self.worker, *self.worker.children(recursive=True)]
        return round(sum(process.memory_full_info().pss for process in family) / 2**20, 1)

    def _rows(self, statement: str, values: list[Any]) -> list[tuple[Any, ...]]:
        from django.db import connection as database

        with database.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())


def _until(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not done after {seconds:.0f} s")
        time.sleep(0.02)


def _answers(url: str) -> bool:
    import requests

    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


if __name__ == "__main__":
    main()
