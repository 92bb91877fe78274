"""What an integration is: a provider with its triggers and actions, and the registry that finds
them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Protocol
from uuid import UUID

from django import forms

from connections import errors
from connections.models import Connection, Event
from taskjuice.queue import clock
from taskjuice.workspaces.models import Agency, User

Data = dict[str, Any]
MENDED_BY = timedelta(
    minutes=15
)  # a broken connection is looked at again after this, or when it is reconnected


@dataclass(frozen=True, slots=True)
class Call:
    """For whom an action runs: a connection, and either a person or a step of an activation."""

    connection: Connection | None
    user: User | None = None
    activation_id: int | None = None
    step: str = ""
    element: int = 0  # of the list that a step runs once per element of
    form_key: UUID | None = None  # of a page's form, which writes once however often it is sent
    attempt: int = 1
    context: Mapping[str, Any] = field(default_factory=dict)  # what expressions can reach
    guard: Mapping[str, Any] = field(
        default_factory=dict
    )  # what a write of this step is held to (admission.py)
    likeness: str = ""  # equal for steps that were told the same


@dataclass(frozen=True, slots=True)
class Done:
    output: Any  # JSON; a list where the step ran once per element
    subject: str = ""  # what a list should call it: INV-0042, a contact's name
    not_before: datetime | None = None  # the activation rests until then
    note: str = ""  # what stands on the activation for whoever looks at it


@dataclass(frozen=True, slots=True)
class Stopped:
    """A condition said no: the activation ends here, and that is fine."""

    reason: str
    output: Data | None = None


@dataclass(frozen=True, slots=True)
class TryLater:
    """Nothing was done. `at` None: after a back-off. `tenant_wide` parks the whole lane."""

    reason: str
    at: datetime | None = None
    tenant_wide: bool = False
    status: int | None = None
    counts: bool = True  # False: being told to wait is no attempt


@dataclass(frozen=True, slots=True)
class Failed:
    """For good. `existing`: the record that is there already, where that is why (code `duplicate`)."""

    code: str
    message: str
    status: int | None = None
    existing: Data | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A write nobody can confirm: a person decides."""

    message: str
    status: int | None = None


Outcome = Done | Stopped | TryLater | Failed | Unknown


def outcome_of(error: errors.ProviderError) -> Outcome:
    """The outcome that a provider's error means for a step."""
    match error:
        case errors.RetryLater():
            return TryLater(
                str(error),
                at=error.at,
                tenant_wide=error.tenant_wide,
                status=error.status,
                counts=not error.tenant_wide,
            )
        case errors.NotPermitted():  # others of its lane go on: most things work
            return Failed(error.code, str(error), status=error.status)
        case errors.NeedsConsent() | errors.TenantGone():
            # Not the activation's fault: it waits, and goes on when the connection is mended.
            return TryLater(
                str(error),
                at=clock.now() + MENDED_BY,
                tenant_wide=True,
                status=error.status,
                counts=False,
            )
        case errors.UnknownOutcome():
            return Unknown(str(error), status=error.status)
        case _:
            return Failed(error.code, str(error), status=error.status)


@dataclass(frozen=True, slots=True)
class Cost:
    """How many calls to the provider one run takes: by itself, and as its share of a full batch."""

    alone: Decimal = Decimal(0)
    batched: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a step would send: `head` says what and where to, `document` is its body as JSON can
    show it, or a text.
    """

    head: str
    document: Any


class Action:
    """What a step or a page can do. One instance serves all calls, so it keeps no state."""

    key: ClassVar[str]  # never renamed; stored in steps
    title: ClassVar[str]
    description: ClassVar[str]
    form: ClassVar[type[forms.Form]]
    writes: ClassVar[bool] = False  # goes through the journal
    effects: ClassVar[bool] = (
        False  # changes something outside: its outcomes are stored before anything else runs
    )
    raw: ClassVar[bool] = False  # its input is not evaluated before; it reads `call.context` itself
    amounts: ClassVar[bool] = False  # what it writes comes to an amount of money
    cost: ClassVar[Cost] = Cost()
    # How many different ones are run before others get their turn: few where each may wait for
    # somebody outside
    together: ClassVar[int] = 1000
    scopes: ClassVar[frozenset[str]] = frozenset()
    sample: ClassVar[Data] = {}  # an output as the builder shows it
    # Parts of an output that are never left out (Contact.Name, LineItems[], LineItems[].Quantity);
    # None: not declared
    always: ClassVar[frozenset[str] | None] = None
    free: ClassVar[bool] = False  # whose outputs may be of any kind: the sample is one of many

    def wrong_for(
        self, agency: Agency, connections: Sequence[Connection], given: Mapping[str, Any]
    ) -> Iterable[tuple[str, str]]:
        """(field, message) of what only this agency's own rows, and its copies of these
        organisations, show to be wrong with raw input.
        """
        return ()

    def cautions(self, given: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """(field, message) of raw input that is allowed and may not be what is meant."""
        return ()

    def reads(self, data: Data) -> bool:
        """Whether with this input it changes nothing, so that a test may run it for real."""
        return not (self.writes or self.effects)

    def read_key(self, data: Data) -> str | None:
        """Return what names the read that all of a wave with the same key share; None where each
        has its own.
        """
        return None

    def run(self, call: Call, data: Data) -> Data:
        """Do it once with cleaned data; return the output or raise a ProviderError."""
        raise NotImplementedError

    def run_many(self, calls: Sequence[Call], rows: Sequence[Data]) -> list[Outcome]:
        """Outcomes for a whole wave, in its order. The default loops over `run`."""
        return [self.outcome(call, data) for call, data in zip(calls, rows, strict=True)]

    def warnings(self, output: Any) -> list[str]:
        """What a person should know of an output although it worked, in the provider's own words."""
        return []

    def preview(self, call: Call, data: Data) -> "Preview | Outcome | None":
        """What it would write, or why it would not, found out without writing; None where only the
        input tells.
        """
        return None

    def outcome(self, call: Call, data: Data) -> Outcome:
        try:
            return Done(self.run(call, data))
        except errors.ProviderError as error:
            return outcome_of(error)


