"""The product under faults: two worker nodes, a web node, relays to the database, and a count of
what became of it.
"""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests

from taskjuice import postgres
from taskjuice.demo import journey
from taskjuice.demo.place import ROOT, Place, free_port
from taskjuice.demo.running import Running
from taskjuice.demo.stages import StageFailed
from tests.database.relay import Relay, server_of
from tests.live import Quiet
from tests.survival.test_kills import Sender, moments

PATIENCE = 120.0  # seconds for everything to end once a fault is over
READS, WRITES = 20, 6  # events of one run
ONE_AT_A_TIME = threading.Lock()  # around what the products of this process share
LISTED = """
SELECT to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'), e.category, a.state
  FROM connections_event e LEFT JOIN workflows_activation a ON a.event_id = e.id
 WHERE e.occurred_at >= %s AND e.occurred_at <= %s AND e.category IN ('INVOICE', 'CONTACT')
"""
ENDED = {"succeeded", "stopped", "failed", "cancelled"}


@dataclass
class Count:
    """What one run ended with; all zero is well."""

    lost: int = 0
    doubled: int = 0
    unknown: int = 0
    stuck: int = 0
    seconds: float = 0.0

    @property
    def is_well(self) -> bool:
        return not (self.lost or self.doubled or self.unknown or self.stuck)


