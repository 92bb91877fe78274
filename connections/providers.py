"""The interface of a provider: asking for consent, keeping tokens alive, listing tenants.

An integration adds its provider in `ready()`, and so does each app that follows connections or
reports on them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from connections.freshness import Freshness
from connections.models import Connection

WorkflowNames = Callable[[Sequence[int]], Mapping[int, list[str]]]
Listener = Callable[[Connection], None]
Freshnesses = Callable[[Sequence[int]], Mapping[int, Freshness]]


@dataclass(frozen=True, slots=True)
class TokenSet:
    """The answer of a token endpoint. Never shown or logged: its repr holds no token."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int  # seconds
    scopes: tuple[str, ...] = ()  # empty: the provider did not say


@dataclass(frozen=True, slots=True)
class ConsentResult:
    """A finished consent: the tokens and whose they are. `event_id` identifies this very consent."""

    tokens: TokenSet
    user_id: str
    user_name: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as the provider lists it. `id` is the provider's id of the connection to the tenant."""

    id: UUID
    tenant_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class RemainingCalls:
    """The calls left within a tenant's limits, and until when and why nothing is sent to it at all."""

    minute_left: int
    minute_limit: int
    day_left: int
    day_limit: int
    parked_until: datetime | None = None
    why: str = ""  # minute, day, concurrent, app


class ConsentFailed(Exception):
    """The consent gave nothing usable. `code` picks the text of the page (templates/connections).

    `consented` is what it granted all the same, to be given back.
    """

    def __init__(self, code: str, message: str, consented: ConsentResult | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.consented = consented


class Provider:
    """One service that can be connected. Methods that call it raise only connections.errors."""

    key: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]

    @property
    def app_id(self) -> str:
        """Return our OAuth client id there; empty when this deployment has none."""
        raise NotImplementedError

    @property
    def scopes(self) -> list[str]:
        """Return the scopes that a consent asks for."""
        raise NotImplementedError

    @property
    def tier(self) -> str:
        """Return the provider's name for our app's plan, which sets the limits; empty where it has
        none.
        """
        return ""

    @property
    def scope_advice(self) -> str:
        """Return advice about the scopes for the person who sets up the app; empty where there is
        none.
        """
        return ""

    @property
    def unreturned_advice(self) -> str:
        """Return advice for a person who went to give consent and did not come back."""
        return ""

    @property
    def connection_limit(self) -> int | None:
        """Return how many tenants our app may be connected to; None where there is no limit."""
        raise NotImplementedError

    @property
    def daily_limit(self) -> int:
        """Return the number of calls allowed per tenant and day."""
        raise NotImplementedError

    def left(self, tenant_ids: Collection[UUID]) -> Mapping[UUID, RemainingCalls]:
        """Return the remaining calls by tenant id, in one query. Tenants never called are missing."""
        raise NotImplementedError

    def authorise_url(self, *, state: str, nonce: str, verifier: str) -> str:
        raise NotImplementedError

    def exchange(self, *, code: str, nonce: str, verifier: str) -> ConsentResult:
        """Exchange the code. Raises ConsentFailed, or RetryLater when the provider did not answer."""
        raise NotImplementedError

    def refresh(self, refresh_token: str) -> TokenSet:
        """Refresh the tokens. Raises NeedsConsent when refused, RetryLater for anything that may
        pass.
        """
        raise NotImplementedError

    def revoke(self, refresh_token: str) -> None:
        """Revoke the person's consent to our app at the provider, with every tenant under it."""
        raise NotImplementedError

    def tenants(self, access_token: str, event_id: str = "") -> list[Tenant]:
        """List the tenants under a token; with `event_id` only those of that consent."""
        raise NotImplementedError

    def remove(self, access_token: str, connection_id: UUID) -> None:
        """Remove the provider's connection to one tenant. It is no error if there is none."""
        raise NotImplementedError

    def catch_up(self, connection_ids: Sequence[int], since: datetime) -> int:
        """Have these connections read for changes that no webhook reported; return how many will
        be.
        """
        raise NotImplementedError

    def describe(self, connection: Connection) -> dict[str, Any]:
        """Ask the provider for the connection's tenant: its `name`, and the rest of
        Connection.details.
        """
        raise NotImplementedError


class Providers:
    """The providers, and the sources and listeners that other apps add."""

    def __init__(self) -> None:
        self.by_key: dict[str, Provider] = {}
        self._workflow_names: list[WorkflowNames] = []
        self._listeners: list[Listener] = []
        self._freshnesses: list[Freshnesses] = []

    def add(self, provider: Provider) -> None:
        self.by_key[provider.key] = provider

    def __getitem__(self, key: str) -> Provider:
        return self.by_key[key]

    def tell_workflows(self, names: WorkflowNames) -> None:
        """Add a source of the names of the live workflows that each connection feeds, by connection
        id.
        """
        self._workflow_names.append(names)

    def when_usable(self, listener: Listener) -> None:
        """Call `listener` inside the transaction in which a connection begins or resumes to work."""
        self._listeners.append(listener)

    def tell_freshness(self, freshnesses: Freshnesses) -> None:
        """Add a source of the freshness of local copies, by connection id; those without one are
        missing.
        """
        self._freshnesses.append(freshnesses)

    def freshness(self, connection_ids: Sequence[int]) -> dict[int, Freshness]:
        return {id: one for tell in self._freshnesses for id, one in tell(connection_ids).items()}

    def workflows_using(self, connection_ids: Sequence[int]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {id: [] for id in connection_ids}
        for names in self._workflow_names:
            for id, titles in names(connection_ids).items():
                found[id].extend(titles)
        return found

    def left(self, connections: Sequence[Connection]) -> dict[int, RemainingCalls]:
        """Return the remaining calls by connection id, in one query per provider.

        Connections whose tenant was never called are missing.
        """
        found: dict[int, RemainingCalls] = {}
        for key in {one.provider for one in connections}:
            mine = [one for one in connections if one.provider == key]
            left = self[key].left([one.tenant_id for one in mine])
            found |= {one.pk: left[one.tenant_id] for one in mine if one.tenant_id in left}
        return found

    def usable(self, connection: Connection) -> None:
        for listener in self._listeners:
            listener(connection)


providers = Providers()
