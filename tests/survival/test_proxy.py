"""The documented proxy, run by Debian's nginx before two web nodes: each 200 is stored, no restart
shows.
"""

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import pytest
import requests

from taskjuice.demo.place import ROOT, free_port
from taskjuice.demo.running import APPLICATION, GRANIAN, Running
from tests.live import Quiet, furnish
from tests.survival.proxy import BODY_SECONDS, HOST, Proxy, head, proxied

pytestmark = pytest.mark.processes
WEBHOOKS = "/webhooks/xero/"


class WebNode:
    """A web process with static files of its own, on a port that stays."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.port = free_port(0)
        self.folder = folder
        self.environment = environment | {"VAR_DIR": str(folder)}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "granian",
            *GRANIAN,
            "--port",
            str(self.port),
            "--workers",
            "1",
        ]
        with (self.folder / "web.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, APPLICATION], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )

    def wait_until_it_answers(self) -> None:
        waiting = threading.Event()
        for _ in range(600):
            try:
                if (
                    requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=2).status_code
                    == 200
                ):
                    return
            except requests.RequestException:
                waiting.wait(0.1)
        raise AssertionError((self.folder / "web.log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(40)


class Stack:
    def __init__(self, running: Running, nodes: list[WebNode], proxy: Proxy) -> None:
        self.running, self.nodes, self.proxy = running, nodes, proxy
        self.key = running.place.secrets["XERO_WEBHOOK_KEY"].encode()

    def signed(self, entropy: str) -> tuple[bytes, str]:
        body = json.dumps({"events": [], "entropy": entropy}).encode()
        return body, base64.b64encode(hmac.digest(self.key, body, hashlib.sha256)).decode()

    def send(self, entropy: str) -> int:
        body, signature = self.signed(entropy)
        lines = (f"x-xero-signature: {signature}", f"Content-Length: {len(body)}")
        return self.proxy.ask(head("POST", WEBHOOKS, *lines), body)[0]

    def stored(self) -> set[str]:
        with psycopg.connect(self.running.environment["DATABASE_URL"]) as database:
            rows = database.execute("SELECT body FROM connections_delivery").fetchall()
        return {json.loads(bytes(body))["entropy"] for (body,) in rows}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[Stack]:
    place = furnish(tmp_path_factory.mktemp("proxy"), prepared)
    running = Running(place, Quiet())
    nodes: list[WebNode] = []
    try:
        running.finish(running.prepare())
        environment = running.environment | {"BASE_URL": f"https://{HOST}", "ALLOWED_HOSTS": HOST}
        for name in ("first", "second"):
            shutil.copytree(place.folder / "static", place.folder / name / "static")
            nodes.append(WebNode(environment, place.folder / name))
        (nodes[1].folder / "static" / "newer.0123456789ab.css").write_text("a{}")
        for node in nodes:
            node.start()
        with proxied(nodes[0].port, nodes[1].port) as proxy:
            for node in nodes:
                node.wait_until_it_answers()
            yield Stack(running, nodes, proxy)
    finally:
        for node in nodes:
            node.stop()
        running.stop()


def test_slow_body_is_given_up_and_nothing_of_it_kept(stack: Stack) -> None:
    body, signature = stack.signed("slow")
    lines = (f"x-xero-signature: {signature}", f"Content-Length: {len(body)}")
    status, _ = stack.proxy.ask(
        head("POST", WEBHOOKS, *lines), body[:20], seconds=BODY_SECONDS + 10
    )
    assert status in {0, 408}
    assert "slow" not in stack.stored()


def test_body_in_chunks_is_verified_and_kept(stack: Stack) -> None:
    body, signature = stack.signed("chunked")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:7], body[7:], b""))
    lines = (f"x-xero-signature: {signature}", "Transfer-Encoding: chunked")
    assert stack.proxy.ask(head("POST", WEBHOOKS, *lines), chunks)[0] == 200
    assert "chunked" in stack.stored()


@pytest.mark.parametrize(
    ("path", "most"), [(WEBHOOKS, 3 * 2**20), ("/accounts/login/", 11 * 2**20)]
)
def test_body_over_the_size_is_413(stack: Stack, path: str, most: int) -> None:
    assert stack.proxy.ask(head("POST", path, f"Content-Length: {most + 1}"))[0] == 413


def test_other_hosts_get_no_answer(stack: Stack) -> None:
    ask = stack.proxy.ask
    assert ask(head("GET", "/accounts/login/", host="evil.example"))[0] == 0
    assert ask(head("GET", "/accounts/login/"), name="evil.example")[0] == 0
    assert ask(head("GET", "/", host="evil.example"), plain=True)[0] == 0
    assert ask(head("GET", "/accounts/login/"))[0] == 200


def test_plain_http_leads_to_https_but_never_for_webhooks(stack: Stack) -> None:
    status, answer = stack.proxy.ask(head("GET", "/accounts/login/?next=/x/"), plain=True)
    assert status == 308
    assert f"Location: https://{HOST}/accounts/login/?next=/x/".encode() in answer
    assert stack.proxy.ask(head("POST", WEBHOOKS, "Content-Length: 0"), plain=True)[0] == 404
    assert stack.proxy.ask(head("GET", "/metrics"))[0] == 404


def test_static_files_are_compressed_and_pages_are_not(stack: Stack) -> None:
    _, page = stack.proxy.ask(head("GET", "/accounts/login/", "Accept-Encoding: gzip"))
    assert b"csrfmiddlewaretoken" in page
    assert b"content-encoding" not in page.lower()
    names = json.loads((stack.nodes[0].folder / "static" / "staticfiles.json").read_text())["paths"]
    css = next(hashed for name, hashed in names.items() if name.endswith(".css"))
    status, answer = stack.proxy.ask(head("GET", f"/static/{css}", "Accept-Encoding: gzip"))
    assert status == 200
    assert b"content-encoding: gzip" in answer.lower()


def test_file_that_one_node_alone_has_is_found(stack: Stack) -> None:
    answers = [stack.proxy.ask(head("GET", "/static/newer.0123456789ab.css"))[0] for _ in range(6)]
    assert answers == [200] * 6


def test_restart_of_both_nodes_in_turn_loses_no_webhook(stack: Stack) -> None:
    """Each answered 200 is stored; both nodes work again as soon as they answer."""
    over = threading.Event()
    acknowledged: list[str] = []
    refused: Counter[int] = Counter()
    pages: Counter[int] = Counter()

    def send(sender: int) -> None:
        number = 0
        while not over.wait(0.05):
            number += 1
            entropy = f"rolling-{sender}-{number}"
            while (status := stack.send(entropy)) != 200:
                refused[status] += 1
            acknowledged.append(entropy)
            pages[stack.proxy.ask(head("GET", "/accounts/login/"))[0]] += 1

    with ThreadPoolExecutor(3) as pool:
        senders = [pool.submit(send, number) for number in range(3)]
        try:
            for node in stack.nodes:
                node.stop()
                node.start()
                node.wait_until_it_answers()
        finally:
            over.set()
        for sender in senders:
            sender.result()
    assert len(acknowledged) > 20
    assert set(acknowledged) - stack.stored() == set()
    assert (refused, set(pages)) == (Counter(), {200})
    # nginx leaves a node that failed alone for a second (fail_timeout), and a busy machine may need
    # another.
    both, before = (
        {f"127.0.0.1:{node.port}" for node in stack.nodes},
        len(stack.proxy.nodes_that_answered(WEBHOOKS)),
    )
    answered: set[str] = set()
    until = time.monotonic() + 5
    while answered != both and time.monotonic() < until:
        assert stack.send(f"back-{uuid4()}") == 200
        answered = set(stack.proxy.nodes_that_answered(WEBHOOKS)[before:])
    assert answered == both


def test_one_node_carries_all_while_the_other_is_dead(stack: Stack) -> None:
    dead = stack.nodes[0]
    assert dead.process is not None
    for child in psutil.Process(dead.process.pid).children(recursive=True):
        child.kill()
    dead.process.kill()
    dead.process.wait(10)
    try:
        answers = Counter(stack.send(f"half-{number}") for number in range(20))
        assert answers == {200: 20}
    finally:
        dead.start()
        dead.wait_until_it_answers()
    assert {f"half-{number}" for number in range(20)} <= stack.stored()


class Echo(BaseHTTPRequestHandler):
    """Answers with the headers that came; hangs up without a word where the address says so."""

    seen: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append(self.path)
        if "hang-up" in self.path:
            self.close_connection = True
            return
        body = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def echoing() -> Iterator[tuple[Proxy, list[str]]]:
    handler = type("Handler", (Echo,), {"seen": []})
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with proxied(servers[0].server_port, servers[1].server_port) as proxy:
            yield proxy, handler.seen  # type: ignore[attr-defined]  # of the class made above
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def test_headers_about_the_client_are_written_by_the_proxy_alone(
    echoing: tuple[Proxy, list[str]],
) -> None:
    forged = [f"{name}: forged" for name in (
        "X-Forwarded-For", "X_Forwarded_For", "X-Forwarded-Proto", "X_FORWARDED_PROTO", "X-Forwarded-Host",
        "X-Forwarded-Port", "X-Real-IP", "Forwarded", "X_Xero_Signature",
    )]  # fmt: skip
    status, answer = echoing[0].ask(head("POST", "/headers/", "Content-Length: 0", *forged))
    assert status == 200
    received = Counter((name, value) for name, value in json.loads(answer.split(b"\r\n\r\n", 1)[1]))
    assert received == Counter(
        {
            ("host", HOST): 1,
            ("x-forwarded-for", "127.0.0.1"): 1,
            ("x-forwarded-proto", "https"): 1,
            ("connection", "close"): 1,
            ("content-length", "0"): 1,
            ("content-type", "application/json"): 1,
        }
    )


def test_webhook_that_a_node_dropped_goes_to_the_other_and_a_form_does_not(
    echoing: tuple[Proxy, list[str]],
) -> None:
    proxy, seen = echoing
    seen.clear()
    assert proxy.ask(head("POST", "/hang-up/", "Content-Length: 4"), b"form")[0] == 502
    assert seen == ["/hang-up/"]
    seen.clear()
    proxy.ask(head("POST", "/webhooks/hang-up/", "Content-Length: 4"), b"hook")
    assert len(seen) >= 2
