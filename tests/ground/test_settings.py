"""Wrong and missing values of the environment stop the start with the variable's name and a hint."""

import os
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

import taskjuice
from tests.environment import ROOT

PRODUCTION = {
    "DOTENV": "",
    "DEBUG": "false",
    "SECRET_KEY": "pYt4-a-long-random-value-of-a-deployment-8Zw1-Qm7Lk2Vx",
    "TOKEN_KEYS": "ml061NJtYbkmV2uJhulg2WQy1QF-d3HNFJxBQvQYapw=",
    "BASE_URL": "https://app.example.com",
    "ALLOWED_HOSTS": "app.example.com",
    "DATABASE_URL": "postgres://someone:hidden-word@localhost:1/taskjuice",
    "EMAIL_URL": "smtp+tls://user:hidden-word@localhost:587",
    "XERO_CLIENT_ID": "A" * 32,
    "XERO_CLIENT_SECRET": "hidden-word-hidden-word",
    "XERO_WEBHOOK_KEYS": "hidden-word",
}
LEFT_ALONE = ("PATH", "HOME", "LANG", "TMPDIR", "VAR_DIR")


def environment(**changes: str | None) -> dict[str, str]:
    merged: dict[str, str | None] = (
        {name: os.environ.get(name) for name in LEFT_ALONE} | PRODUCTION | changes
    )
    return {name: value for name, value in merged.items() if value is not None}


def load(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> dict[str, Any]:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environment(**changes).items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "taskjuice" / "settings.py"))


WRONG: list[tuple[str, str | None, str]] = [
    ("DEBUG", "maybe", "DEBUG: use true or false"),
    ("SECRET_KEY", None, "SECRET_KEY: set at least 50 random characters"),
    ("SECRET_KEY", "", "SECRET_KEY: set at least 50 random characters"),
    ("SECRET_KEY", "hidden-word", "SECRET_KEY: set at least 50 random characters"),
    ("SECRET_KEY", "development-only" * 4, "SECRET_KEY: set at least 50 random characters"),
    ("TOKEN_KEYS", None, "TOKEN_KEYS: set at least one Fernet key"),
    ("TOKEN_KEYS", " , ", "TOKEN_KEYS: set at least one Fernet key"),
    ("TOKEN_KEYS", "hidden-word", "TOKEN_KEYS: each key must be 32 url-safe base64 bytes"),
    ("TOKEN_KEYS", PRODUCTION["TOKEN_KEYS"] + ",hidden-word", "TOKEN_KEYS: each key must be 32"),
    ("TOKEN_KEYS", "schlüssel", "TOKEN_KEYS: each key must be 32"),
    ("BASE_URL", "app.example.com", "BASE_URL: give scheme and host only"),
    ("BASE_URL", "ftp://app.example.com", "BASE_URL: give scheme and host only"),
    ("BASE_URL", "https://app.example.com/path", "BASE_URL: give scheme and host only"),
    ("BASE_URL", "https://user:hidden-word@app.example.com", "BASE_URL: give scheme and host only"),
    ("BASE_URL", "https://app.example.com:port", "BASE_URL: give scheme and host only"),
    ("BASE_URL", "https://[broken", "BASE_URL: give scheme and host only"),
    (
        "ALLOWED_HOSTS",
        None,
        "ALLOWED_HOSTS: name the host of BASE_URL, for example app.example.com",
    ),
    ("ALLOWED_HOSTS", "*", "ALLOWED_HOSTS: name the hosts"),
    (
        "ALLOWED_HOSTS",
        "other.example.com",
        "ALLOWED_HOSTS: app.example.com is the host of BASE_URL",
    ),
    ("DATABASE_URL", "hidden-word", "DATABASE_URL: use postgres://"),
    ("DATABASE_URL", "mysql://someone:hidden-word@localhost/x", "DATABASE_URL: use postgres://"),
    ("DATABASE_URL", "sqlite:///file", "DATABASE_URL: use postgres://"),
    (
        "DATABASE_URL",
        "postgres://someone:hidden-word@localhost:port/x",
        "DATABASE_URL: use postgres://",
    ),
    ("DATABASE_URL", "postgres://someone:hidden-word@localhost", "DATABASE_URL: use postgres://"),
    ("DATABASE_POOL", "maybe", "DATABASE_POOL: use true or false"),
    ("EMAIL_URL", "hidden-word", "EMAIL_URL: use smtp+tls://"),
    ("EMAIL_URL", "pigeon://loft", "EMAIL_URL: use smtp+tls://"),
    ("EMAIL_URL", "smtp://", "EMAIL_URL: use smtp+tls://"),
    ("WORKER_PROCESSES", "many", "WORKER_PROCESSES: use 1 to 64"),
    ("WORKER_PROCESSES", "0", "WORKER_PROCESSES: use 1 to 64"),
    ("TRUSTED_PROXIES", "-1", "TRUSTED_PROXIES: use how many proxies stand in front"),
    ("LOG_LEVEL", "loud", "LOG_LEVEL: use DEBUG, INFO"),
    ("XERO_CLIENT_ID", None, "XERO_CLIENT_ID: set the client id"),
    ("XERO_CLIENT_SECRET", None, "XERO_CLIENT_SECRET: set the client secret"),
    ("XERO_TIER", "gold", "XERO_TIER: use starter, core, plus, advanced, enterprise, exempt"),
    ("XERO_SIGN_IN", "maybe", "XERO_SIGN_IN: use true or false"),
    ("XERO_LOGIN_URL", "login.xero.com", "XERO_LOGIN_URL: give scheme and host only"),
    (
        "XERO_IDENTITY_URL",
        "https://identity.xero.com/connect/token",
        "XERO_IDENTITY_URL: give scheme and host",
    ),
    ("XERO_API_URL", "api", "XERO_API_URL: give scheme and host only"),
    ("XERO_SCOPES", "all", "XERO_SCOPES: use broad, granular, or a list"),
    ("XERO_SCOPES", "openid accounting.invoices", "XERO_SCOPES: use broad, granular, or a list"),
    ("XERO_DAILY_LIMIT", "lots", "XERO_DAILY_LIMIT: use 5000"),
    ("XERO_DAILY_LIMIT", "-5", "XERO_DAILY_LIMIT: use 5000"),
    ("XERO_CONNECTION_LIMIT", "0", "XERO_CONNECTION_LIMIT: use the connections of your Xero tier"),
    (
        "XERO_WEBHOOK_KEY",
        "hidden-word",
        "XERO_WEBHOOK_KEY: not a setting of TaskJuice; did you mean XERO_WEBHOOK_KEYS",
    ),
]


