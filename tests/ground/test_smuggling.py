"""Requests that two servers could read differently, or that cost more than they should, against the
real web server.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.environment import ROOT
from tests.sandbox_process import free_port

pytestmark = pytest.mark.processes
LENGTHS = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    "two lengths": b"Content-Length: 4\r\nContent-Length: 5\r\n",
    "odd encoding": b"Transfer-Encoding: xchunked\r\n",
    "blank before colon": b"Content-Length : 4\r\n",
    "length with a sign": b"Content-Length: +4\r\n",
}
SMUGGLED = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Smuggled: yes\r\n\r\n"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    number = free_port()
    command = "granian --interface wsgi --no-ws --workers 1 --port".split()
    server = subprocess.Popen(
        [sys.executable, "-m", *command, str(number), "taskjuice.wsgi:application"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": "postgres://nobody@localhost:1/nothing"},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while not answers(number) and time.monotonic() < until:
            time.sleep(0.1)
        yield number
    finally:
        server.terminate()
        server.wait(20)


def answers(number: int) -> bool:
    try:
        return b"200 OK" in sent(
            number, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
    except OSError:
        return False


def sent(number: int, request: bytes) -> bytes:
    """All that comes back until the server closes, or is silent for two seconds."""
    received = b""
    with socket.create_connection(("127.0.0.1", number), timeout=2) as line:
        line.sendall(request)
        try:
            while more := line.recv(65536):
                received += more
        except TimeoutError:
            pass
    return received


@pytest.mark.parametrize("headers", LENGTHS.values(), ids=LENGTHS.keys())
def test_request_hidden_behind_two_lengths_is_not_answered(port: int, headers: bytes) -> None:
    answer = sent(
        port, b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n" + SMUGGLED
    )
    assert b"200 OK" not in answer  # the request hidden in the body is never answered
    assert answer.count(b"HTTP/1.1 ") <= 1  # and the connection ends after what came before it


def test_address_of_a_stranger_does_not_hold_the_process(port: int) -> None:
    """Before sign-in, and without a token: what is refused is logged with its address, through the
    filter.
    """

    def seconds(piece: str) -> float:
        path = "/" + piece * (7_000 // len(piece)) + "/notifications/read/"
        began = time.monotonic()
        line = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        assert b"HTTP/1.1 403" in sent(port, line.encode())
        return time.monotonic() - began

    plain = min(seconds("harbour-") for _ in range(3))
    assert min(seconds("session-") for _ in range(3)) < plain * 10
