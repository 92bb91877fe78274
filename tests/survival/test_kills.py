"""Kill -9 of any single process while events flow: each acknowledged one ends in exactly one
finished activation.
"""

import base64
import hashlib
import hmac
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psutil
import psycopg
import pytest
import requests

from taskjuice.demo.running import Running

pytestmark = pytest.mark.processes

EVENTS = 200
PATIENCE = 90.0  # seconds for everything to end; a lost lease alone takes some
moments = (
    datetime.now(UTC) - timedelta(days=1) + timedelta(milliseconds=n) for n in itertools.count()
)


class Sender:
    """Xero's side: posts each event until it is acknowledged, as Xero does."""

    def __init__(self, running: Running) -> None:
        self.url = f"{running.place.base_url}/webhooks/xero/"
        self.key = running.place.secrets["XERO_WEBHOOK_KEY"].encode()
        base = f"{running.place.sandbox_url}/sandbox/api"
        self.tenant = requests.get(f"{base}/connections", timeout=10).json()[0]["tenant_id"]
        page = requests.get(
            f"{base}/organisations/{self.tenant}/xero/Invoices?page=1&pageSize=100", timeout=10
        )
        self.invoices = [invoice["InvoiceID"] for invoice in page.json()["Invoices"]]
        self.halfway = threading.Event()

    def send(self, count: int) -> list[str]:
        """The moments (eventDateUtc) of the events, which tell them apart."""
        sent = [
            next(moments).isoformat(timespec="milliseconds").removesuffix("+00:00")
            for _ in range(count)
        ]
        with ThreadPoolExecutor(8) as pool:
            for number, _ in enumerate(
                pool.map(self.until_acknowledged, sent, itertools.cycle(self.invoices))
            ):
                if number >= count // 4:
                    self.halfway.set()
        return sent

    def ask(self) -> tuple[int, float]:
        """One event, sent once: the answer's status, and how long it took."""
        body, signature = self._signed(next(moments).isoformat(), self.invoices[0])
        began = time.monotonic()
        status = self._status(body, signature, timeout=10)
        return status, time.monotonic() - began

    def until_acknowledged(self, moment: str, record: str, category: str = "INVOICE") -> None:
        body, signature = self._signed(moment, record, category)
        deadline = time.monotonic() + PATIENCE
        while self._status(body, signature, timeout=5) != 200:
            assert time.monotonic() < deadline, "the product does not come back"
            time.sleep(0.1)

    def _signed(self, moment: str, record: str, category: str = "INVOICE") -> tuple[bytes, str]:
        event = {
            "resourceId": record,
            "tenantId": self.tenant,
            "tenantType": "ORGANISATION",
            "eventCategory": category,
            "eventType": "UPDATE",
            "eventDateUtc": moment,
        }
        body = json.dumps(
            {"events": [event], "firstEventSequence": 1, "lastEventSequence": 1, "entropy": moment}
        ).encode()
        return body, base64.b64encode(hmac.digest(self.key, body, hashlib.sha256)).decode()

    def _status(self, body: bytes, signature: str, *, timeout: float) -> int:
        """0 where there was no answer."""
        try:
            headers = {"x-xero-signature": signature, "Content-Type": "application/json"}
            return requests.post(self.url, body, headers=headers, timeout=timeout).status_code
        except requests.RequestException:
            return 0


def web(running: Running) -> list[psutil.Process]:
    return _tree(running, "web")


def node(running: Running) -> list[psutil.Process]:
    return _tree(running, "worker")[:1]


def cluster(running: Running) -> list[psutil.Process]:
    """django-q2's main process, its sentinel, and the sentinel's children: workers, monitor,
    pusher.
    """
    return _tree(running, "worker")[1:]


def _tree(running: Running, name: str) -> list[psutil.Process]:
    child = next(child for child in running.supervisor.children if child.name == name)
    assert child.process is not None
    root = psutil.Process(child.process.pid)
    return [root, *root.children(recursive=True)]


VICTIMS: dict[str, tuple[Callable[[Running], list[psutil.Process]], int]] = {
    "web server": (web, 0),
    "web server's worker": (web, 1),
    "worker node": (node, 0),
    "cluster": (cluster, 0),
    "sentinel": (cluster, 1),
    "first of the sentinel's": (cluster, 2),
    "second of the sentinel's": (cluster, 3),
    "third of the sentinel's": (cluster, 4),
    "fourth of the sentinel's": (cluster, 5),
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_each_acknowledged_event_ends_once_whatever_is_killed(
    running: Running, victim: str
) -> None:
    running.wait_until_ready()
    find, index = VICTIMS[victim]
    process = _found(running, find, index)
    sender = Sender(running)
    sent: list[str] = []

    def flow() -> None:
        flowing = threading.Thread(target=lambda: sent.extend(sender.send(EVENTS)))
        flowing.start()
        sender.halfway.wait(PATIENCE)
        process.kill()
        flowing.join()

    running.beside(flow)
    assert ended(running, sent) == Counter(dict.fromkeys(sent, 1))


def _found(
    running: Running, find: Callable[[Running], list[psutil.Process]], index: int
) -> psutil.Process:
    deadline = time.monotonic() + PATIENCE
    while len(found := find(running)) <= index:
        running.watch()
        assert time.monotonic() < deadline, "the processes are not back"
        time.sleep(0.1)
    return found[index]


def ended(running: Running, sent: list[str]) -> Counter[str]:
    """How many finished activations each sent event has, once nothing is unfinished any more."""
    query = """
        SELECT to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'), a.state
          FROM connections_event e LEFT JOIN workflows_activation a ON a.event_id = e.id
         WHERE e.occurred_at >= %s AND e.occurred_at <= %s"""
    deadline = time.monotonic() + PATIENCE
    url = running.environment["DATABASE_URL"]
    with psycopg.connect(
        url, autocommit=True, prepare_threshold=None
    ) as database:  # it may be a pooler
        while True:
            running.watch()
            rows = database.execute(query, [f"{min(sent)}Z", f"{max(sent)}Z"]).fetchall()
            finished = Counter(
                moment for moment, state in rows if state in {"succeeded", "stopped"}
            )
            if finished.total() >= len(sent) or time.monotonic() > deadline:
                return finished
            time.sleep(0.2)
