"""Idempotency-Key: the first answer again, for six minutes, per app (facts 4.4).

The organisation counts as part of the request, though Xero's page names method, URL and body only.
What Xero does while the first call is still running is not known; here the second is refused with
409.
"""

import hashlib
from dataclasses import dataclass

from xero.sandbox.accounting import Request, Response
from xero.sandbox.clock import Clock
from xero.sandbox.config import Config
from xero.sandbox.storage import Storage

METHODS = frozenset({"PUT", "POST", "PATCH"})
LONGEST_KEY = 128


class ReplayError(Exception):
    """A key that cannot be used; `status` is that of the answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class Remembered:
    """A remembered call. `answer` is None while it runs; `at` is in seconds since 1970."""

    fingerprint: str
    at: int
    answer: Response | None


class Replays:
    def __init__(self, storage: Storage, clock: Clock, config: Config) -> None:
        self._storage = storage
        self._clock = clock
        self._config = config
        stored = {id: _parse(document) for id, document in storage.load("replays").items()}
        self._known = dict(sorted(stored.items(), key=lambda item: item[1].at))

    def begin(
        self, client_id: str, key: str, url: str, tenant_id: str, request: Request
    ) -> Response | None:
        """Return the remembered answer, or None for a first call, after which `finish` or `abandon`
        must follow.

        Raises ReplayError for a key that is too long, in use, or of another request.
        """
        if len(key) > LONGEST_KEY:
            raise ReplayError(
                400, f"Idempotency Key must not be longer than {LONGEST_KEY} characters"
            )
        self._forget_old()
        name = f"{client_id}:{key}"
        fingerprint = _fingerprint(url, tenant_id, request)
        known = self._known.get(name)
        if known is None:
            self._known[name] = Remembered(fingerprint, int(self._clock.timestamp()), None)
            return None
        if known.fingerprint != fingerprint:
            raise ReplayError(400, f"Idempotency Key {key} is used with a different request")
        if known.answer is None:
            raise ReplayError(409, f"A request with Idempotency Key {key} is still being processed")
        return known.answer

    def finish(self, client_id: str, key: str, answer: Response) -> None:
        name = f"{client_id}:{key}"
        first = self._known[name]
        self._known[name] = Remembered(first.fingerprint, first.at, answer)
        document = {
            "fingerprint": first.fingerprint,
            "at": first.at,
            "status": answer.status,
            "headers": dict(answer.headers),
            "body": answer.body.decode(),
        }
        self._storage.save("replays", name, document)

    def abandon(self, client_id: str, key: str) -> None:
        """Forget a key whose first call never reached the ledger, as if it had not been used."""
        self._known.pop(f"{client_id}:{key}", None)

    def _forget_old(self) -> None:
        """Remove old keys, oldest first, up to the first one that is recent or still running."""
        too_old = self._clock.timestamp() - self._config.idempotency_seconds
        while self._known:
            name, oldest = next(iter(self._known.items()))
            if oldest.at > too_old or oldest.answer is None:
                return
            del self._known[name]
            self._storage.delete("replays", name)


def _fingerprint(url: str, tenant_id: str, request: Request) -> str:
    start = f"{request.method} {url} {tenant_id}\n".encode()
    return hashlib.sha256(start + request.body).hexdigest()


def _parse(document: dict[str, object]) -> Remembered:
    headers = document["headers"]
    assert isinstance(headers, dict)
    answer = Response(int(str(document["status"])), headers, str(document["body"]).encode())
    return Remembered(str(document["fingerprint"]), int(str(document["at"])), answer)
