"""The base of Xero's actions: rate limits by purpose, consent checks, and one read for equal
inputs.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

from connections import errors
from connections.integrations import (
    MENDED_BY,
    Action,
    ActionContext,
    Cost,
    Data,
    Done,
    Failed,
    Outcome,
    TryLater,
    convert_error,
)
from connections.models import Connection
from taskjuice.queue import clock
from taskjuice.workspaces.models import Agency
from xero.actions import reference_checks
from xero.api import rate_limits, scopes
from xero.api.client import XeroClient, client_for

IDS_A_CALL = 40  # Xero's own advice; the address would grow too long
T = TypeVar("T")


class XeroAction(Action):
    """The base of every action at Xero.

    It raises or returns the errors of connections.errors; a call that must wait makes the later
    ones of its wave wait too. An action that reads defines `fetch`, and `output` where each step
    picks its own part of what was fetched.
    """

    cost = Cost(Decimal(1), Decimal(1))  # batched too: only equal reads are shared
    together = 1
    names: ClassVar[
        Mapping[str, reference_checks.Naming]
    ] = {}  # fields that name a record of the organisation

    def wrong_for(
        self, agency: Agency, connections: Sequence[Connection], given: Mapping[str, Any]
    ) -> Iterable[tuple[str, str]]:
        return reference_checks.list_problems(connections, self.named(given))

    def named(self, given: Mapping[str, Any]) -> Iterable[reference_checks.NamedRecord]:
        """List the records that raw input names outright."""
        return reference_checks.list_named_records(given, self.names)

    def outcome(self, call: ActionContext, data: Data) -> Outcome:
        return self.run_many([call], [data])[0]

    def run_many(self, calls: Sequence[ActionContext], rows: Sequence[Data]) -> list[Outcome]:
        refusal = self.refusal(calls[0])
        return [refusal] * len(calls) if refusal else self.run_allowed(calls, rows)

    def refusal(self, call: ActionContext) -> Outcome | None:
        """Return the outcome where the grant does not allow this action; None where it does."""
        try:
            scopes.require_scopes(self, connection_of(call))
        except errors.NeedsConsent as error:
            if call.user is not None:
                return Failed(error.code, str(error))
            return TryLater(str(error), at=clock.now() + MENDED_BY, counts=False)
        return None

    def read_key(self, data: Data) -> str | None:
        return repr(data)

    def fetch(self, call: ActionContext, data: Data) -> Data:
        """Read the data once for all steps of a wave with the same `read_key`."""
        raise NotImplementedError

    def output(self, fetched: Data, data: Data) -> Data:
        """Return one step's output of what was fetched."""
        return fetched

    def run(self, call: ActionContext, data: Data) -> Data:
        return self.output(self.fetch(call, data), data)

    def run_allowed(self, calls: Sequence[ActionContext], rows: Sequence[Data]) -> list[Outcome]:
        """Run the steps, reading only once for those with the same `read_key`."""
        fetched: dict[str | None, Outcome] = {}
        waiting: Outcome | None = None
        for call, data in zip(calls, rows, strict=True):
            key = self.read_key(data)
            if key not in fetched:
                fetched[key] = waiting or self._try_fetch(call, data)
                waiting = fetched[key] if _is_tenant_wide(fetched[key]) else None
        return [self._finish(fetched[self.read_key(data)], data) for data in rows]

    def _try_fetch(self, call: ActionContext, data: Data) -> Outcome:
        try:
            return Done(self.fetch(call, data))
        except errors.ProviderError as error:
            return convert_error(error)

    def _finish(self, outcome: Outcome, data: Data) -> Outcome:
        return Done(self.output(outcome.output, data)) if isinstance(outcome, Done) else outcome


def connection_of(call: ActionContext) -> Connection:
    assert call.connection is not None  # a lane and a page both have one
    return call.connection


def client_of(call: ActionContext) -> XeroClient:
    return client_for(connection_of(call), purpose=purpose_of(call.user is not None))


def purpose_of(by_person: bool) -> str:
    return rate_limits.PAGE if by_person else rate_limits.WORK


def split_chunks(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def without_empty(**values: Any) -> dict[str, Any]:
    """Return the values that are not empty."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def quote_text(text: str) -> str:
    """Quote a text for a `where` of Xero's, which has no way to escape a quotation mark.

    Raises errors.Invalid for a text that cannot be quoted.
    """
    if '"' in text or "\\" in text:
        raise errors.Invalid(["Xero cannot search for a text with quotation marks or backslashes."])
    return f'"{text}"'


def _is_tenant_wide(outcome: Outcome) -> bool:
    return isinstance(outcome, TryLater) and outcome.tenant_wide
