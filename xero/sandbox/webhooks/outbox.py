"""Events on their way to the receiver: gathered for a moment, sent in order, retried, dropped after
a day.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from xero.sandbox.accounting import Change
from xero.sandbox.clock import Clock
from xero.sandbox.config import Config
from xero.sandbox.gateway.faults import Faults
from xero.sandbox.identity.apps import Apps
from xero.sandbox.identity.connections import Connections
from xero.sandbox.storage import Storage
from xero.sandbox.webhooks import envelope, intent, subscription
from xero.sandbox.webhooks.deliveries import SHOWN_BYTES, Deliveries
from xero.sandbox.webhooks.sender import Attempt, Sender
from xero.sandbox.webhooks.subscription import Subscription, Subscriptions

HOLD_SECONDS = 5
KEEP_EVENTS_SECONDS = 31 * 24 * 3600


@dataclass(frozen=True)
class Delivery:
    sequences: tuple[int, ...]
    body: bytes


@dataclass
class Outbox:
    storage: Storage
    clock: Clock
    config: Config
    sender: Sender
    faults: Faults
    connections: Connections
    apps: Apps

    def __post_init__(self) -> None:
        self._subscriptions = Subscriptions(self.storage, self.config)
        stored = self.storage.load("webhook_events").items()
        self._pending = {int(id): str(document["event"]) for id, document in stored}
        self._pending = dict(sorted(self._pending.items()))
        self._retrying: Delivery | None = None
        self._wake = asyncio.Event()
        self.deliveries = Deliveries(self.storage)

    @property
    def subscription(self) -> Subscription:
        return self._subscriptions.current

    @property
    def waiting(self) -> int:
        return len(self._pending)

    def record(self, tenant_id: str, changes: Sequence[Change]) -> None:
        """Number and store the events of these changes.

        Only if the app is connected and subscribed, and its subscription was validated.
        """
        current = self.subscription
        if not current.validated or not self.connections.is_connected(self.apps.main_id, tenant_id):
            return
        self._add(
            envelope.event(tenant_id, change.category, change.type, change.resource_id, change.at)
            for change in changes
            if change.category in current.categories
        )

    def _add(self, events: Iterable[str]) -> None:
        current = self.subscription
        at = int(self.clock.timestamp())
        new = {}
        for event in events:
            current.sequence += 1
            new[current.sequence] = event
        self._pending.update(new)
        documents = {str(sequence): {"event": event, "at": at} for sequence, event in new.items()}
        self.storage.save_kinds(
            {"webhook_events": documents, "subscription": {"main": self._subscriptions.document()}}
        )
        self.wake()

    def take_numbers(self, count: int) -> int:
        """Use up `count` sequence numbers without sending anything, and return the first of
        them.
        """
        first = self.subscription.sequence + 1
        self.subscription.sequence += count
        self._subscriptions.save()
        return first

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Send what is due, then wait for more, for ever."""
        while True:
            pause = self._pause()
            if pause is None or pause > 0:
                await self._sleep(pause)
            else:
                await self._send_next()

    def _pause(self) -> float | None:
        """Return the seconds until the next delivery is due, or None if there is none until
        `wake`.
        """
        current = self.subscription
        if not self._pending or current.status not in (subscription.OK, subscription.RETRY):
            return None
        return 0 if current.next_attempt is None else current.next_attempt - self.clock.timestamp()

    async def _sleep(self, seconds: float | None) -> None:
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return

    async def _send_next(self) -> None:
        if self._retrying is not None:
            await self._try(self._retrying)
            return
        await asyncio.sleep(self.config.webhook_delay_ms / 1000)
        fault = self.faults.take_webhook() or ""
        if fault == "webhook_reordered":
            await self._gather(2)
            for sequence in reversed(self._batch()):
                await self._try(self._delivery([sequence]))
            return
        delivery = self._delivery(self._batch())
        if fault == "webhook_missing":
            self._log(delivery, Attempt(None, 0, "withheld by a fault"))
            self._remove(delivery)
            return
        if fault == "webhook_duplicate":
            self._log(delivery, await self._post(delivery, self.subscription.key))
        key = self.subscription.key + ("-wrong" if fault == "webhook_wrong_signature" else "")
        await self._try(delivery, key)

    async def _gather(self, number: int) -> None:
        """Wait a little for more events, so that there is an order to break."""
        for _ in range(HOLD_SECONDS * 10):
            if len(self._pending) >= number:
                return
            await asyncio.sleep(0.1)

    def _batch(self) -> list[int]:
        return list(islice(self._pending, self.config.webhook_batch))

    def _delivery(self, sequences: list[int]) -> Delivery:
        events = [self._pending[sequence] for sequence in sequences]
        return Delivery(tuple(sequences), envelope.body(events, sequences[0], sequences[-1]))

    async def _post(self, delivery: Delivery, key: str) -> Attempt:
        signature = envelope.sign(key, delivery.body)
        return await self.sender.post(self.subscription.url, delivery.body, signature)

    async def _try(self, delivery: Delivery, key: str | None = None) -> None:
        attempt = await self._post(delivery, self.subscription.key if key is None else key)
        self._log(delivery, attempt)
        if attempt.problem is None:
            self._remove(delivery)
            self._retrying = None
            self._succeeded()
        else:
            self._retrying = delivery
            self._failed()

    def _remove(self, delivery: Delivery) -> None:
        for sequence in delivery.sequences:
            if self._pending.pop(sequence, None) is not None:
                self.storage.delete("webhook_events", str(sequence))

    def _succeeded(self) -> None:
        if self.subscription.status == subscription.RETRY:
            self.subscription.settle()
            self._subscriptions.save()

    def _failed(self) -> None:
        """Retry at once, then at a steady pace, until a day has passed since the first failure."""
        current = self.subscription
        if current.status not in (subscription.OK, subscription.RETRY):
            return
        now = int(self.clock.timestamp())
        current.failures += 1
        current.failing_since = current.failing_since or now
        current.status = subscription.RETRY
        current.next_attempt = (
            now if current.failures == 1 else now + int(self.config.webhook_retry_seconds)
        )
        if now - current.failing_since >= self.config.webhook_retry_for_seconds:
            current.status, current.next_attempt = subscription.DISABLED, None
        self._subscriptions.save()

    def _log(self, delivery: Delivery, attempt: Attempt) -> None:
        self.deliveries.add(
            at=self.clock().isoformat(timespec="milliseconds"),
            first=delivery.sequences[0],
            last=delivery.sequences[-1],
            events=len(delivery.sequences),
            status=attempt.status,
            milliseconds=int(attempt.milliseconds),
            problem=attempt.problem,
            body=delivery.body[:SHOWN_BYTES].decode(),
        )

    async def configure(self, url: str, key: str, categories: list[str]) -> None:
        """Save the subscription.

        A new or changed URL must be validated; so must a disabled subscription that is saved again.
        """
        current = self.subscription
        if current.sequence == 0 and not current.url:
            current.status = subscription.REQUIRED
        must_prove = url != current.url or current.status not in (
            subscription.OK,
            subscription.RETRY,
        )
        current.url, current.key, current.categories = url, key, categories
        if not url:
            current.status = subscription.NONE
        elif must_prove:
            current.status = subscription.REQUIRED
        self._subscriptions.save()
        if url and must_prove:
            await self.prove()

    async def prove(self) -> bool:
        """Send the intent-to-receive probes, and return True if all passed, so that deliveries go
        out.
        """
        current = self.subscription
        current.probes = await intent.probe(self.sender, current.url, current.key)
        passed = all(result["problem"] is None for result in current.probes)
        if passed:
            self._drop_old()
            current.settle()
        elif current.status != subscription.DISABLED:
            current.status = subscription.REQUIRED
        self._subscriptions.save()
        self.wake()
        return passed

    def _drop_old(self) -> None:
        """Drop old events: those of a broken subscription are kept for 31 days."""
        oldest = self.clock.timestamp() - KEEP_EVENTS_SECONDS
        for id, document in self.storage.load("webhook_events").items():
            if int(document["at"]) < oldest:
                self._pending.pop(int(id), None)
                self.storage.delete("webhook_events", id)

    def send_event(self, tenant_id: str, change: Change) -> None:
        """Send a test event as if the change had happened, connected or not."""
        self._add(
            [envelope.event(tenant_id, change.category, change.type, change.resource_id, change.at)]
        )
