"""The values of the environment, checked at start: a wrong one stops the process with a hint."""

import os
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

BROAD_SCOPES = (
    "offline_access openid profile email accounting.transactions accounting.contacts"
    " accounting.settings"
)
GRANULAR_SCOPES = (
    "offline_access openid profile email accounting.invoices accounting.payments accounting.contacts"
    " accounting.settings"
)
XERO_NAMES = frozenset(
    "XERO_CLIENT_ID XERO_CLIENT_SECRET XERO_WEBHOOK_KEYS XERO_LOGIN_URL XERO_IDENTITY_URL"
    " XERO_API_URL XERO_SCOPES XERO_TIER XERO_DAILY_LIMIT XERO_CONNECTION_LIMIT XERO_SIGN_IN".split()
)
# Xero's tiers since March 2026: connections of the app (None: as many as wanted), calls a day and
# organisation.
XERO_TIERS: dict[str, tuple[int | None, int]] = {
    "starter": (5, 1000),
    "core": (50, 5000),
    "plus": (1000, 5000),
    "advanced": (10_000, 5000),
    "enterprise": (None, 5000),
    # Outside the tiers, as an integration that an agency makes for itself may be
    "exempt": (None, 5000),
}


class Environment(environ.FileAwareEnv):  # type: ignore[misc]  # it publishes no types
    """The environment, each value as it was written.

    django-environ takes a value that begins with `$` for the name of another variable; passwords
    and keys begin as they like.
    """

    def get_value(
        self,
        var: str,
        cast: Any = None,
        default: Any = environ.Env.NOTSET,
        parse_default: bool = False,
    ) -> Any:
        value = self.ENVIRON.get(f"{self.prefix}{var}")
        if isinstance(value, str) and value.startswith("$"):
            return self.parse_value(value, cast)
        return super().get_value(var, cast, default, parse_default)


env = Environment()


def read_dotenv(path: str) -> None:
    """Read a `.env` file where there is one; the real environment wins. An empty path reads none."""
    if path and Path(path).exists():
        env.read_env(path)


def read_checked(name: str, read: Callable[[], T], hint: str) -> T:
    """Return what `read` returns; raise ImproperlyConfigured with the variable's name and a hint.

    The cause is left out on purpose: it may quote the value, and values are secrets.
    """
    try:
        return read()
    except (ImproperlyConfigured, LookupError, TypeError, ValueError):
        raise ImproperlyConfigured(f"{name}: {hint}") from None


def read_integer(name: str, default: int, hint: str, *, least: int = 1, most: int = 10**9) -> int:
    value: int = read_checked(name, lambda: env.int(name, default=default), hint)
    if not least <= value <= most:
        raise ImproperlyConfigured(f"{name}: {hint}")
    return value


def read_boolean(name: str, *, default: bool) -> bool:
    value: str = env.str(name, default=str(default)).strip().lower()
    if value not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
        raise ImproperlyConfigured(f"{name}: use true or false")
    return value in {"true", "1", "yes", "on"}


def read_list(name: str, default: Iterable[str] = ()) -> list[str]:
    """Return a comma-separated list without blanks and empty entries."""
    entries: list[str] = env.list(name, default=list(default))
    return [entry.strip() for entry in entries if entry.strip()]


def read_secret_key(debug: bool) -> str:
    development = "development-only" * 4
    value: str = env.str("SECRET_KEY", default=development if debug else "")
    if len(value) < 50 or (value == development and not debug):
        raise ImproperlyConfigured(
            "SECRET_KEY: set at least 50 random characters; make one with `make key`"
        )
    return value


def read_base_url(name: str, default: str) -> str:
    """Return an absolute http(s) URL without path and trailing slash."""
    value: str = env.str(name, default=default).rstrip("/")
    hint = f"give scheme and host only, for example {default}"
    parts = read_checked(name, lambda: urlsplit(value), hint)
    extras = parts.path or parts.query or parts.fragment or parts.username or parts.password
    if parts.scheme not in {"http", "https"} or not parts.hostname or extras or " " in value:
        raise ImproperlyConfigured(f"{name}: {hint}")
    read_checked(name, lambda: parts.port, hint)
    return value


def read_allowed_hosts(url: str, *, debug: bool) -> list[str]:
    """Return the host names this server answers to; BASE_URL's must be one of them."""
    hosts = read_list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"] if debug else [])
    name = urlsplit(url).hostname or ""
    if "*" in hosts and not debug:
        raise ImproperlyConfigured(
            "ALLOWED_HOSTS: name the hosts; `*` lets anybody forge links in our mails"
        )
    if not hosts:
        raise ImproperlyConfigured(f"ALLOWED_HOSTS: name the host of BASE_URL, for example {name}")
    if not any(host in {"*", name, f"[{name}]"} or _is_domain_of(host, name) for host in hosts):
        raise ImproperlyConfigured(
            f"ALLOWED_HOSTS: {name} is the host of BASE_URL and must be among them"
        )
    return hosts


def _is_domain_of(pattern: str, name: str) -> bool:
    return pattern.startswith(".") and (name.endswith(pattern) or name == pattern[1:])


def read_token_keys(default: list[str]) -> list[str]:
    """Return the Fernet keys: the first encrypts, all decrypt."""
    keys = read_list("TOKEN_KEYS", default)
    if not keys:
        raise ImproperlyConfigured(
            "TOKEN_KEYS: set at least one Fernet key; make one with `make key`"
        )
    hint = "each key must be 32 url-safe base64 bytes; make one with `make key`"
    read_checked("TOKEN_KEYS", lambda: [Fernet(key) for key in keys], hint)
    return keys