class Trigger:
    """What can start a workflow."""

    key: ClassVar[str]  # never renamed; stored in versions
    title: ClassVar[str]
    description: ClassVar[str]
    form: ClassVar[type[forms.Form]]
    category: ClassVar[str]  # of the events it looks at
    by_hand: ClassVar[bool] = False  # needs no event to be tried or run: one of now will do
    sample: ClassVar[Data] = {}

    def matches(self, event: Event, settings: Mapping[str, Any]) -> bool:
        """Whether this event starts a workflow with these (cleaned) settings."""
        raise NotImplementedError

    def data(self, event: Event) -> Data:
        """What `{{ trigger.… }}` holds: plain strings, numbers, booleans, lists and mappings."""
        raise NotImplementedError

    def address(self, connection: Connection, data: Mapping[str, Any]) -> str:
        """Where a person finds the record at the provider, given what `data` returned; "" where
        that is not known.
        """
        return ""

    def in_words(self, settings: Mapping[str, Any]) -> str:
        """Trigger and settings as one sentence's beginning; "" where title and fields say it well
        enough.
        """
        return ""

    def subject(self, data: Mapping[str, Any]) -> str:
        """What a list should call it, where the event itself tells: INV-0042. "" leaves that to the
        steps.
        """
        return ""


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
    """An event that makes no sense to us: stored apart with the reason, never acted on."""

    reason: str
    tenant_id: str
    content: str


class UnparsableDelivery(Exception):
    """The body is not what the provider sends. The text says why."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Deliveries that the provider's numbering says were sent and that did not come."""

    first: int
    last: int
    found_at: datetime
    read_at: datetime | None  # when what they would have told was looked for
    closed_at: datetime | None  # when they came after all

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class Webhooks(Protocol):
    """How a provider's deliveries are read."""

    def gaps(self) -> Sequence[Gap]:
        """The latest ones, newest first. They may concern any connection."""

    def parse(self, body: bytes) -> list[ReportedEvent | UnusableEvent]:
        """The events of one delivery; an intent-to-receive has none. Raises UnparsableDelivery."""


class Listener(Protocol):
    """Whoever wants new events; called inside the transaction that stores them."""

    def __call__(self, events: Sequence[Event]) -> Mapping[int, int]:
        """Take the events; return how many activations each event id started."""


@dataclass(frozen=True, slots=True)
class Interest:
    """Somebody listens on a connection with a trigger, since when, or drafts to: then its settings
    are as typed.
    """

    connection_id: int
    trigger: str
    settings: Data
    since: datetime


class Interests(Protocol):
    """Whoever knows what is listened to."""

    def __call__(self, trigger_keys: Collection[str]) -> Sequence[Interest]:
        """What listens with these triggers on connections that work."""


class Registry:
    """The triggers and actions of all integrations, by key."""

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {}
        self.triggers: dict[str, Trigger] = {}
        self.webhooks: dict[str, Webhooks] = {}
        self.listeners: list[Listener] = []
        self.interests: list[Interests] = []

    def add(
        self,
        *,
        actions: Iterable[Action] = (),
        triggers: Iterable[Trigger] = (),
        webhooks: Mapping[str, Webhooks] | None = None,
        listener: Listener | None = None,
        interests: Interests | None = None,
    ) -> None:
        self.actions.update((action.key, action) for action in actions)
        self.triggers.update((trigger.key, trigger) for trigger in triggers)
        self.webhooks.update(webhooks or {})
        if listener is not None:
            self.listeners.append(listener)
        if interests is not None:
            self.interests.append(interests)

    def listening(self, trigger_keys: Collection[str]) -> list[Interest]:
        """Who listens with these triggers: what nobody wants to know need not be found out."""
        return [found for ask in self.interests for found in ask(trigger_keys)]


registry = Registry()
