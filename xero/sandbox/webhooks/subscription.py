"""The app's webhook subscription: URL, categories and status."""

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
    """A subscription.

    `sequence` is the number of the last event. Times are in seconds since 1970. `validated` is True
    if it was OK at least once.
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
    """The one subscription, that of the main app. The command line wins over what is stored."""

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