def start_embedded_database(folder: Path) -> str:
    """Start the embedded PostgreSQL over `folder` unless it runs already, and return its URL."""
    try:
        # Not at the top: a production install has DATABASE_URL and does without this package.
        from taskjuice import postgres
    except ModuleNotFoundError as error:
        raise ImproperlyConfigured(
            "DATABASE_URL: name your PostgreSQL, postgres://user:password@host:5432/database. The"
            " embedded one is not installed; `uv sync --locked --extra demo` installs it."
        ) from error
    return postgres.ensure_running(folder, "taskjuice")


def parse_database_url(url: str) -> dict[str, Any]:
    """Return Django's description of the database; PostgreSQL only."""
    hint = "use postgres://user:password@host:5432/database (TaskJuice runs on PostgreSQL only)"
    if not url.startswith(("postgres://", "postgresql://")):
        raise ImproperlyConfigured(f"DATABASE_URL: {hint}")
    config: dict[str, Any] = read_checked("DATABASE_URL", lambda: env.db_url_config(url), hint)
    if config.get("ENGINE") != "django.db.backends.postgresql" or not config.get("NAME"):
        raise ImproperlyConfigured(f"DATABASE_URL: {hint}")
    return config


def read_email() -> dict[str, Any]:
    hint = "use smtp+tls://user:password@host:587, filemail:///folder or consolemail://"
    config: dict[str, Any] = read_checked(
        "EMAIL_URL", lambda: env.email_url("EMAIL_URL", default="consolemail://"), hint
    )
    if config["EMAIL_BACKEND"].endswith("smtp.EmailBackend") and not config.get("EMAIL_HOST"):
        raise ImproperlyConfigured(f"EMAIL_URL: {hint}")
    if config["EMAIL_BACKEND"].endswith("filebased.EmailBackend"):
        config["EMAIL_BACKEND"] = "taskjuice.file_mail.EmailBackend"
        if config["EMAIL_FILE_PATH"]:  # django-environ takes off its first slash
            config["EMAIL_FILE_PATH"] = f"/{config['EMAIL_FILE_PATH'].lstrip('/')}"
    return config


def read_log_level() -> str:
    value: str = env.str("LOG_LEVEL", default="INFO").upper()
    if value not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ImproperlyConfigured("LOG_LEVEL: use DEBUG, INFO, WARNING, ERROR or CRITICAL")
    return value


def read_xero_app(*, debug: bool) -> tuple[str, str]:
    """Return the client id and the secret of the Xero app."""
    _refuse_misspelt()
    client_id: str = env.str("XERO_CLIENT_ID", default="").strip()
    secret: str = env.str("XERO_CLIENT_SECRET", default="").strip()
    help_text = (
        "see your app's Configuration page at developer.xero.com (README: Connect a real Xero app)"
    )
    if not client_id and (secret or not debug):
        raise ImproperlyConfigured(f"XERO_CLIENT_ID: set the client id; {help_text}")
    if not secret and (client_id or not debug):
        raise ImproperlyConfigured(f"XERO_CLIENT_SECRET: set the client secret; {help_text}")
    return client_id, secret


def read_xero_sign_in(client_id: str) -> bool:
    """Return whether people may sign in with Xero.

    The redirect URI of the sign-in must be registered with the app at Xero first.
    """
    on = read_boolean("XERO_SIGN_IN", default=False)
    if on and not client_id:
        raise ImproperlyConfigured("XERO_SIGN_IN: set XERO_CLIENT_ID and XERO_CLIENT_SECRET first")
    return on


def read_xero_tier() -> str:
    value: str = env.str("XERO_TIER", default="core").strip().lower()
    if value not in XERO_TIERS:
        raise ImproperlyConfigured(f"XERO_TIER: use {', '.join(XERO_TIERS)}")
    return value


def read_xero_connection_limit(tier: str) -> int | None:
    """Return how many organisations the app may be connected to; None where Xero sets no limit."""
    if not env.str("XERO_CONNECTION_LIMIT", default=""):
        return XERO_TIERS[tier][0]
    hint = (
        "use the connections of your Xero tier:"
        " 5 (Starter), 50 (Core), 1000 (Plus), 10000 (Advanced)"
    )
    return read_integer("XERO_CONNECTION_LIMIT", 0, hint)


def read_metrics_token() -> str:
    value: str = env.str("METRICS_TOKEN", default="")
    if value and len(value) < 20:
        raise ImproperlyConfigured(
            "METRICS_TOKEN: give at least 20 random characters, or leave it out"
        )
    return value


def read_xero_scopes() -> list[str]:
    """Return the scopes requested from Xero: `broad`, `granular`, or a list of them."""
    value: str = env.str("XERO_SCOPES", default="broad").strip()
    named = {"broad": BROAD_SCOPES, "granular": GRANULAR_SCOPES}.get(value, value)
    scopes = named.replace(",", " ").split()
    if "offline_access" not in scopes or len(scopes) < 2:
        raise ImproperlyConfigured(
            "XERO_SCOPES: use broad, granular, or a list of scopes that contains offline_access"
        )
    return scopes


def _refuse_misspelt() -> None:
    """Raise ImproperlyConfigured for a misspelt XERO_ name."""
    # It would silently mean its default, which is the real Xero.
    for name in os.environ:
        if name.startswith("XERO_") and name not in XERO_NAMES and not _is_known_elsewhere(name):
            close = get_close_matches(name, XERO_NAMES, n=1) or sorted(XERO_NAMES)
            raise ImproperlyConfigured(
                f"{name}: not a setting of TaskJuice; did you mean {close[0]}?"
            )


def _is_known_elsewhere(name: str) -> bool:
    # The sandbox's own options, and values read from a file that the variable names (`…_FILE`)
    return name.startswith("XERO_SANDBOX_") or name.removesuffix("_FILE") in XERO_NAMES
