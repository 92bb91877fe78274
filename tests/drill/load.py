"""Load on an installation, and a count of what became of it: webhooks through nginx, and a person
who reads pages.
"""

import base64
import hashlib
import hmac
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import requests

from taskjuice.demo.place import AGENCY, CLIENT
from tests.drill.installation import Installation

PATIENCE = 120.0  # seconds for everything to end after a chapter
LONGEST = 10.0  # what nobody may wait longer for
EVENT_SECONDS = (
    1.5  # between two events: with the product's look-ups, within Xero's 60 calls a minute
)
EMPTY_SECONDS = 0.3  # between two webhooks without events, which show what answers
PAGE_SECONDS = 0.7
WRITES = 5  # every so manieth event is answered by a write to Xero
ENDED = ("succeeded", "stopped")
FOUND = """
SELECT to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'), a.state, a.finished_at
  FROM connections_event e LEFT JOIN workflows_activation a ON a.event_id = e.id
 WHERE e.occurred_at >= %s AND e.occurred_at <= %s AND e.category IN ('INVOICE', 'CONTACT')
"""
STORED = "SELECT convert_from(body, 'UTF8')::jsonb ->> 'entropy' FROM connections_delivery WHERE received_at >= %s"


@dataclass
class Webhook:
    """One delivery of Xero's. `moment` tells it apart; `category` is empty where it has no event."""

    moment: str
    category: str
    sent_at: datetime
    acknowledged_at: datetime | None = None
    refusals: list[int] = field(default_factory=list)


@dataclass
class Line:
    """A chapter's line of the table."""

    chapter: str
    sent: int = 0
    acknowledged: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    longest: float = 0.0
    seconds: float = 0.0
    trouble: str = ""
    is_down: bool = (
        False  # everything is stopped for a while, so that webhooks are refused and come again
    )

    @property
    def is_well(self) -> bool:
        refused = self.errors and not self.is_down
        return not (self.trouble or self.lost or self.doubled or refused or self.longest > LONGEST)