@pytest.mark.parametrize(
    ("name", "value", "hint"), WRONG, ids=[f"{name}={value}" for name, value, _ in WRONG]
)
def test_wrong_value_stops_the_start_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, hint: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        load(monkeypatch, **{name: value})

    assert str(caught.value).startswith(hint)
    assert "hidden-word" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_production_values_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)

    assert settings["DEBUG"] is False
    assert settings["BASE_URL"] == "https://app.example.com"
    assert settings["DATABASES"]["default"]["NAME"] == "taskjuice"
    assert settings["SESSION_COOKIE_NAME"] == "__Host-session"
    assert settings["CSRF_COOKIE_NAME"] == "__Host-csrf"
    assert (settings["EMAIL_HOST"], settings["EMAIL_PORT"], settings["EMAIL_USE_TLS"]) == (
        "localhost",
        587,
        True,
    )
    assert settings["XERO_API_URL"] == "https://api.xero.com"
    assert settings["XERO_WEBHOOK_KEYS"] == ["hidden-word"]


@pytest.mark.parametrize(
    ("value", "scope"), [("broad", "accounting.transactions"), ("granular", "accounting.payments")]
)
def test_scopes_by_name(monkeypatch: pytest.MonkeyPatch, value: str, scope: str) -> None:
    scopes = load(monkeypatch, XERO_SCOPES=value)["XERO_SCOPES"]
    assert scope in scopes
    assert "offline_access" in scopes


def test_scopes_as_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, XERO_SCOPES="offline_access, accounting.contacts")
    assert settings["XERO_SCOPES"] == ["offline_access", "accounting.contacts"]


def test_development_needs_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = dict.fromkeys(PRODUCTION.keys() - {"DATABASE_URL", "DOTENV"})
    settings = load(monkeypatch, **(nothing | {"DEBUG": "true"}))
    assert settings["BASE_URL"] == "http://localhost:8000"
    assert settings["SESSION_COOKIE_NAME"] == "session"


def manage(*words: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment(**changes), text=True, capture_output=True, check=False
    )


def test_deployment_check_is_clean_with_production_values() -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0
    assert "(xero.I001) Xero is asked for: offline_access" in done.stderr
    assert "System check identified 1 issue" in done.stderr  # that one, which only informs


def test_management_command_says_what_is_wrong_in_one_line() -> None:
    done = manage("check", SECRET_KEY=None)
    assert done.returncode == 1
    assert done.stderr == (
        "TaskJuice does not start. SECRET_KEY: set at least 50 random characters; make one with `make key`\n"
    )


@pytest.mark.parametrize(
    ("tier", "limits"),
    [(None, (50, 5000)), ("Starter", (5, 1000)), ("plus", (1000, 5000)), ("exempt", (None, 5000))],
)
def test_tier_sets_both_limits(
    monkeypatch: pytest.MonkeyPatch, tier: str | None, limits: tuple[int | None, int]
) -> None:
    found = load(monkeypatch, XERO_TIER=tier)
    assert (found["XERO_CONNECTION_LIMIT"], found["XERO_DAILY_LIMIT"]) == limits


def test_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert taskjuice.__version__ == project["version"]


def test_limits_of_their_own_win_over_the_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(
        monkeypatch, XERO_TIER="starter", XERO_CONNECTION_LIMIT="7", XERO_DAILY_LIMIT="900"
    )
    assert (found["XERO_CONNECTION_LIMIT"], found["XERO_DAILY_LIMIT"]) == (7, 900)


@pytest.mark.parametrize("through_a_file", [True, False])
def test_values_may_begin_with_a_dollar_sign(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, through_a_file: bool
) -> None:
    secret = "$PATH-" + "a-long-random-value-" * 3
    values = {"SECRET_KEY": secret, "XERO_CLIENT_SECRET": "$ecret", "XERO_WEBHOOK_KEYS": "$one,two"}
    file = tmp_path / "production.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    given: dict[str, str | None] = dict(values)
    if through_a_file:
        given = {**dict.fromkeys(values), "DOTENV": str(file)}
    found = load(monkeypatch, **given)
    assert found["SECRET_KEY"] == secret
    assert found["XERO_CLIENT_SECRET"] == "$ecret"
    assert found["XERO_WEBHOOK_KEYS"] == ["$one", "two"]


def test_folder_of_mail_is_where_its_address_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, EMAIL_URL="filemail:///folder")["EMAIL_FILE_PATH"] == "/folder"
    assert (
        load(monkeypatch, EMAIL_URL="filemail:////folder/below")["EMAIL_FILE_PATH"]
        == "/folder/below"
    )
    assert load(monkeypatch, EMAIL_URL="filemail://")["EMAIL_FILE_PATH"].endswith("/mail")
