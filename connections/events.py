"""Events of integrations: as deliveries report them, and the listeners that they have."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from connections.models import Event


@dataclass(frozen=True, slots=True)
class ReportedEvent:
    """One event as a delivery reports it, checked. `occurred_at` is aware (UTC)."""

    tenant_id: UUID
    category: str
    type: str
    resource_id: UUID
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class UnusableEvent:
    """An event that cannot be used: stored apart with the reason, never acted on."""

    reason: str
    tenant_id: str
    content: str


class UnparsableDelivery(Exception):
    """The body is not what the provider sends. The text says why."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Deliveries that the provider's numbering says were sent and that did not arrive."""

    first: int
    last: int
    found_at: datetime
    read_at: datetime | None  # when what they would have told was looked for
    closed_at: datetime | None  # when they came after all

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class Webhooks(Protocol):
    """A provider's format of deliveries."""

    def gaps(self) -> Sequence[Gap]:
        """Return the latest gaps, newest first. They may concern any connection."""

    def parse(self, body: bytes) -> list[ReportedEvent | UnusableEvent]:
        """Return the events of a delivery; an intent-to-receive has none. Raises
        UnparsableDelivery.
        """


class Listener(Protocol):
    """A listener for new events, called inside the transaction that stores them."""

    def __call__(self, events: Sequence[Event]) -> Mapping[int, int]:
        """Process the events; return how many activations each event id started."""


@dataclass(frozen=True, slots=True)
class Interest:
    """A workflow that listens on a connection with a trigger since then.

    A draft counts too; its settings are as typed.
    """

    connection_id: int
    trigger: str
    settings: dict[str, Any]
    since: datetime


class Interests(Protocol):
    """A source of what is listened to."""

    def __call__(self, trigger_keys: Collection[str]) -> Sequence[Interest]:
        """Return what listens with these triggers on connections that work."""
