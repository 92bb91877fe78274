"""The time to acknowledge a webhook, beside the bare view in the same server and run."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import psycopg
import requests

from bench import BARE, TABLE
from taskjuice.demo.place import ROOT, Place, free_port

CONNECTIONS = 16
SECONDS = 3.0
ROUNDS = 3
WEBHOOK = "/webhooks/xero/"
SERVERS = {
    "granian": "-m granian --interface wsgi --no-ws --workers 1 --blocking-threads {threads} --port {port}",
    "gunicorn": "-m gunicorn --worker-class gthread --workers 2 --threads {threads} --bind 127.0.0.1:{port}",
}
THREADS = {"granian": 8, "gunicorn": 8}
Figures = dict[str, Any]


def measure(place: Place, environment: dict[str, str]) -> dict[str, Figures]:
    """Measure per server the receiver, the bare view, and their ratio. No worker runs at that
    time.
    """
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as database:
        database.execute(
            f"CREATE TABLE IF NOT EXISTS {TABLE} (id bigserial PRIMARY KEY, body bytea NOT NULL)"
        )
    found = {}
    for server in SERVERS:
        with serving(server, environment) as url:
            found[server] = _rounds(url, place.secrets["XERO_WEBHOOK_KEY"])
        _empty(environment["DATABASE_URL"])
    return found


@contextmanager
def serving(server: str, environment: dict[str, str]) -> Iterator[str]:
    port = free_port(0)
    words = SERVERS[server].format(port=port, threads=THREADS[server]).split()
    command = [sys.executable, *words, "bench.wsgi:application"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    try:
        _wait_for(f"http://127.0.0.1:{port}/healthz", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if requests.get(url, timeout=2).status_code == 200:
                return
        except requests.RequestException:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _rounds(url: str, key: str) -> Figures:
    """Alternate the two, so that both meet the same machine; the median round of each counts."""
    _load(url + WEBHOOK, key, 1.0)
    _load(url + BARE, key, 1.0)
    rounds = [
        (_load(url + BARE, key, SECONDS), _load(url + WEBHOOK, key, SECONDS)) for _ in range(ROUNDS)
    ]
    bare, receiver = (_median([one[side] for one in rounds]) for side in (0, 1))
    ratio = median(one[1]["per_second"] / one[0]["per_second"] for one in rounds)
    return {"receiver": receiver, "bare": bare, "ratio": ratio}


def _load(url: str, key: str, seconds: float) -> Figures:
    command = [sys.executable, "-m", "bench.load", url, key, str(seconds), str(CONNECTIONS)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=seconds + 30
    )
    figures: Figures = json.loads(done.stdout)
    if figures["refused"]:
        raise RuntimeError(
            f"{figures['refused']} of {figures['requests']} requests to {url} were refused"
        )
    return figures


def _median(rounds: list[Figures]) -> Figures:
    return sorted(rounds, key=lambda one: one["per_second"])[len(rounds) // 2]


def _empty(database_url: str) -> None:
    """Empty the tables, so that the next server meets the same ones."""
    with psycopg.connect(database_url, autocommit=True) as database:
        database.execute(f"TRUNCATE {TABLE}")
        database.execute("TRUNCATE connections_delivery CASCADE")
        database.execute("DELETE FROM django_q_ormq")
        database.execute("UPDATE queue_wake SET pending = false")
