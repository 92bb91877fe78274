"""The sandbox's clock: real time plus a shift, so that tokens, limits and keys can be made to
expire at once.
"""

from datetime import UTC, datetime, timedelta

from xero.sandbox.storage import Storage


class Clock:
    """A clock that returns UTC without a zone when it is called; its shift survives a restart."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.shift_seconds = int(storage.load("clock").get("clock", {}).get("shift_seconds", 0))

    def __call__(self) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=self.shift_seconds)

    def timestamp(self) -> float:
        """Return the seconds since 1970."""
        return self().replace(tzinfo=UTC).timestamp()

    def advance(self, seconds: int) -> None:
        self.shift_seconds += seconds
        self._storage.save("clock", "clock", {"shift_seconds": self.shift_seconds})
