"""The interface of an integration, a provider with its triggers and actions, and their registry."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django import forms

from connections import errors
from connections.events import Interest, Interests, Listener, Webhooks
from connections.models import Connection, Event
from taskjuice.queue import clock
from taskjuice.workspaces.models import Agency, User

Data = dict[str, Any]
# A broken connection is checked again after this, or when it is reconnected.
MENDED_BY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class ActionContext:
    """The context of an action: a connection, and either a person or a step of an activation."""

    connection: Connection | None
    user: User | None = None
    activation_id: int | None = None
    step: str = ""
    element: int = 0  # of the list that a step runs once per element of
    form_key: UUID | None = None  # of a page's form, which writes once however often it is sent
    attempt: int = 1
    context: Mapping[str, Any] = field(default_factory=dict)  # what expressions can reach
    # Limits on the writes of this step (connections/writes/admission.py).
    guard: Mapping[str, Any] = field(default_factory=dict)
    likeness: str = ""  # equal for steps that were told the same


@dataclass(frozen=True, slots=True)
class Done:
    output: Any  # JSON; a list where the step ran once per element
    subject: str = ""  # what a list should call it: INV-0042, a contact's name
    not_before: datetime | None = None  # the activation rests until then
    note: str = ""  # what stands on the activation for whoever looks at it


@dataclass(frozen=True, slots=True)
class Stopped:
    """A condition was not met: the activation ends here, and that is fine."""

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
    """A permanent failure. `existing`: the record that exists already, for the code `duplicate`."""

    code: str
    message: str
    status: int | None = None
    existing: Data | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A write that cannot be confirmed: a person decides."""

    message: str
    status: int | None = None


Outcome = Done | Stopped | TryLater | Failed | Unknown


def convert_error(error: errors.ProviderError) -> Outcome:
    """Return the outcome that a provider's error means for a step."""
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
    """The number of provider calls of one run: alone, and as its share of a full batch."""

    alone: Decimal = Decimal(0)
    batched: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Preview:
    """The request that a step would send: `head` says what and where to, `document` is its body."""

    head: str
    document: Any


class Action:
    """An action of a step or a page. One instance serves all calls, so it keeps no state."""

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
        """Return (field, message) pairs for raw input that this agency's own rows show to be wrong.

        Its copies of these organisations count as its rows.
        """
        return ()

    def cautions(self, given: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Return (field, message) pairs for raw input that is allowed but may not be intended."""
        return ()

    def reads(self, data: Data) -> bool:
        """Return whether this input changes nothing, so that a test may run it for real."""
        return not (self.writes or self.effects)

    def read_key(self, data: Data) -> str | None:
        """Return the key of a read that all of a wave with the same key share; None for no sharing."""
        return None

    def run(self, call: ActionContext, data: Data) -> Data:
        """Run once with cleaned data; return the output or raise a ProviderError."""
        raise NotImplementedError

    def run_many(self, calls: Sequence[ActionContext], rows: Sequence[Data]) -> list[Outcome]:
        """Return the outcomes of a whole wave, in its order. The default loops over `run`."""
        return [self.outcome(call, data) for call, data in zip(calls, rows, strict=True)]

    def warnings(self, output: Any) -> list[str]:
        """Return what a person should know about a successful output, in the provider's own words."""
        return []

    def preview(self, call: ActionContext, data: Data) -> "Preview | Outcome | None":
        """Return what it would write, or why not, without writing; None where only the input tells."""
        return None

    def outcome(self, call: ActionContext, data: Data) -> Outcome:
        try:
            return Done(self.run(call, data))
        except errors.ProviderError as error:
            return convert_error(error)


class Trigger:
    """A trigger that can start a workflow."""

    key: ClassVar[str]  # never renamed; stored in versions
    title: ClassVar[str]
    description: ClassVar[str]
    form: ClassVar[type[forms.Form]]
    category: ClassVar[str]  # of the events it looks at
    by_hand: ClassVar[bool] = False  # needs no event to be tried or run: one of now will do
    sample: ClassVar[Data] = {}

    def matches(self, event: Event, settings: Mapping[str, Any]) -> bool:
        """Return whether this event starts a workflow with these (cleaned) settings."""
        raise NotImplementedError

    def data(self, event: Event) -> Data:
        """Return what `{{ trigger.… }}` holds: plain strings, numbers, booleans, lists and
        mappings.
        """
        raise NotImplementedError

    def address(self, connection: Connection, data: Mapping[str, Any]) -> str:
        """Return the record's address at the provider, given what `data` returned; "" if it is
        unknown.
        """
        return ""

    def in_words(self, settings: Mapping[str, Any]) -> str:
        """Return a phrase for the trigger with its settings; "" where title and fields are clear
        enough.
        """
        return ""

    def subject(self, data: Mapping[str, Any]) -> str:
        """Return what a list should call the record, such as INV-0042; "" leaves that to the steps."""
        return ""


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
        """Return the workflows that listen with these triggers: other changes need not be looked
        for.
        """
        return [found for ask in self.interests for found in ask(trigger_keys)]


registry = Registry()
