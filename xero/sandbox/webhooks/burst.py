"""Many single-event deliveries at once for load tests: real invoices, own sequence numbers,
connections reused.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice

from xero.sandbox.webhooks import envelope
from xero.sandbox.webhooks.sender import Attempt
from xero.sandbox.world import World

IDS_PER_ORGANISATION = 5000


@dataclass(frozen=True)
class Report:
    """The figures of a burst.

    `seconds` is from the first request to the last answer, `rate` is per second, `statuses` counts
    the answers.
    """

    sent: int
    first_sequence: int
    seconds: float
    rate: float
    statuses: dict[str, int]
    p50_ms: float
    p99_ms: float
    max_ms: float


def _resources(world: World, tenants: list[str], category: str) -> Iterator[tuple[str, str]]:
    """Yield (tenant, resource id), one organisation after the other in turn."""
    pools = []
    for tenant in tenants:
        organisation = world.organisations[tenant]
        ledger = organisation.invoices if category == "INVOICE" else organisation.contacts
        pools.append(cycle([(tenant, id) for id in islice(ledger, IDS_PER_ORGANISATION)]))
    return (next(pool) for pool in cycle(pools))


def _prepare(
    world: World, count: int, tenants: list[str], category: str
) -> tuple[int, list[tuple[bytes, str]]]:
    """Make bodies and signatures beforehand, so that the run measures the receiver. Every event has
    its own time.
    """
    key = world.outbox.subscription.key
    first = world.outbox.take_numbers(count)
    start = world.clock()
    prepared = []
    for number, (tenant, id) in enumerate(islice(_resources(world, tenants, category), count)):
        at = start + timedelta(milliseconds=number)
        sequence = first + number
        body = envelope.body(
            [envelope.event(tenant, category, "UPDATE", id, at)], sequence, sequence
        )
        prepared.append((body, envelope.sign(key, body)))
    return first, prepared


async def send(
    world: World, *, count: int, concurrency: int, tenants: list[str], category: str
) -> Report:
    first, prepared = _prepare(world, count, tenants, category)
    url = world.outbox.subscription.url
    queue = iter(prepared)
    attempts: list[Attempt] = []

    async def work() -> None:
        for body, signature in queue:
            attempts.append(await world.sender.post(url, body, signature))

    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return _report(attempts, first, time.perf_counter() - start)


def _report(attempts: list[Attempt], first: int, seconds: float) -> Report:
    times = sorted(attempt.milliseconds for attempt in attempts)
    statuses = Counter(attempt.problem or str(attempt.status) for attempt in attempts)
    return Report(
        sent=len(attempts),
        first_sequence=first,
        seconds=round(seconds, 3),
        rate=round(len(attempts) / seconds, 1),
        statuses=dict(statuses),
        p50_ms=times[len(times) // 2],
        p99_ms=times[min(len(times) - 1, int(len(times) * 0.99))],
        max_ms=times[-1],
    )
