"""The environment's values, each checked at start: a wrong one stops the process with a hint."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

BROAD_SCOPES = (
    "offline_access openid profile email accounting.transactions accounting.contacts accounting.settings"
)
GRANULAR_SCOPES = (
    "offline_access openid profile email accounting.invoices accounting.payments accounting.contacts"
    " accounting.settings"
)

env = environ.FileAwareEnv()


def read_dotenv(path: str) -> None:
    """Values of a `.env` file, where there is one; the real environment wins. An empty path: none is read."""
    if path and Path(path).exists():
        env.read_env(path)


def checked(name: str, read: Callable[[], T], hint: str) -> T:
    """What `read` returns; a missing or unusable value ends the start with the variable's name and a hint."""
    try:
        return read()
    except (ImproperlyConfigured, ValueError) as error:
        raise ImproperlyConfigured(f"{name}: {hint}") from error


def base_url(name: str, default: str) -> str:
    """An absolute http(s) URL without path and trailing slash."""
    value: str = env.str(name, default=default).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query:
        raise ImproperlyConfigured(f"{name}: give scheme and host only, for example {default}")
    return value


def token_keys(default: list[str]) -> list[str]:
    """Fernet keys: the first encrypts, all decrypt."""
    keys = [str(key) for key in env.list("TOKEN_KEYS", default=default) if key]
    if not keys:
        raise ImproperlyConfigured("TOKEN_KEYS: set at least one Fernet key; make one with `make key`")
    hint = "each key must be 32 url-safe base64 bytes; make one with `make key`"
    checked("TOKEN_KEYS", lambda: [Fernet(key) for key in keys], hint)
    return keys


def xero_scopes() -> list[str]:
    """The scopes asked of Xero: `broad`, `granular`, or a list of them."""
    value: str = env.str("XERO_SCOPES", default="broad").strip()
    named = {"broad": BROAD_SCOPES, "granular": GRANULAR_SCOPES}.get(value, value)
    scopes = named.replace(",", " ").split()
    if "offline_access" not in scopes or len(scopes) < 2:
        raise ImproperlyConfigured(
            "XERO_SCOPES: use broad, granular, or a list of scopes that contains offline_access"
        )
    return scopes
