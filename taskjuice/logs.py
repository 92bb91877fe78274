"""Logs: one JSON object a line, secrets filtered at the root."""

import logging
import re
from collections.abc import Iterable
from typing import Any

from pythonjsonlogger.json import JsonFormatter

REMOVED = "[removed]"
# How much of one text is filtered and written; a traceback's cause stands at its end, so both ends
# are kept.
LONGEST_HEAD, LONGEST_TAIL = 10_000, 6_000
# Whatever looks like a credential, wherever it stands in a message. Strangers choose the text
# (addresses, hosts, names of fields), so every pattern must be linear: a run of letters is entered
# at its first character only, and possessive quantifiers (`*+`) never give back what they took.
SECRETS = re.compile(
    r"""(?x)
    (?P<keep>(?i:
        \b(?:bearer|basic)\s++
      | (?: (?<![\w-])(?=[\w-]*?(?:session|csrf))[\w-]++
          | \b(?:(?:access|refresh|id)_token|client_secret|code_verifier|code|state|token|nonce
               |password|secret|signature|x-xero-signature|authorization|set-cookie|cookie)
          | \b(?=[A-Z_]*?(?:SECRET|KEYS?(?![A-Z_])))[A-Z_]++
        )["']?\s*+[=:]\s*+(?:b?["'])?(?:(?:bearer|basic)\s++)?
      | (?:/|%2F)(?:invitations|link|notifications(?:/|%2F)stop)(?:/|%2F)
    ))
    (?P<secret>[^\s"'&,;}\[]{6,}+)
    | (?P<jwt>(?<![\w-])(?=[\w-]*?\beyJ[\w-]{6})[\w-]++\.[\w-]{6,}+(?:\.[\w-]*+)?)
    | (?P<fernet>\bgAAAAA[\w-]{20,}+={0,2})
    # A session key: 32 small letters and digits; one that reads as plain hexadecimal is some id
    | \b(?=[a-f0-9]*+[g-z])(?=[a-z]*+[0-9])[a-z0-9]{32}\b
    # Long random text with capitals, small letters and digits: Fernet keys, refresh tokens,
    # webhook keys
    | (?<![\w/+.-])(?=[\w/+-]*[a-z])(?=[\w/+-]*[A-Z])(?=[\w/+-]*[0-9])[\w+-][\w/+-]{39,}+={0,2}
    """
)
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class SecretFilter(logging.Filter):
    """Removes secrets from the message, its arguments, extra fields and the traceback.

    `known` are this deployment's own secrets, removed wherever they stand and whatever they look
    like.
    """

    def __init__(self, known: Iterable[str | None] = ()) -> None:
        super().__init__()
        longest_first = sorted(
            (word for word in known if word and len(word) >= 6), key=len, reverse=True
        )
        self.known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = self.redact(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None  # a formatter would render it again, unfiltered
        if record.exc_text:
            record.exc_text = self.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self.redact(record.stack_info)
        for name in vars(record).keys() - STANDARD:
            setattr(record, name, self.clean(getattr(record, name)))
        return True

    def redact(self, text: str) -> str:
        """Return the text without secrets; a very long one also loses its middle."""
        text = shorten_text(text)
        if self.known is not None:
            text = self.known.sub(REMOVED, text)
        return SECRETS.sub(lambda match: f"{match['keep'] or ''}{REMOVED}", text)

    def clean(self, value: Any) -> Any:
        """Return an extra field as plain JSON values; anything else becomes its redacted text."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict):
            return {str(key): self._named(str(key), item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean(item) for item in value]
        return self.redact(str(value))

    def _named(self, name: str, value: Any) -> Any:
        """Return the value, removed where text such as `password=…` would lose it."""
        if isinstance(value, str) and self.redact(f"{name}={value}") != f"{name}={value}":
            return REMOVED
        return self.clean(value)


def shorten_text(text: str) -> str:
    """Return both ends of a long text, cut at blanks."""
    if len(text) <= LONGEST_HEAD + LONGEST_TAIL:
        return text
    # Half a secret would not be recognised as one.
    head = text[:LONGEST_HEAD].rpartition(" ")[0]
    tail = text[-LONGEST_TAIL:].partition(" ")[2]
    left_out = len(text) - len(head) - len(tail)
    return f"{head} [{left_out} characters left out] {tail}"


class Formatter(JsonFormatter):
    """`{"at": …, "level": …, "logger": …, "message": …}` and extra fields. JSON keeps a line one
    line.
    """

    def __init__(self) -> None:
        super().__init__(
            "{levelname}{name}{message}",
            style="{",
            timestamp="at",
            rename_fields={"levelname": "level", "name": "logger"},
        )
