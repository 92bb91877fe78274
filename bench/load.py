"""A load generator that is not the bottleneck: keep-alive connections, requests made beforehand,
answers barely read.

Run in a process of its own: `python -m bench.load URL KEY SECONDS CONNECTIONS` prints one JSON
object.
"""

import asyncio
import base64
import gc
import hashlib
import hmac
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit
from uuid import uuid4

PREPARED = 20_000


def one_event_body(number: int) -> bytes:
    """Write an event as Xero does, of a tenant that is not connected: the receiver answers before
    it knows.
    """
    resource = uuid4()
    event = {
        "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{resource}",
        "resourceId": str(resource),
        "eventDateUtc": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],
        "eventType": "UPDATE",
        "eventCategory": "INVOICE",
        "tenantId": "00000000-0000-4000-8000-000000000000",
        "tenantType": "ORGANISATION",
    }
    whole = {
        "events": [event],
        "lastEventSequence": number,
        "firstEventSequence": number,
        "entropy": f"{random.getrandbits(60):020d}",
    }
    return json.dumps(whole).encode()


def request(path: str, host: str, body: bytes, key: bytes) -> bytes:
    signature = base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"x-xero-signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Tally:
    until: float
    requests: Iterator[bytes]
    latencies: list[float] = field(default_factory=list)
    refused: int = 0


class Caller(asyncio.Protocol):
    """One connection. The next request goes out when the last answer is in."""

    def __init__(self, tally: Tally, done: asyncio.Future[None]) -> None:
        self.tally, self.done = tally, done
        self.answer = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found or not _whole(head, body):
            return
        now = time.perf_counter()
        self.tally.latencies.append(now - self.sent_at)
        self.tally.refused += not head.startswith(b"HTTP/1.1 200")
        self.answer = b""
        if now < self.tally.until:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(next(self.tally.requests))


def _whole(head: bytes, body: bytes) -> bool:
    head = head.lower()
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    _, found, rest = head.partition(b"content-length:")
    return len(body) >= (int(rest.split(b"\r\n", 1)[0]) if found else 0)


async def run(url: str, key: str, seconds: float, connections: int) -> dict[str, float]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    made = [
        request(parts.path, parts.netloc, one_event_body(n), key.encode()) for n in range(PREPARED)
    ]
    gc.freeze()
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    tally = Tally(until=start + seconds, requests=iter(made * 10))
    waits = [loop.create_future() for _ in range(connections)]
    for done in waits:
        await loop.create_connection(partial(Caller, tally, done), parts.hostname, parts.port)
    await asyncio.gather(*waits)
    took = time.perf_counter() - start
    ordered = sorted(tally.latencies)
    return {
        "requests": len(ordered),
        "refused": tally.refused,
        "per_second": len(ordered) / took,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
        "max_ms": ordered[-1] * 1000,
    }


if __name__ == "__main__":
    url, key, seconds, connections = sys.argv[1:]
    print(json.dumps(asyncio.run(run(url, key, float(seconds), int(connections)))))
