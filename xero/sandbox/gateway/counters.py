"""Counts and the latest calls, for tests and for the pages."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

KEPT = 2000


@dataclass
class Counters:
    """The calls by (tenant id or "", method, endpoint, status), and the recent ones, newest last.
    In memory only.
    """

    calls: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)
    recent: deque[tuple[float, str, str, str, int, str]] = field(
        default_factory=lambda: deque(maxlen=KEPT)
    )

    def count(
        self, at: float, tenant_id: str, method: str, url: str, endpoint: str, status: int, key: str
    ) -> None:
        self.calls[tenant_id, method, endpoint, status] += 1
        self.recent.append((at, tenant_id, method, url, status, key))

    def as_json(self) -> list[dict[str, Any]]:
        names = ("tenant_id", "method", "endpoint", "status")
        return [
            {**dict(zip(names, call, strict=True)), "count": number}
            for call, number in sorted(self.calls.items())
        ]

    def recent_json(self) -> list[dict[str, Any]]:
        names = ("at", "tenant_id", "method", "url", "status", "idempotency_key")
        return [dict(zip(names, call, strict=True)) for call in self.recent]

    def reset(self) -> None:
        self.calls.clear()
        self.recent.clear()
