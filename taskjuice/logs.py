"""Logs: one JSON object a line, secrets filtered at the root."""

import logging
import re

from pythonjsonlogger.json import JsonFormatter

# Whatever looks like a credential, wherever it stands in a message.
SECRETS = re.compile(
    r"""(?ix)
    (?P<keep>
        \bbearer\s+ | \bbasic\s+
      | ["']?\b(?:access_token|refresh_token|id_token|client_secret|code_verifier|code|token|password|secret
            |signature|x-xero-signature|authorization|sessionid|session|csrf\w*)["']?\s*[=:]\s*["']?
    )
    (?P<secret>[^\s"'&,;}]{6,})
    | (?P<jwt>\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)
    | (?P<fernet>\bgAAAAA[\w-]{20,}={0,2})
    """
)


def redact(text: str) -> str:
    return SECRETS.sub(lambda match: f"{match['keep'] or ''}[removed]", text)


class SecretFilter(logging.Filter):
    """Takes secrets out of the message, its arguments and the traceback before anything is written."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True


class Formatter(JsonFormatter):
    def __init__(self) -> None:
        super().__init__(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "at", "levelname": "level", "name": "logger"},
        )
