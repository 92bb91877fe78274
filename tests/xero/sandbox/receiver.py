"""A webhook receiver that answers as it is told and remembers what came."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

import simplejson

from tests.sandbox_process import SandboxProcess


@dataclass(frozen=True)
class Received:
    body: bytes
    headers: dict[str, str]
    valid: bool

    @property
    def json(self) -> dict[str, Any]:
        return dict(simplejson.loads(self.body))


@dataclass
class Answer:
    """How the receiver answers; `wrong` to a bad signature."""

    right: int = 200
    wrong: int = 401
    body: bytes = b""
    cookie: bool = False
    delay: float = 0


@dataclass
class Receiver:
    key: str = SandboxProcess.webhook_key
    answer: Answer = field(default_factory=Answer)
    received: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.take(self)

            def log_message(self, *args: Any) -> None:
                """Tests read `received` instead."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/xero/"
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        right = base64.b64encode(hmac.digest(self.key.encode(), body, hashlib.sha256)).decode()
        valid = handler.headers["x-xero-signature"] == right
        self.received.append(
            Received(body, {k.lower(): v for k, v in handler.headers.items()}, valid)
        )
        time.sleep(self.answer.delay)
        handler.send_response(self.answer.right if valid else self.answer.wrong)
        handler.send_header("Content-Length", str(len(self.answer.body)))
        if self.answer.cookie:
            handler.send_header("Set-Cookie", "a=b")
        handler.end_headers()
        handler.wfile.write(self.answer.body)

    def events(self) -> list[dict[str, Any]]:
        """Of deliveries with a right signature, in the order of arrival."""
        return [event for each in self.received if each.valid for event in each.json["events"]]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """The first true value of `condition`, or AssertionError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")
