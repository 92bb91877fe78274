"""The app's webhook subscription: where to, which categories, how it stands."""

from dataclasses import asdict, dataclass, field
from typing import Any

from xero.sandbox.config import DEFAULT_WEBHOOK_KEY, Config
from xero.sandbox.storage import Storage

CATEGORIES = ("INVOICE", "CONTACT")
NONE = "none"
REQUIRED = "intent_to_receive_required"
OK = "ok"
RETRY = "retry"
DISABLED = "disabled"


@dataclass
class Subscription:
    """`sequence` is the number of the last event. Times in seconds since 1970. `validated`: was OK
    at least once.
    """

    url: str = ""
    key: str = ""
    categories: list[str] = field(default_factory=lambda: list(CATEGORIES))
    status: str = NONE
    validated: bool = False
    sequence: int = 0
    failures: int = 0
    failing_since: int | None = None
    next_attempt: int | None = None
    probes: list[dict[str, Any]] = field(default_factory=list)

    def settle(self) -> None:
        self.status, self.validated = OK, True
        self.failures, self.failing_since, self.next_attempt = 0, None, None


class Subscriptions:
    """There is one, of the main app. What the command line says wins over what is stored."""

    def __init__(self, storage: Storage, config: Config) -> None:
        self._storage = storage
        stored = storage.load("subscription").get("main", {})
        self.current = Subscription(**stored)
        self.current.key = config.webhook_key or self.current.key or DEFAULT_WEBHOOK_KEY
        if config.webhook_url and config.webhook_url != self.current.url:
            self.current.url, self.current.status = config.webhook_url, REQUIRED
        self.save()

    def document(self) -> dict[str, Any]:
        return asdict(self.current)

    def save(self) -> None:
        self._storage.save("subscription", "main", self.document())
