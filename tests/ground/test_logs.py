import io
import json
import logging
from typing import Any

import jwt
import pytest
from cryptography.fernet import Fernet
from django.utils.crypto import get_random_string

from taskjuice.logs import Formatter, SecretFilter

CLIENT_SECRET = "jWkd-plain"  # short and plain: only knowing it can remove it
WEBHOOK_KEY = "9QmvL8s0Vd2yU3fPq7ZxTgB1nE5kR4hWcAoJtYiMuXw6rCzDl=="
FERNET_KEY = Fernet.generate_key().decode()
CANARIES = {
    "access token": jwt.encode({"sub": "1", "xero_userid": "2"}, "k" * 40, algorithm="HS256"),
    "refresh token": "X3kV9_aTq7Lw2-RmB8nYc5HsJ0dFgZxPe1uQiOtGvAy",
    "client secret": CLIENT_SECRET,
    "webhook key": WEBHOOK_KEY,
    "Fernet key": FERNET_KEY,
    "Fernet ciphertext": Fernet(FERNET_KEY).encrypt(b"tokens").decode(),
    "session id": get_random_string(32, "abcdefghijklmnopqrstuvwxyz")[:-2] + "7x",
}


@pytest.fixture
def lines() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(lines: io.StringIO) -> logging.Logger:
    handler = logging.StreamHandler(lines)
    handler.setFormatter(Formatter())
    handler.addFilter(SecretFilter(known=[CLIENT_SECRET, WEBHOOK_KEY, None, ""]))
    logger = logging.Logger("canaries")  # noqa: LOG001 - one of its own, apart from the tree
    logger.addHandler(handler)
    return logger


def written(lines: io.StringIO) -> dict[str, Any]:
    text = lines.getvalue()
    assert text.count("\n") == 1
    line: dict[str, Any] = json.loads(text)
    return line


@pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES.keys())
def test_secret_is_removed_from_message(
    log: logging.Logger, lines: io.StringIO, canary: str
) -> None:
    message = f"got {canary} here"
    log.info(message)
    assert written(lines)["message"] == "got [removed] here"


@pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES.keys())
def test_secret_is_removed_from_arguments(
    log: logging.Logger, lines: io.StringIO, canary: str
) -> None:
    log.info("answer %s of %r", {"refresh_token": canary}, "xero")
    assert written(lines)["message"] == "answer {'refresh_token': '[removed]'} of 'xero'"


@pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES.keys())
def test_secret_is_removed_from_tracebacks(
    log: logging.Logger, lines: io.StringIO, canary: str
) -> None:
    try:
        try:
            raise ValueError(canary)
        except ValueError as error:
            raise RuntimeError(f"refused: {canary}") from error
    except RuntimeError:
        log.exception("call failed", stack_info=True)
    line = written(lines)
    assert canary not in lines.getvalue()
    assert line["message"] == "call failed"
    assert line["exc_info"].count("[removed]") == 2
    assert line["exc_info"].endswith("RuntimeError: refused: [removed]")


@pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES.keys())
def test_secret_is_removed_from_extra_fields(
    log: logging.Logger, lines: io.StringIO, canary: str
) -> None:
    class Request:
        def __repr__(self) -> str:
            return f"<GET /callback/?x={canary}>"

    log.info("x", extra={"grant": {"list": [canary]}, "request": Request(), "plain": 7})
    line = written(lines)
    assert line["grant"] == {"list": ["[removed]"]}
    assert canary not in line["request"]
    assert line["plain"] == 7


def test_value_under_a_telling_name_is_removed(log: logging.Logger, lines: io.StringIO) -> None:
    log.info("x", extra={"form": {"password": "hunter2-hunter2", "name": "Olivia"}})
    assert written(lines)["form"] == {"password": "[removed]", "name": "Olivia"}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Authorization: Bearer abcdef123", "Authorization: Bearer [removed]"),
        ("GET /cb/?code=abc123456&state=xyz987654", "GET /cb/?code=[removed]&state=[removed]"),
        ("Cookie: __Host-session=0123456789; csrf=abcdefgh", "Cookie: [removed]; csrf=[removed]"),
        ('{"client_secret": "s3cr3t-s3cr3t"}', '{"client_secret": "[removed]"}'),
    ],
)
def test_named_secret_is_removed(
    log: logging.Logger, lines: io.StringIO, said: str, kept: str
) -> None:
    log.info(said)
    assert written(lines)["message"] == kept


@pytest.mark.parametrize(
    "said",
    [
        "tenant 3f2504e0-4f89-11d3-9a0c-0305e82c3301, sha256 " + "ab" * 32,
        "GET /northwind/harbour-cafe/connections/ took 12 ms",
        "invoice INV-0042 of Harbour Café moved to PAID",
        "/srv/taskjuice/.venv/lib/python3.11/site-packages/django/core/handlers/base.py",
    ],
)
def test_ordinary_text_stays(log: logging.Logger, lines: io.StringIO, said: str) -> None:
    log.info(said)
    assert written(lines)["message"] == said


def test_long_text_is_cut_between_words_and_keeps_both_ends(
    log: logging.Logger, lines: io.StringIO
) -> None:
    log.info(
        "GET /%s refused, password=hunter2-hunter2",
        "session-" * 4000 + " " + "token=abcdef123 " * 4000,
    )
    said = written(lines)["message"]
    assert len(said) < 20_000
    assert said.startswith("GET [")
    assert said.endswith("token=[removed]  refused, password=[removed]")
    assert "abcdef" not in said


@pytest.mark.parametrize(
    "name",
    [
        "session",
        "my-session-key",
        "x-csrf-token",
        "__Host-session",
        "API_SECRET_KEY",
        "WEBHOOK_KEYS",
    ],
)
def test_name_is_known_within_a_longer_one(
    log: logging.Logger, lines: io.StringIO, name: str
) -> None:
    log.info("set %s=hunter2-hunter2 and %s: 'hunter3-hunter3'", name, name.lower())
    assert written(lines)["message"] == f"set {name}=[removed] and {name.lower()}: '[removed]'"


def test_line_breaks_cannot_forge_a_line(log: logging.Logger, lines: io.StringIO) -> None:
    log.info("name %s", 'x\r\n{"level": "CRITICAL", "message": "forged"}')
    assert written(lines)["message"] == 'name x\r\n{"level": "CRITICAL", "message": "forged"}'


def test_line_says_when_what_and_who(log: logging.Logger, lines: io.StringIO) -> None:
    log.warning("slow")
    line = written(lines)
    assert line.pop("at").endswith("+00:00")
    assert line == {"level": "WARNING", "logger": "canaries", "message": "slow"}
