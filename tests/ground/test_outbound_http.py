"""Requests to addresses that people typed (table C5 of the reliability rules): public addresses and
nothing else.
"""

import ipaddress
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import certifi
import pytest

from taskjuice import outbound_http
from taskjuice.outbound_http import AddressRefused, RequestNotSent, ResponseLost
from tests.receiver import NAME, Receiver, answering, receiving

PUBLIC = "93.184.215.14"
REAL = socket.getaddrinfo
Names = dict[str, list[list[str]]]


class Resolver:
    """Stands in for the system's resolver: each name's answers in turn, the last one for good."""

    def __init__(self) -> None:
        self.names: Names = {}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        with suppress(ValueError):  # an address is none of its names
            ipaddress.ip_address(host)
            return REAL(host, port, *_, **__)
        self.asked.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.names[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            (families[":" in address], socket.SOCK_STREAM, 6, "", (address, port))
            for address in found
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    resolver = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a connection was tried to; none is reached."""
    tried: list[str] = []

    def connect(target: outbound_http.Target, addresses: list[str], deadline: Any) -> Any:
        tried.extend(addresses)
        raise RequestNotSent("not in this test")

    monkeypatch.setattr(outbound_http, "_connect", connect)
    return tried


REFUSED = [
    "http://127.0.0.1/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://0.0.0.0/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://[::ffff:10.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/",
    "https://100.64.0.1/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://192.0.0.8/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[64:ff9b::a00:1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://[2002:a00:1::1]/",
    "https://[2001:0:a00:1::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://localhost/",
    "https://localhost./",
    "https://db/",
    "https://localhost:5432/",
    f"https://{NAME}:5432/",
    f"https://{NAME}:6379/",
    f"https://{NAME}:22/",
    f"https://{NAME}:25/",
    f"https://{NAME}:80/",
    f"http://{NAME}/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "ftp://example.com/",
    "javascript:alert(1)",
    "//example.com/",
    "example.com",
    "",
    "https://",
    "https:///path",
    f"https://user:pass@{NAME}/",
    f"https://{NAME}@127.0.0.1/",
    f"https://127.0.0.1#@{NAME}/",
    f"https://127.0.0.1\\@{NAME}/",
    f"https://{NAME}/a%0d%0aHost:%20evil",
    f"https://{NAME}/a b",
    f"https://{NAME}/a\r\nHost: evil",
    f"https://{NAME}/\x00",
    f"https://{NAME}:99999/",
    f"https://{NAME}:port/",
    "https://аpple.com/",
    "https://exa_mple..com/",
    f"https://{'a' * 64}.com/",
    f"https://{NAME}/" + "a" * 9000,
    "https://app.taskjuice.example/",  # our own host
    "https://[broken/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_address_is_refused_before_anything_is_asked(
    url: str, names: Resolver, connected: list[str], settings: Any
) -> None:
    settings.BASE_URL = "https://app.taskjuice.example"
    with pytest.raises(AddressRefused):
        outbound_http.send_request("GET", url, headers={})
    assert connected == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["10.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["10.0.0.1", PUBLIC],
        ["::1"],
        ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "fe80::1%eth0"],
        ["64:ff9b::7f00:1"],
        ["169.254.169.254"],
    ],
    ids="+".join,
)
def test_name_with_any_private_address_is_refused(
    names: Resolver, connected: list[str], addresses: list[str]
) -> None:
    names.names[NAME] = [addresses]
    with pytest.raises(AddressRefused, match="is not a public address of the internet"):
        outbound_http.send_request("GET", f"https://{NAME}/", headers={})
    assert connected == []


def test_name_that_is_not_there_reads_like_a_private_one(
    names: Resolver, connected: list[str]
) -> None:
    names.names["private.example.com"] = [["10.0.0.1"]]
    told = []
    for host in ("private.example.com", "absent.example.com"):
        with pytest.raises(AddressRefused) as caught:
            outbound_http.send_request("GET", f"https://{host}/", headers={})
        told.append(str(caught.value).replace(host, "…"))
    assert told[0] == told[1]


def test_name_is_resolved_once_and_the_checked_address_is_connected_to(
    names: Resolver, connected: list[str]
) -> None:
    names.names[NAME] = [[PUBLIC], ["127.0.0.1"]]  # the second answer flips
    with pytest.raises(RequestNotSent):
        outbound_http.send_request("GET", f"https://{NAME}/", headers={})
    assert (connected, names.asked) == ([PUBLIC], [NAME])


def test_ipv6_only_names_are_called(names: Resolver, connected: list[str]) -> None:
    names.names[NAME] = [["2606:2800:21f:cb07:6820:80da:af6b:8b2c"]]
    with pytest.raises(RequestNotSent):
        outbound_http.send_request("GET", f"https://{NAME}/", headers={})
    assert connected == ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"]


@pytest.mark.parametrize("slow", [True, False])
def test_resolver_that_does_not_answer_is_tried_later(
    monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    def resolve(*_: Any, **__: Any) -> list[Any]:
        if slow:
            time.sleep(1)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")

    monkeypatch.setattr(outbound_http, "DNS_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(RequestNotSent, match="could not be looked up"):
        outbound_http.send_request("GET", f"https://{NAME}/", headers={})


# -- over real sockets --


@pytest.fixture
def https(
    tmp_path: Path, names: Resolver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Receiver]:
    """Answers as api.example.com on loopback, which is excepted for these tests."""
    with receiving(tmp_path) as receiver:
        names.names[NAME] = [["127.0.0.1"]]
        settings.HTTP_STEP_PRIVATE_HOSTS = [
            f"{NAME}:{receiver.port}",
            f"other.example.com:{receiver.port}",
        ]
        monkeypatch.setattr(certifi, "where", lambda: str(tmp_path / "ca.pem"))
        monkeypatch.setattr(outbound_http, "TOTAL_SECONDS", 2.0)
        yield receiver


def call(
    receiver: Receiver, method: str = "GET", path: str = "/", **given: Any
) -> outbound_http.OutboundResponse:
    headers = given.pop("headers", {})
    return outbound_http.send_request(
        method, f"https://{NAME}:{receiver.port}{path}", headers=headers, **given
    )


def test_certificate_is_checked_for_the_name(https: Receiver, names: Resolver) -> None:
    https.behave = answering(201, b'{"a": 1}')
    answer = call(https, "POST", "/a?b=ü", headers={"X-Own": "1"}, body=b"{}")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (
        201,
        b'{"a": 1}',
        "application/json",
    )
    (got,) = https.got
    assert (got.method, got.path, got.body) == ("POST", "/a?b=%C3%BC", b"{}")
    assert got.headers["Host"] == f"{NAME}:{https.port}"
    assert got.headers["X-Own"] == "1"
    names.names["other.example.com"] = [["127.0.0.1"]]
    with pytest.raises(RequestNotSent, match="The certificate of other"):
        outbound_http.send_request("GET", f"https://other.example.com:{https.port}/", headers={})
    assert len(https.got) == 1


def test_certificate_nobody_vouches_for_is_refused(
    https: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with pytest.raises((RequestNotSent, AddressRefused)):
        call(https)
    assert https.got == []


def test_redirects_are_not_followed(https: Receiver) -> None:
    https.behave = answering(302, b"", Location="http://169.254.169.254/")
    assert call(https).status == 302
    assert len(https.got) == 1


def test_proxies_of_the_environment_are_ignored(
    https: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert call(https).status == 200


def test_headers_cannot_change_where_and_how(https: Receiver) -> None:
    call(https, headers={"Host": "evil.example.com", "Connection": "keep-alive"})
    assert (https.got[0].headers["Host"], https.got[0].headers["Connection"]) == (
        f"{NAME}:{https.port}",
        "close",
    )


def endless_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(10 * 1024**3))
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


def endless_chunks(handler: BaseHTTPRequestHandler) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


@pytest.mark.parametrize("behave", [endless_body, endless_chunks])
def test_endless_answers_are_cut(https: Receiver, behave: Any) -> None:
    https.behave = behave
    answer = call(https)
    assert (answer.status, answer.is_cut, answer.body) == (200, True, b"")


def trickling_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.flush_headers()
    for number in range(100):
        handler.wfile.write(f"X-{number}: 1\r\n".encode())
        time.sleep(0.2)


def trickling_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"x")
        time.sleep(0.2)


def silence(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(4)


@pytest.mark.parametrize("behave", [trickling_headers, trickling_body, silence])
def test_answers_that_never_end_are_given_up_in_time(
    https: Receiver, behave: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    https.behave = behave
    with pytest.raises(ResponseLost, match="No whole answer within 2 seconds"):
        call(https)


def many_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    for number in range(1000):
        handler.send_header(f"X-{number}", "1")
    handler.end_headers()


def broken_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x")


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")


@pytest.mark.parametrize("behave", [many_headers, broken_off, no_http])
def test_unusable_answers_are_lost(https: Receiver, behave: Any) -> None:
    https.behave = behave
    with pytest.raises(ResponseLost):
        call(https)


def test_nobody_there_is_not_sent(https: Receiver, settings: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings.HTTP_STEP_PRIVATE_HOSTS = [f"{NAME}:{port}"]
    with pytest.raises(RequestNotSent, match=f"{NAME} cannot be reached"):
        outbound_http.send_request("POST", f"https://{NAME}:{port}/", headers={}, body=b"{}")


def test_handshake_that_never_ends_is_given_up(
    names: Resolver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_http, "TOTAL_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        names.names[NAME] = [["127.0.0.1"]]
        settings.HTTP_STEP_PRIVATE_HOSTS = [f"{NAME}:{port}"]
        with pytest.raises(RequestNotSent):
            outbound_http.send_request("GET", f"https://{NAME}:{port}/", headers={})
