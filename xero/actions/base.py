"""What Xero's actions share: whose budget they spend, whether the grant allows them, reading once
for equal inputs.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

from connections import errors
from connections.integrations import (
    MENDED_BY,
    Action,
    Call,
    Cost,
    Data,
    Done,
    Failed,
    Outcome,
    TryLater,
    outcome_of,
)
from connections.models import Connection
from taskjuice.queue import clock
from taskjuice.workspaces.models import Agency
from xero.actions import known
from xero.api import rate_limits, scopes
from xero.api.client import Client, client_for

IDS_A_CALL = 40  # Xero's own advice; the address would grow too long
T = TypeVar("T")


class XeroAction(Action):
    """Raises or returns what connections.errors names; a call that must wait makes the rest of its
    wave wait too.

    One that reads defines `fetch`, and `output` where each step picks its own from what was
    fetched.
    """

    cost = Cost(Decimal(1), Decimal(1))  # batched too: only equal reads are shared
    together = 1
    names: ClassVar[
        Mapping[str, known.Naming]
    ] = {}  # fields that name a record of the organisation

    def wrong_for(
        self, agency: Agency, connections: Sequence[Connection], given: Mapping[str, Any]
    ) -> Iterable[tuple[str, str]]:
        return known.wrong(connections, self.named(given))

    def named(self, given: Mapping[str, Any]) -> Iterable[known.Named]:
        """The records that raw input names as they stand."""
        return known.fixed(given, self.names)

    def outcome(self, call: Call, data: Data) -> Outcome:
        return self.run_many([call], [data])[0]

    def run_many(self, calls: Sequence[Call], rows: Sequence[Data]) -> list[Outcome]:
        refusal = self.refusal(calls[0])
        return [refusal] * len(calls) if refusal else self.run_allowed(calls, rows)

    def refusal(self, call: Call) -> Outcome | None:
        """Why the grant does not allow this. Only this action waits for a new consent, nothing else
        of the lane.
        """
        try:
            scopes.require(self, connection_of(call))
        except errors.NeedsConsent as error:
            if call.user is not None:
                return Failed(error.code, str(error))
            return TryLater(str(error), at=clock.now() + MENDED_BY, counts=False)
        return None

    def read_key(self, data: Data) -> str | None:
        return repr(data)

    def fetch(self, call: Call, data: Data) -> Data:
        """Read once for all of a wave with the same `read_key`."""
        raise NotImplementedError

    def output(self, fetched: Data, data: Data) -> Data:
        """Return one step's output of what was fetched."""
        return fetched

    def run(self, call: Call, data: Data) -> Data:
        return self.output(self.fetch(call, data), data)

    def run_allowed(self, calls: Sequence[Call], rows: Sequence[Data]) -> list[Outcome]:
        """Whatever reads the same is read once."""
        fetched: dict[str | None, Outcome] = {}
        waiting: Outcome | None = None
        for call, data in zip(calls, rows, strict=True):
            key = self.read_key(data)
            if key not in fetched:
                fetched[key] = waiting or self._fetched(call, data)
                waiting = fetched[key] if _is_tenant_wide(fetched[key]) else None
        return [self._told(fetched[self.read_key(data)], data) for data in rows]

    def _fetched(self, call: Call, data: Data) -> Outcome:
        try:
            return Done(self.fetch(call, data))
        except errors.ProviderError as error:
            return outcome_of(error)

    def _told(self, outcome: Outcome, data: Data) -> Outcome:
        return Done(self.output(outcome.output, data)) if isinstance(outcome, Done) else outcome


def connection_of(call: Call) -> Connection:
    assert call.connection is not None  # a lane and a page both have one
    return call.connection


def client(call: Call) -> Client:
    return client_for(connection_of(call), purpose=purpose(call.user is not None))


def purpose(by_person: bool) -> str:
    return rate_limits.PAGE if by_person else rate_limits.WORK


def chunks(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def given(**values: Any) -> dict[str, Any]:
    """Those of the values that say something."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def quoted(text: str) -> str:
    """A text inside a `where` of Xero's, which knows no way to write a quotation mark."""
    if '"' in text or "\\" in text:
        raise errors.Invalid(["Xero cannot search for a text with quotation marks or backslashes."])
    return f'"{text}"'


def _is_tenant_wide(outcome: Outcome) -> bool:
    return isinstance(outcome, TryLater) and outcome.tenant_wide
