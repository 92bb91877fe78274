"""What a provider is to the rest: how consent is asked for, tokens are kept alive and tenants are
named.

An integration adds its provider in `ready()`; so does whoever wants to be asked or told about
connections.
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
    """What a token endpoint gave. Never shown, never logged: its repr holds no token."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int  # seconds
    scopes: tuple[str, ...] = ()  # empty: the provider did not say


@dataclass(frozen=True, slots=True)
class Consented:
    """A finished consent: the tokens and whose they are. `event_id` names this very consent."""

    tokens: TokenSet
    user_id: str
    user_name: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as the provider lists it. `id` is the provider's id of the connection, not of the
    tenant.
    """

    id: UUID
    tenant_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a tenant's limits, and until when and why nothing is sent to it at all."""

    minute_left: int
    minute_limit: int
    day_left: int
    day_limit: int
    parked_until: datetime | None = None
    why: str = ""  # minute, day, concurrent, app


class ConsentFailed(Exception):
    """The consent brought nothing usable. `code` says what the page should tell: see
    templates/connections.

    `consented`: what it brought all the same, to be given back.
    """

    def __init__(self, code: str, message: str, consented: Consented | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.consented = consented


class Provider:
    """How one service is connected. Methods that call out raise connections.errors, nothing else."""

    key: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]

    @property
    def app_id(self) -> str:
        """Our OAuth client id there; empty when this deployment has not been given one."""
        raise NotImplementedError

    @property
    def scopes(self) -> list[str]:
        """What is asked for in a consent."""
        raise NotImplementedError

    @property
    def tier(self) -> str:
        """What the provider calls our app's plan, which sets the limits; empty where it has none."""
        return ""

    @property
    def scope_advice(self) -> str:
        """What whoever sets up the app should know about the scopes asked for; empty where there is
        nothing.
        """
        return ""

    @property
    def unreturned_advice(self) -> str:
        """What to look at when a person went to give consent and did not come back."""
        return ""

    @property
    def connection_limit(self) -> int | None:
        """How many tenants our app may be connected to; None where there is no limit."""
        raise NotImplementedError

    @property
    def daily_limit(self) -> int:
        """Calls a day and tenant."""
        raise NotImplementedError

    def left(self, tenant_ids: Collection[UUID]) -> Mapping[UUID, Left]:
        """What is left for these tenants, as far as is known; those never called are missing. One
        query.
        """
        raise NotImplementedError

    def authorise_url(self, *, state: str, nonce: str, verifier: str) -> str:
        raise NotImplementedError

    def exchange(self, *, code: str, nonce: str, verifier: str) -> Consented:
        """Trade the code in. Raises ConsentFailed, or RetryLater when the provider did not answer."""
        raise NotImplementedError

    def refresh(self, refresh_token: str) -> TokenSet:
        """Raises NeedsConsent when the token is refused, RetryLater for anything that may pass."""
        raise NotImplementedError

    def revoke(self, refresh_token: str) -> None:
        """End the person's consent to our app there, with every tenant under it."""
        raise NotImplementedError

    def tenants(self, access_token: str, event_id: str = "") -> list[Tenant]:
        """The tenants under a token; with `event_id` those of that consent only."""
        raise NotImplementedError

    def remove(self, access_token: str, connection_id: UUID) -> None:
        """End the provider's connection to one tenant; one that is gone already is fine."""
        raise NotImplementedError

    def catch_up(self, connection_ids: Sequence[int], since: datetime) -> int:
        """Have these read for changes since then that no webhook told of; how many will be."""
        raise NotImplementedError

    def describe(self, connection: Connection) -> dict[str, Any]:
        """The connection's tenant, asked live: its `name`, and what Connection.details holds."""
        raise NotImplementedError


class Providers:
    """The providers, and who wants to know about connections."""

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
        """`names` returns, for connection ids, the names of the live workflows that each one feeds."""
        self._workflow_names.append(names)

    def when_usable(self, listener: Listener) -> None:
        """`listener` is called, inside the transaction, for a connection that begins or resumes to
        work.
        """
        self._listeners.append(listener)

    def tell_freshness(self, freshnesses: Freshnesses) -> None:
        """`freshnesses` returns, for connection ids, how fresh the local copy is of those that have
        one.
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

    def left(self, connections: Sequence[Connection]) -> dict[int, Left]:
        """By connection id; those whose tenant was never called are missing. One query per
        provider.
        """
        found: dict[int, Left] = {}
        for key in {one.provider for one in connections}:
            mine = [one for one in connections if one.provider == key]
            left = self[key].left([one.tenant_id for one in mine])
            found |= {one.pk: left[one.tenant_id] for one in mine if one.tenant_id in left}
        return found

    def usable(self, connection: Connection) -> None:
        for listener in self._listeners:
            listener(connection)


providers = Providers()
