"""The folder and ports of a demo, and the environment of its processes."""

import base64
import json
import os
import secrets
import socket
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
OWNER_EMAIL = "olivia@northwind.example"


class Named(NamedTuple):
    name: str
    slug: str


AGENCY = Named("Northwind Books", "northwind")
CLIENT = Named("Harbour Café", "harbour-cafe")
WEB_PORT, SANDBOX_PORT = 8000, 9900


@dataclass(frozen=True)
class Place:
    """A folder for data, logs and secrets, and the ports of this run. `dev` turns DEBUG on."""

    folder: Path
    web_port: int
    sandbox_port: int
    dev: bool = False

    @property
    def base_url(self) -> str:
        return f"http://localhost:{self.web_port}"

    @property
    def redirect_uris(self) -> list[str]:
        """Return the addresses that Xero may send people back to, from connecting and from signing
        in.
        """
        paths = ("/connections/xero/callback/", "/accounts/oidc/xero/login/callback/")
        return [f"{self.base_url}{path}" for path in paths]

    @property
    def sandbox_url(self) -> str:
        return f"http://localhost:{self.sandbox_port}"

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def mail(self) -> Path:
        return self.folder / "mail"

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    @cached_property
    def secrets(self) -> dict[str, str]:
        """Return the secrets, made once and kept, since data of an earlier run is encrypted with
        them.

        The file is readable by its owner only.
        """
        path = self.folder / "secrets.json"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(json.dumps(_fresh_secrets(), indent=1))
        kept: dict[str, str] = json.loads(path.read_text())
        return kept

    def environment(self, database_url: str) -> dict[str, str]:
        """Return the environment of web, worker and commands, without a developer's own
        configuration.
        """
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("XERO_")},
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "taskjuice.settings",
            "DOTENV": "",
            "DEBUG": "true" if self.dev else "false",
            "VAR_DIR": str(self.folder),
            "DATABASE_URL": database_url,
            "SECRET_KEY": self.secrets["SECRET_KEY"],
            "TOKEN_KEYS": self.secrets["TOKEN_KEYS"],
            "BASE_URL": self.base_url,
            "ALLOWED_HOSTS": "localhost,127.0.0.1",
            "EMAIL_URL": f"filemail://{self.mail.absolute()}",
            "XERO_CLIENT_ID": self.secrets["XERO_CLIENT_ID"],
            "XERO_CLIENT_SECRET": self.secrets["XERO_CLIENT_SECRET"],
            "XERO_WEBHOOK_KEYS": self.secrets["XERO_WEBHOOK_KEY"],
            "XERO_SIGN_IN": "true",
            "XERO_LOGIN_URL": self.sandbox_url,
            "XERO_IDENTITY_URL": self.sandbox_url,
            "XERO_API_URL": self.sandbox_url,
        }


def free_port(wanted: int) -> int:
    """Return `wanted` if no process listens there, else a port that the system picks."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("No free port on 127.0.0.1.")


def _fresh_secrets() -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "TOKEN_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "XERO_CLIENT_ID": secrets.token_hex(16).upper(),
        "XERO_CLIENT_SECRET": secrets.token_urlsafe(32),
        "XERO_WEBHOOK_KEY": base64.b64encode(secrets.token_bytes(48)).decode(),
        "OWNER_PASSWORD": "-".join(secrets.token_hex(2) for _ in range(4)),
    }