class ChaosProduct(Running):
    """`settings` are added to the environment of web and workers when they are started anew
    (`restart`).
    """

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(Place(folder, free_port(0), free_port(0)), Quiet())
        self.random = random.Random(seed)
        self.relays: dict[str, Relay] = {}
        self.settings: dict[str, str] = {}
        self.straight = ""

    @contextlib.contextmanager
    def run(self) -> Iterator["ChaosProduct"]:
        os.environ["XERO_SANDBOX_MINUTE_LIMIT"] = os.environ["XERO_SANDBOX_DAILY_LIMIT"] = "1000000"
        self.add_sandbox()
        with ONE_AT_A_TIME:  # its lock of the embedded server is one for the whole process
            people = self.prepare()
        self.straight = self.environment["DATABASE_URL"]
        self.environment["XERO_DAILY_LIMIT"] = "1000000"
        with contextlib.ExitStack() as stack:
            for name in ("web", "worker", "second worker"):
                self.relays[name] = stack.enter_context(Relay(server_of(self.straight)))
            try:
                self.add_product()
                self._add("second worker", ["manage.py", "worker"], self.environment)
                self.finish(people)
                self.wait_until_well()
                self.beside(lambda: journey.run(self.place, self.stages))
                self.finish(self._command("-m", "tests.chaos.furnish"))
                yield self
            finally:
                self.stop()

    def _add(self, name: str, words: Sequence[str], environment: dict[str, str]) -> None:
        if name in self.relays:
            address = self.relays[name].url(self.straight)
            environment = environment | {"DATABASE_URL": address} | self.settings
        super()._add(name, words, environment)

    # -- what faults use
    # ---------------------------------------------------------------------------------
    def connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(self.straight, autocommit=True)

    def sql(self, statement: str) -> None:
        with self.connect() as database:
            database.execute(statement)

    def tree(self, name: str) -> list[psutil.Process]:
        """The processes of a child, the first one first; none while it is being started anew."""
        child = next(child for child in self.supervisor.children if child.name == name)
        if child.process is None:
            return []
        try:
            root = psutil.Process(child.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def restart(self, name: str, **settings: str) -> None:
        """Stop it in order; the supervisor starts it anew, with these settings from now on."""
        self.settings |= settings
        child = next(child for child in self.supervisor.children if child.name == name)
        child.environment = child.environment | self.settings
        for process in self.tree(name)[:1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
                process.wait(60)

    def wait_until_well(self) -> None:
        """As `wait_until_ready`, and as long as a busy machine needs."""
        for attempt in range(5):
            try:
                self.wait_until_ready()
            except StageFailed:
                if attempt == 4:
                    raise
            else:
                return

    def wait_until_answering(self) -> None:
        """In the thread of a fault, where the main one keeps the processes alive."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.place.base_url}/healthz", timeout=2).ok:
                    return
            time.sleep(0.2)
        raise AssertionError("the web process does not answer")

    def stop_database(self, *, immediate: bool = True) -> None:
        server = psutil.Process(
            int((self.place.postgres / "postmaster.pid").read_text().split()[0])
        )
        server.send_signal(3 if immediate else 2)  # SIGQUIT, SIGINT
        server.wait(30)

    def start_database(self) -> None:
        with ONE_AT_A_TIME:
            postgres.ensure_running(self.place.postgres, "taskjuice")

    # -- one run
    # -----------------------------------------------------------------------------------------
    def endure(self, fault: Callable[["ChaosProduct"], None]) -> Count:
        """Events flow while the fault comes and goes; then everything has to end, and end once."""
        sender, sent = ChaosSender(self), list[str]()
        over = 0.0

        def flow() -> None:
            nonlocal over
            flowing = threading.Thread(target=lambda: sent.extend(sender.send_mixed(READS, WRITES)))
            flowing.start()
            sender.halfway.wait(30)
            try:
                fault(self)
            finally:
                over = time.monotonic()
                flowing.join()

        self.beside(flow)
        return self._count(sent, over)

    def _count(self, sent: list[str], over: float) -> Count:
        deadline = time.monotonic() + PATIENCE
        while True:
            self.watch()
            rows = self._rows(sent)
            ends = Counter((moment, category) for moment, category, state in rows if state in ENDED)
            if len(ends) >= len(sent) or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        seconds = time.monotonic() - over
        references = Counter(invoice.get("Reference") for invoice in self._documents(sent))
        writes = sum(category == "CONTACT" for _, category, _ in rows)
        return Count(
            lost=len(sent)
            - len({moment for moment, _, _ in rows})
            + max(0, writes - len(references)),
            doubled=sum(n - 1 for n in ends.values()) + sum(n - 1 for n in references.values()),
            unknown=self._unknown(),
            stuck=sum(state not in ENDED for _, _, state in rows) + self._overdue(),
            seconds=seconds,
        )

    def _rows(self, sent: list[str]) -> list[tuple[str, str, str]]:
        try:
            with self.connect() as database:
                return database.execute(LISTED, [f"{min(sent)}Z", f"{max(sent)}Z"]).fetchall()
        except psycopg.OperationalError:  # it is starting
            return []

    def _documents(self, sent: list[str]) -> list[dict[str, Any]]:
        """What Xero has of the documents of this run."""
        first, last = (
            datetime.fromisoformat(f"{moment}+00:00") for moment in (min(sent), max(sent))
        )
        url = f"{self.place.sandbox_url}/sandbox/api"
        tenant = requests.get(f"{url}/connections", timeout=10).json()[0]["tenant_id"]
        found, page = list[dict[str, Any]](), 1
        while True:
            where = f'Contact.Name=="Chaos"&order=UpdatedDateUTC DESC&pageSize=100&page={page}'
            address = f"{url}/organisations/{tenant}/xero/Invoices?where={where}"
            documents = requests.get(address, timeout=20).json()["Invoices"]
            mine = [one for one in documents if first <= _moment(one) <= last]
            found += mine
            if len(documents) < 100 or not mine:
                return found
            page += 1

    def _unknown(self) -> int:
        with self.connect() as database:
            row = database.execute(
                "SELECT count(*) FROM connections_call WHERE state IN ('sent', 'unknown')"
            )
            [count] = row.fetchone() or [0]
        return int(count)

    def _overdue(self) -> int:
        """What `manage.py check_invariants` finds open for longer than two minutes."""
        command = [sys.executable, "manage.py", "check_invariants", "--minutes", "2"]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        return len(done.stdout.splitlines()) if done.returncode else 0


def _moment(invoice: dict[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(invoice.get("Reference", ""))
    except ValueError:
        return datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class ChaosSender(Sender):
    def send_mixed(self, reads: int, writes: int) -> list[str]:
        """Events of invoices, which are read, and of contacts, which are answered by a write; their
        moments.
        """
        kinds = ["INVOICE"] * reads + ["CONTACT"] * writes
        with ONE_AT_A_TIME:
            sent = [
                next(moments).isoformat(timespec="milliseconds").removesuffix("+00:00")
                for _ in kinds
            ]
        for number, (moment, kind) in enumerate(zip(sent, kinds, strict=True)):
            self.until_acknowledged(moment, self.invoices[number % len(self.invoices)], kind)
            if number >= len(kinds) // 4:
                self.halfway.set()
        return sent
