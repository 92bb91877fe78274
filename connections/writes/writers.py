"""What an integration tells the journal about each of its writes: how it is drafted, sent and found
again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from connections.integrations import Call as ActionCall
from connections.integrations import Data, Outcome
from connections.models import Call, Connection, Sending


@dataclass(frozen=True, slots=True)
class Twin:
    """A record that is there already and reads like the one to be made."""

    message: str
    record: Data


@dataclass(frozen=True, slots=True)
class Draft:
    """One record to be made. `noted` is what the look-up will need; `target` may have one open call
    at a time.

    `path` is for writers that change one record at a time, whose address it is. `amount` None: not
    known before the provider works it out; `currency` "": the tenant's own.
    """

    id: UUID
    subject: str
    body: Data
    noted: Data = field(default_factory=dict)
    target: UUID | None = None
    path: str = ""
    amount: Decimal | None = None
    currency: str = ""
    twin: Twin | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """The record is there. `answer` is what the provider says of it, `warnings` what a person
    should know of that.

    `changed_at`: when it says that this was done.
    """

    record_id: UUID
    name: str
    answer: Data
    warnings: Sequence[str] = ()
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    messages: list[str]
    answer: Data | None = None


@dataclass(frozen=True, slots=True)
class Undecided:
    """The answer, or a look-up, cannot tell; the text says why and what was seen."""

    reason: str


Found = Made | Undecided | None  # None: it is not there
Verdict = Made | Refused | Undecided


class Writer:
    """How one action writes at its provider. One instance serves all calls, so it keeps no state."""

    action: ClassVar[str]
    verb: ClassVar[str]  # for the audit trail: "invoice created"
    method: ClassVar[str] = "PUT"
    path: ClassVar[str] = ""
    params: ClassVar[Mapping[str, str | int]] = {}
    most: ClassVar[int] = 1  # elements of one sending
    key_seconds: ClassVar[float]  # for how long the provider surely remembers a key
    says_it_exists: ClassVar[
        tuple[str, ...]
    ] = ()  # parts of the provider's words when it has such a record already

    def drafts(
        self, calls: Sequence[ActionCall], rows: Sequence[Data], ids: Sequence[UUID]
    ) -> list[Draft | Outcome]:
        """A draft per row, or the outcome of one that is not sent. May ask the provider; raises
        ProviderError.
        """
        raise NotImplementedError

    def encode(self, bodies: Sequence[Data]) -> bytes:
        raise NotImplementedError

    def send(self, sending: Sending, *, by_person: bool) -> Sequence[Verdict]:
        """One verdict per element; Undecided ones are looked up.

        UnknownOutcome: it may be done. Any other ProviderError: nothing was done.
        """
        raise NotImplementedError

    def look_up(
        self, connection: Connection, calls: Sequence[Call], *, by_person: bool
    ) -> dict[UUID, Found]:
        """What became of these calls, by call id. Raises ProviderError when it cannot be asked now."""
        raise NotImplementedError

    def find(self, call: Call, named: str, *, by_person: bool) -> Made | None:
        """The record that a person names (its number, name or id), if it can be this call's."""
        raise NotImplementedError


WRITERS: dict[str, Writer] = {}  # by action key


def add(writer: Writer) -> None:
    """An integration tells how an action writes, so that sweeps and decisions can go on where a
    process died.
    """
    WRITERS[writer.action] = writer
