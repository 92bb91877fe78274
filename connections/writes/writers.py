"""Writers: how an integration drafts, sends and looks up each kind of write of the journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from connections.integrations import ActionContext, Data, Outcome
from connections.models import Call, Connection, Sending


@dataclass(frozen=True, slots=True)
class Twin:
    """An existing record that looks like the one to be made."""

    message: str
    record: Data


@dataclass(frozen=True, slots=True)
class WriteDraft:
    """One record to be made. `noted` is for the look-up; `target` may have one open call at a time.

    `path` is for writers that change one record at a time, whose address it is. `amount` None: not
    known before the provider calculates it; `currency` "": the tenant's own.
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
class RecordMade:
    """The record exists. `answer` is the provider's record, `warnings` are for a person.

    `changed_at`: when the provider says that this was done.
    """

    record_id: UUID
    name: str
    answer: Data
    warnings: Sequence[str] = ()
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecordRefused:
    messages: list[str]
    answer: Data | None = None


@dataclass(frozen=True, slots=True)
class Undecided:
    """The answer, or a look-up, is not conclusive; the text says why and what was seen."""

    reason: str


Found = RecordMade | Undecided | None  # None: it is not there
Verdict = RecordMade | RecordRefused | Undecided


class Writer:
    """One action's way of writing at its provider. One instance serves all calls: it keeps no
    state.
    """

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
        self, calls: Sequence[ActionContext], rows: Sequence[Data], ids: Sequence[UUID]
    ) -> list[WriteDraft | Outcome]:
        """Return a draft per row, or the outcome of one that is not sent.

        May ask the provider; raises ProviderError.
        """
        raise NotImplementedError

    def encode(self, bodies: Sequence[Data]) -> bytes:
        raise NotImplementedError

    def send(self, sending: Sending, *, by_person: bool) -> Sequence[Verdict]:
        """Send and return one verdict per element; Undecided ones are looked up.

        Raises UnknownOutcome if it may have been done; any other ProviderError if nothing was done.
        """
        raise NotImplementedError

    def look_up(
        self, connection: Connection, calls: Sequence[Call], *, by_person: bool
    ) -> dict[UUID, Found]:
        """Return what is known of these calls, by call id. Raises ProviderError if it cannot be
        asked now.
        """
        raise NotImplementedError

    def find(self, call: Call, named: str, *, by_person: bool) -> RecordMade | None:
        """Return the record that a person names (its number, name or id), if this call can have
        made it.
        """
        raise NotImplementedError


WRITERS: dict[str, Writer] = {}  # by action key


def add_writer(writer: Writer) -> None:
    """Add the writer of an action, so that sweeps and decisions can go on where a process died."""
    WRITERS[writer.action] = writer
