"""The configuration of the sandbox: options of the command line, each also a variable
XERO_SANDBOX_<NAME>.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

MEMORY = ":memory:"
DEFAULT_WEBHOOK_KEY = "sandbox-webhook-signing-key-not-for-production"
DEFAULT_REDIRECT_URI = "http://localhost:8000/connections/xero/callback/"


@dataclass
class Config:
    """The options. Units are in the names. The fields of TUNABLE may be changed while the sandbox
    runs.
    """

    host: str = "127.0.0.1"
    port: int = 9900
    data: str = "var/sandbox"
    organisations: int = 3
    invoices: int | None = None
    seed: int = 1
    client_id: str = "5A4DB0XSANDB0XCLIENT0ID0F0TASKJ1"
    client_secret: str = "sandbox-client-secret-not-for-production"  # noqa: S105  a public demo value
    redirect_uris: tuple[str, ...] = (DEFAULT_REDIRECT_URI,)
    app_scopes: str = "both"
    bulk_connect: bool = False
    webhook_url: str = ""
    webhook_key: str = ""
    webhook_delay_ms: int = 100
    webhook_batch: int = 50
    webhook_retry_seconds: float = 900.0
    webhook_retry_for_seconds: float = 86400.0
    webhook_timeout_seconds: float = 5.0
    concurrent_limit: int = 5
    minute_limit: int = 60
    minute_seconds: int = 60
    daily_limit: int = 5000
    app_minute_limit: int = 10000
    idempotency_seconds: float = 360.0
    latency_ms: int = 0
    access_log: bool = False

    @property
    def database(self) -> Path | None:
        """Return the database file, or None to keep nothing."""
        return None if self.data == MEMORY else Path(self.data) / "sandbox.sqlite3"


TUNABLE = (
    "webhook_delay_ms webhook_batch webhook_retry_seconds webhook_retry_for_seconds webhook_timeout_seconds "
    "concurrent_limit minute_limit daily_limit app_minute_limit idempotency_seconds latency_ms"
).split()

HELP = {
    "data": f"folder of its database, or {MEMORY} to keep nothing",
    "organisations": "how many organisations to seed",
    "invoices": "invoices and bills per organisation; without it, a realistic demo",
    "client_secret": "the app's secret, or two with a comma between while one is replaced",
    "redirect_uris": "a registered redirect URI; may be given several times",
    "app_scopes": "which accounting scopes the app may ask for: apps made since 2 March 2026 are granular",
    "bulk_connect": "several organisations may be ticked in one consent",
    "webhook_key": "what deliveries are signed with; a fixed demo value unless given or changed on the page",
    "webhook_url": "delivery URL of the webhook subscription",
    "webhook_retry_seconds": "pause between retries after the first, which is at once",
    "minute_seconds": "length of the minute that minute_limit is counted in, for tests in less time",
    "idempotency_seconds": "how long an Idempotency-Key is remembered",
    "latency_ms": "time each accounting call takes; Xero needs some 100 to 400",
    "access_log": "one line per request on standard error",
}
CHOICES = {"app_scopes": ("both", "broad", "granular")}


def _environment(name: str) -> str | None:
    return os.environ.get(f"XERO_SANDBOX_{name.upper()}")


def _add(parser: argparse.ArgumentParser, name: str, default: object) -> None:
    option = "--redirect-uri" if name == "redirect_uris" else "--" + name.replace("_", "-")
    given = _environment(name)
    if isinstance(default, bool):
        on = default if given is None else given.lower() in {"1", "true", "yes"}
        parser.add_argument(
            option,
            dest=name,
            action=argparse.BooleanOptionalAction,
            default=on,
            help=HELP.get(name),
        )
    elif isinstance(default, tuple):
        parser.add_argument(option, dest=name, action="append", default=None, help=HELP.get(name))
    else:
        kind = int if default is None else type(default)
        start = default if given is None else given  # argparse converts a text default with `type`
        parser.add_argument(
            option,
            dest=name,
            type=kind,
            default=start,
            choices=CHOICES.get(name),
            help=HELP.get(name),
        )


def parse(arguments: Sequence[str] | None = None) -> Config:
    """Return the Config from the command line, the environment or the defaults, in that order."""
    parser = argparse.ArgumentParser(
        prog="python -m xero.sandbox", description="The bundled stand-in for Xero."
    )
    for field in fields(Config):
        _add(parser, field.name, field.default)
    values = vars(parser.parse_args(arguments))
    uris = values["redirect_uris"] or (_environment("redirect_uris") or DEFAULT_REDIRECT_URI).split(
        ","
    )
    return Config(**{**values, "redirect_uris": tuple(uris)})
