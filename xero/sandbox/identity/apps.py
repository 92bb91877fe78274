"""The apps registered with the sandbox, as in Xero's developer portal."""

import hmac
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from xero.sandbox.config import Config
from xero.sandbox.storage import Storage


@dataclass(frozen=True)
class App:
    """An app. With `client_secret` None it is a PKCE app.

    While a secret is replaced, it may be two with a comma between, as at Xero. `scopes` is both,
    broad or granular.
    """

    client_id: str
    name: str
    client_secret: str | None = None
    redirect_uris: list[str] = field(default_factory=list)
    scopes: str = "both"
    bulk_connect: bool = False

    def owns_secret(self, given: str | None) -> bool:
        """Check the secret. A PKCE app has none, and must not send one."""
        if self.client_secret is None or given is None:
            return self.client_secret is given
        secrets = self.client_secret.split(",")
        return any(hmac.compare_digest(secret.encode(), given.encode()) for secret in secrets)


class Apps:
    """The apps by client id.

    The first one is that of the command line; the webhook subscription belongs to it.
    """

    def __init__(self, storage: Storage, config: Config) -> None:
        self._storage = storage
        self.by_id = {id: App(**document) for id, document in storage.load("apps").items()}
        self.main_id = config.client_id
        self._register(config)

    def _register(self, config: Config) -> None:
        """Save the main app. Options of the command line win; those left at their default keep what
        the page set.
        """
        main = self._known(config.client_id, "TaskJuice", config)
        changes: dict[str, Any] = {"client_secret": config.client_secret}
        if config.app_scopes != Config.app_scopes:
            changes["scopes"] = config.app_scopes
        if config.bulk_connect:
            changes["bulk_connect"] = True
        self.save(replace(main, **changes))
        self.save(self._known(f"{config.client_id}-PKCE", "TaskJuice desktop (PKCE)", config))

    def _known(self, client_id: str, name: str, config: Config) -> App:
        app = self.by_id.get(client_id) or App(client_id, name)
        uris = list(dict.fromkeys([*config.redirect_uris, *app.redirect_uris]))
        return replace(app, redirect_uris=uris)

    @property
    def main(self) -> App:
        return self.by_id[self.main_id]

    def save(self, app: App) -> None:
        self.by_id[app.client_id] = app
        self._storage.save("apps", app.client_id, asdict(app))

    def change(self, client_id: str, changes: dict[str, Any]) -> App:
        """Change an app, or register a new one if the id is unknown.

        Raises TypeError for a field that apps do not have.
        """
        known = self.by_id.get(client_id)
        app = (
            replace(known, **changes)
            if known
            else App(client_id=client_id, **{"name": client_id, **changes})
        )
        self.save(app)
        return app
