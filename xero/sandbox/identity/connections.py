"""The connections between Xero users, organisations and apps, as in `GET /connections`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from uuid import uuid4

from xero.sandbox.clock import Clock
from xero.sandbox.storage import Storage


@dataclass(frozen=True)
class Connection:
    """A connection.

    Times are written as Xero does, without a zone and with seven digits. A deleted connection is
    kept, because reconnecting keeps `created`.
    """

    id: str
    client_id: str
    user_id: str
    tenant_id: str
    auth_event_id: str
    created: str
    updated: str
    deleted: bool = False

    @property
    def key(self) -> str:
        return f"{self.client_id}:{self.user_id}:{self.tenant_id}"

    def as_xero(self, name: str) -> dict[str, str]:
        return {
            "id": self.id,
            "authEventId": self.auth_event_id,
            "tenantId": self.tenant_id,
            "tenantType": "ORGANISATION",
            "tenantName": name,
            "createdDateUtc": self.created,
            "updatedDateUtc": self.updated,
        }


class Connections:
    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._all = {
            key: Connection(**document) for key, document in storage.load("connections").items()
        }
        self._index()

    def _index(self) -> None:
        live = [connection for connection in self._all.values() if not connection.deleted]
        self._live = {connection.key for connection in live}
        self._tenants = Counter((connection.client_id, connection.tenant_id) for connection in live)

    def _save(self, *changed: Connection) -> None:
        self._all.update({connection.key: connection for connection in changed})
        self._storage.save_many(
            "connections", {connection.key: asdict(connection) for connection in changed}
        )
        self._index()

    def connect(
        self, client_id: str, user_id: str, tenants: Iterable[str], auth_event_id: str
    ) -> None:
        """Create or renew a connection per organisation of one consent."""
        at = _stamp(self._clock())
        self._save(
            *(self._renewed(client_id, user_id, tenant, auth_event_id, at) for tenant in tenants)
        )

    def _renewed(
        self, client_id: str, user_id: str, tenant_id: str, event: str, at: str
    ) -> Connection:
        known = self._all.get(f"{client_id}:{user_id}:{tenant_id}")
        if known is None:
            return Connection(str(uuid4()), client_id, user_id, tenant_id, event, at, at)
        id = str(uuid4()) if known.deleted else known.id
        return replace(known, id=id, auth_event_id=event, updated=at, deleted=False)

    def live(self, client_id: str | None = None, user_id: str | None = None) -> list[Connection]:
        """Return the connections that are not deleted, ordered by their random id: Xero promises no
        useful order.
        """
        found = (
            connection
            for connection in self._all.values()
            if not connection.deleted
            and client_id in (None, connection.client_id)
            and user_id in (None, connection.user_id)
        )
        return sorted(found, key=lambda connection: connection.id)

    def allows(self, client_id: str, user_id: str, tenant_id: str) -> bool:
        return f"{client_id}:{user_id}:{tenant_id}" in self._live

    def is_connected(self, client_id: str, tenant_id: str) -> bool:
        """Return True if any user has connected the organisation, which is what webhooks need."""
        return self._tenants[client_id, tenant_id] > 0

    def delete(self, connections: Iterable[Connection]) -> None:
        self._save(*(replace(connection, deleted=True) for connection in connections))


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0"
