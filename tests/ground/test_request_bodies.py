"""Bodies as networks bring them, against the real web server: in chunks, cut off, too large, drop
by drop.
"""

import base64
import hashlib
import hmac
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import pytest
from django.db import connection

from connections.models import Delivery
from taskjuice import form_sizes
from taskjuice.request_bodies import WHOLE_SECONDS
from taskjuice.workspaces.models import User
from tests.environment import FIXED, ROOT
from tests.factories import PASSWORD
from tests.ground.test_smuggling import answers
from tests.sandbox_process import free_port
from xero.webhooks import LARGEST_DELIVERY

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

INTENT = b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "QWERTZUIOPASDFGHJKLY"}'
LARGEST = form_sizes.MOST_BYTES
DRIPPING = 40
GRANIAN = "-m granian --interface wsgi --no-ws --workers 1 --blocking-threads 10 --port".split()


@pytest.fixture(scope="module")
def port(django_db_setup: None) -> Iterator[int]:
    number = free_port()
    to = connection.get_connection_params()
    database = f"postgres://{to['user']}:@/{to['dbname']}?host={quote(to['host'], safe='')}&port={to['port']}"
    server = subprocess.Popen(
        [sys.executable, *GRANIAN, str(number), "taskjuice.wsgi:application"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 120
        while not answers(number) and time.monotonic() < until:
            time.sleep(0.1)
        yield number
    finally:
        server.terminate()
        server.wait(20)


def ask(port: int, *parts: bytes, ends: bool = False, seconds: float = 20) -> bytes:
    """What the server answers to these bytes, until it closes or has sent all that it says it will."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as line:
        for part in parts:
            line.sendall(part)
        if ends:
            line.shutdown(socket.SHUT_WR)
        received = b""
        while more := line.recv(65536):
            received += more
            head, _, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if length and len(body) >= int(length[1]):
                break
    return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def signed(body: bytes = INTENT, address: str = "/webhooks/xero/", **headers: str) -> bytes:
    """The head of a webhook with this body."""
    key = FIXED["XERO_WEBHOOK_KEYS"].encode()
    signature = base64.b64encode(hmac.digest(key, body, hashlib.sha256)).decode()
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = [f"POST {address} HTTP/1.1", "Host: localhost", f"x-xero-signature: {signature}", *lines]
    return "\r\n".join([*head, "", ""]).encode()


def in_chunks(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


@pytest.mark.parametrize("size", [1, 40, 1000])
def test_webhook_in_chunks_is_verified_and_kept_whole(port: int, size: int) -> None:
    answer = ask(port, signed(Transfer_Encoding="chunked"), in_chunks(INTENT, size))
    assert (status(answer), bytes(Delivery.objects.get().body)) == (200, INTENT)


def test_webhook_without_the_last_slash_is_taken(port: int) -> None:
    head = signed(address="/webhooks/xero", Content_Length=str(len(INTENT)))
    assert (status(ask(port, head, INTENT)), Delivery.objects.count()) == (200, 1)


def test_form_in_chunks_is_read(port: int, owner: User) -> None:
    page = ask(
        port, b"GET /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    (cookie,) = re.findall(rb"set-cookie: *(csrf=[^;]+)", page)
    (token,) = set(re.findall(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page))
    typed = {"csrfmiddlewaretoken": token.decode(), "login": owner.email, "password": PASSWORD}
    head = (
        b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Origin: http://localhost\r\nCookie: %b\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
        % cookie
    )
    answer = ask(port, head, in_chunks(urlencode(typed).encode(), 50))
    # The server hashes passwords in earnest, tests do not: what counts is that the form was read,
    # token and all.
    assert (status(answer), owner.email.encode() in answer) == (200, True)


def test_body_larger_than_is_taken_is_413_however_it_comes(port: int) -> None:
    too_large = b" " * (LARGEST + 1)
    chunks = in_chunks(too_large, 60_000).removesuffix(b"0\r\n\r\n")
    # A busy machine may need longer for so much than the server waits; it says that too, and is
    # asked again.
    answers_given = (
        status(ask(port, signed(Transfer_Encoding="chunked"), chunks)) for _ in range(3)
    )
    assert next(code for code in answers_given if code != 408) == 413
    assert status(ask(port, signed(Content_Length=str(LARGEST + 1)))) == 413
    largest = b" " * LARGEST_DELIVERY
    answers_given = (
        status(ask(port, signed(largest, Content_Length=str(len(largest))), largest))
        for _ in range(3)
    )
    assert next(code for code in answers_given if code != 408) == 200
    larger = largest + b" "  # a form may be as large, a delivery not
    assert status(ask(port, signed(larger, Content_Length=str(len(larger))), larger)) == 413


def test_body_that_ends_early_is_no_request(port: int) -> None:
    answer = ask(port, signed(Content_Length=str(len(INTENT) + 10)), INTENT, ends=True)
    assert (answer == b"" or status(answer) == 400, Delivery.objects.count()) == (True, 0)


def drip(port: int) -> tuple[int, float]:
    """Send a byte now and then; what is answered, and after how long."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=0.4) as line:
        line.sendall(signed(Content_Length="1000"))
        while time.monotonic() - began < 3 * WHOLE_SECONDS:
            line.sendall(b"x")
            try:
                return status(line.recv(65536)), time.monotonic() - began
            except TimeoutError:
                continue
    return 0, time.monotonic() - began


def test_dripping_clients_are_cut_and_hold_up_nobody(port: int) -> None:
    with ThreadPoolExecutor(DRIPPING) as pool:
        dripping = [pool.submit(drip, port) for _ in range(DRIPPING)]
        time.sleep(0.5)  # all of them are connected
        for _ in range(5):
            began = time.monotonic()
            assert answers(port)
            head = signed(Content_Length=str(len(INTENT)))
            assert status(ask(port, head, INTENT)) == 200
            assert (
                time.monotonic() - began < 4
            )  # the first second or two belong to those that just came
        ends = [one.result() for one in dripping]
    assert {code for code, _ in ends} == {408, 503}
    assert max(seconds for _, seconds in ends) < WHOLE_SECONDS + 5
    assert answers(port)


def test_client_that_sends_what_nobody_reads_stops_no_other(port: int) -> None:
    """An answer that comes before the body, as 413 does, must not wait for it while it holds the
    interpreter.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(signed(Content_Length=str(LARGEST + 1)) + b"x")
        assert status(line.recv(65536)) == 413
        assert answers(port)
