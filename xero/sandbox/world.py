"""All parts of one sandbox, built from its configuration."""

from dataclasses import dataclass, field

from aiohttp import web

from xero.sandbox.accounting import Books
from xero.sandbox.clock import Clock
from xero.sandbox.config import Config
from xero.sandbox.gateway.counters import Counters
from xero.sandbox.gateway.faults import Faults
from xero.sandbox.gateway.limits import Limits
from xero.sandbox.gateway.replays import Replays
from xero.sandbox.identity.apps import Apps
from xero.sandbox.identity.connections import Connections
from xero.sandbox.identity.grants import Grants
from xero.sandbox.identity.keys import Keys
from xero.sandbox.people import Person, visible
from xero.sandbox.storage import Storage
from xero.sandbox.webhooks.outbox import Outbox
from xero.sandbox.webhooks.sender import Sender


@dataclass
class World:
    config: Config
    storage: Storage = field(init=False)

    def __post_init__(self) -> None:
        config = self.config
        self.storage = storage = Storage(config.database)
        self.clock = Clock(storage)
        self.books = Books(storage, self.clock)
        self.books.seed(
            organisations=config.organisations, invoices=config.invoices, seed=config.seed
        )
        self.organisations = self.books.organisations
        self.apps = Apps(storage, config)
        self.keys = Keys(storage)
        self.connections = Connections(storage, self.clock)
        self.grants = Grants(storage, self.clock)
        self.limits = Limits(storage, self.clock, config)
        self.replays = Replays(storage, self.clock, config)
        self.faults = Faults()
        self.counters = Counters()
        self.sender = Sender(config)
        self.outbox = Outbox(
            self.storage, self.clock, config, self.sender, self.faults, self.connections, self.apps
        )

    def tenants_of(self, person: Person) -> list[str]:
        return visible(person, list(self.organisations))

    def disconnect(self, client_id: str, user_id: str) -> None:
        """Delete every connection of this user to this app, as a revocation does."""
        self.connections.delete(self.connections.live(client_id, user_id))

    def flush(self) -> None:
        """Save what is not worth a disk write each time."""
        self.limits.flush()
        self.outbox.deliveries.flush()


WORLD = web.AppKey("world", World)
