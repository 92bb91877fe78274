"""The log of deliveries, attempt by attempt; the newest are kept, also over a restart."""

from collections import deque
from typing import Any

from xero.sandbox.storage import Storage

KEPT = 500
SHOWN_BYTES = 2000


class Deliveries:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        stored = sorted(storage.load("deliveries").values(), key=lambda entry: int(entry["id"]))
        self.entries: deque[dict[str, Any]] = deque(stored, maxlen=KEPT)
        self._last = int(stored[-1]["id"]) if stored else 0
        self._unsaved: dict[str, dict[str, Any]] = {}

    def add(self, **entry: Any) -> None:
        self._last += 1
        document = {"id": self._last, **entry}
        self.entries.append(document)
        self._unsaved[str(self._last % KEPT)] = (
            document  # a slot is used again when its entry is no longer kept
        )

    def flush(self) -> None:
        """Save the log. It is called every few seconds, since a log need not cost a disk write per
        delivery.
        """
        if self._unsaved:
            self._storage.save_many("deliveries", self._unsaved)
            self._unsaved = {}