class Load:
    """Threads that send while `running()`; each webhook is sent again until it is acknowledged, as
    Xero does.
    """

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.key = installation.place.secrets["XERO_WEBHOOK_KEY"].encode()
        self.writes = True
        self.webhooks: list[Webhook] = []
        self.page_errors: Counter[str] = Counter()
        self.slowest_page = 0.0
        self.restored_at: datetime | None = (
            None  # what was acknowledged before it is not in the database any more
        )
        self.back_at: datetime | None = (
            None  # what was sent before it waited for the nodes to be started again
        )
        self._over = threading.Event()
        self._numbers = itertools.count()
        self._moments = (
            datetime.now(UTC) - timedelta(days=1) + timedelta(milliseconds=n)
            for n in itertools.count()
        )
        base = f"{installation.place.sandbox_url}/sandbox/api"
        self.tenant = requests.get(f"{base}/connections", timeout=10).json()[0]["tenant_id"]
        url = f"{base}/organisations/{self.tenant}/xero/Invoices?page=1&pageSize=100"
        self.invoices = [
            one["InvoiceID"] for one in requests.get(url, timeout=10).json()["Invoices"]
        ]
        self.certificate = str(installation.proxy.folder / "cert.pem")

    @contextmanager
    def running(self) -> Iterator[None]:
        self._over.clear()
        jobs: list[Callable[[], None]] = [self._send_events, self._send_empty, self._read_pages]
        threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def measure(self, chapter: str, do: Callable[[], object], *, is_down: bool = False) -> Line:
        """Do a chapter under load, wait until everything has ended, and count."""
        self.webhooks, self.page_errors, self.slowest_page = [], Counter(), 0.0
        self.restored_at = self.back_at = None
        line, began = Line(chapter, is_down=is_down), time.monotonic()
        with self.running():
            try:
                do()
            except Exception as error:  # noqa: BLE001 - said in the table, and the drill fails with it
                line.trouble = f"{type(error).__name__}: {error}"
            time.sleep(2 * EVENT_SECONDS)
        line.seconds = time.monotonic() - began
        self._count(line)
        return line

    def note_restore(self) -> None:
        self.restored_at = datetime.now(UTC)

    def note_restart(self) -> None:
        self.back_at = datetime.now(UTC)

    # -- sending
    # --------------------------------------------------------------------------------------------
    def _send_events(self) -> None:
        while not self._over.wait(EVENT_SECONDS):
            number = next(self._numbers)
            category = "CONTACT" if self.writes and number % WRITES == WRITES - 1 else "INVOICE"
            self._deliver(category, self.invoices[number % len(self.invoices)])

    def _send_empty(self) -> None:
        while not self._over.wait(EMPTY_SECONDS):
            self._deliver("", "")

    def _deliver(self, category: str, record: str) -> None:
        moment = next(self._moments).isoformat(timespec="milliseconds").removesuffix("+00:00")
        body = json.dumps(self._delivery(moment, category, record)).encode()
        webhook = Webhook(moment, category, datetime.now(UTC))
        self.webhooks.append(webhook)
        while (status := self._post(body)) != 200:
            webhook.refusals.append(status)
            if (datetime.now(UTC) - webhook.sent_at).total_seconds() > PATIENCE:
                return
            time.sleep(0.25)
        webhook.acknowledged_at = datetime.now(UTC)

    def _delivery(self, moment: str, category: str, record: str) -> dict[str, object]:
        event = {
            "resourceId": record,
            "tenantId": self.tenant,
            "tenantType": "ORGANISATION",
            "eventCategory": category,
            "eventType": "UPDATE",
            "eventDateUtc": moment,
        }
        events = [event] if category else []
        return {
            "events": events,
            "firstEventSequence": 1,
            "lastEventSequence": len(events),
            "entropy": moment,
        }

    def _post(self, body: bytes) -> int:
        """Sign with what Xero's key is now. 0 where there was no answer in the time that Xero
        gives.
        """
        signature = base64.b64encode(hmac.digest(self.key, body, hashlib.sha256)).decode()
        headers = {"x-xero-signature": signature, "Content-Type": "application/json"}
        url = f"{self.installation.place.base_url}/webhooks/xero/"
        try:
            return requests.post(
                url, body, headers=headers, timeout=5, verify=self.certificate
            ).status_code
        except requests.RequestException:
            return 0

    def _read_pages(self) -> None:
        """Read the client's home as the person who signed in before the drill, and stay signed in."""
        session = self.installation.job.visitor.session
        url = f"{self.installation.place.base_url}/{AGENCY.slug}/{CLIENT.slug}/"
        while not self._over.wait(PAGE_SECONDS):
            began = time.monotonic()
            try:
                answer = session.get(url, timeout=20)
                said = str(answer.status_code) if answer.url == url else "signed out"
            except requests.RequestException:
                said = "no answer"
            self.slowest_page = max(self.slowest_page, time.monotonic() - began)
            if said != "200":
                self.page_errors[f"page {said}"] += 1

    # -- counting
    # -------------------------------------------------------------------------------------------
    def _count(self, line: Line) -> None:
        line.sent = len(self.webhooks)
        line.acknowledged = sum(one.acknowledged_at is not None for one in self.webhooks)
        line.errors = (
            Counter(str(status) for one in self.webhooks for status in one.refusals)
            + self.page_errors
        )
        kept = [one for one in self.webhooks if self._is_kept(one)]
        events = [one for one in kept if one.category]
        finished, stored = self._wait_for_ends(events), self._stored()
        line.lost = sum(one.moment not in stored for one in kept)
        line.lost += sum(not finished[one.moment] for one in events)
        line.doubled = sum(max(0, len(ends) - 1) for ends in finished.values())
        self._count_documents(line, [one for one in self.webhooks if one.category == "CONTACT"])
        waits = [
            self._wait(one, at)
            for one in kept
            for at in [one.acknowledged_at, *finished.get(one.moment, [])]
        ]
        line.longest = max([0.0 if self.back_at else self.slowest_page, *waits])

    def _is_kept(self, one: Webhook) -> bool:
        """Return whether it was acknowledged, and is no part of what a restored backup lacks."""
        return one.acknowledged_at is not None and (
            self.restored_at is None or one.acknowledged_at > self.restored_at
        )

    def _wait(self, one: Webhook, at: datetime | None) -> float:
        """Return the seconds from when it was sent, or could be taken, until then."""
        if at is None:
            return 0.0
        began = one.sent_at if self.back_at is None else max(one.sent_at, self.back_at)
        return (at - began).total_seconds()

    def _wait_for_ends(self, events: list[Webhook]) -> dict[str, list[datetime]]:
        """Return when each event's activations finished, once each has one that did."""
        finished: dict[str, list[datetime]] = {one.moment: [] for one in events}
        deadline = time.monotonic() + PATIENCE
        while events:
            finished = {one.moment: [] for one in events}
            between = [f"{events[0].moment}Z", f"{events[-1].moment}Z"]
            for moment, state, at in self.installation.rows(FOUND, between):
                if state in ENDED:
                    finished[moment].append(at)
            if all(finished.values()) or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        return finished

    def _stored(self) -> set[str]:
        since = min(one.sent_at for one in self.webhooks)
        return {entropy for (entropy,) in self.installation.rows(STORED, [since])}

    def _count_documents(self, line: Line, writes: list[Webhook]) -> None:
        """Each event of a contact made one document at Xero, which names its moment."""
        references = Counter(
            datetime.fromisoformat(str(one["Reference"])).astimezone(UTC)
            for one in self.installation.documents()
            if one.get("Reference")
        )
        for one in writes:
            made = references[datetime.fromisoformat(f"{one.moment}+00:00")]
            line.doubled += max(0, made - 1)
            line.lost += made == 0 and self._is_kept(one)
