"""A process of the product that asks for access tokens: one line in, one line out.

in: `<unix time> <grant id> <trouble or ->`     out: `<version> <sha256 of the token>` or `error <kind>`
"""

import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import django


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    django.setup()
    from connections import errors
    from connections.oauth import grants  # these need Django to be set up

    say("ready")
    for line in sys.stdin:
        at, grant_id, trouble = line.split()
        make(trouble, grants)
        time.sleep(max(0.0, float(at) - time.time()))
        try:
            token = grants.get_token(int(grant_id))
            say(token.version, hashlib.sha256(token.text.encode()).hexdigest())
        except errors.ProviderError as error:
            say("error", type(error).__name__)


def make(trouble: str, grants: Any) -> None:
    """Put a crash or a pause into the module `grants` of this process."""
    store, ask = grants._store_refreshed, grants._request_tokens
    if trouble == "after-response":
        grants._store_refreshed = die
    elif trouble == "after-commit":
        grants._store_refreshed = lambda *given: (store(*given), die())
    elif trouble.startswith("slow:"):
        grants._request_tokens = lambda *given: slowly(
            ask, float(trouble.removeprefix("slow:")), *given
        )


def slowly(ask: Callable[..., Any], seconds: float, *given: Any) -> Any:
    tokens = ask(*given)
    time.sleep(seconds)
    return tokens


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
