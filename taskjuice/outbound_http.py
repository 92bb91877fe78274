"""Requests to addresses that people typed: to public addresses only, and to the very address that
was checked.

A name is resolved once, every address it has must be public, and the connection goes to a checked
one, with the certificate of the name; so a name that answers differently the next time gains
nothing. https only, no redirects, no proxy from the environment, 30 s in all, answers up to 4 MB.
HTTP_STEP_PRIVATE_HOSTS names the exceptions: hosts of one's own network, which may be http as well.
"""

import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPException
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import certifi
from django.conf import settings
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

DNS_SECONDS = 5.0
CONNECT_SECONDS = 10.0
TOTAL_SECONDS = 30.0
LARGEST_ANSWER = 4 * 1024 * 1024
CHUNK = 64 * 1024
PORTS = frozenset({443, 8443})
LONGEST_URL = 8_000
MOST_ADDRESSES = 4  # are tried

NOT_PUBLIC = "{} is not a public address of the internet, so TaskJuice does not call it."
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
NUMBER_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Beyond what Python calls not global: ranges that stand for IPv4 addresses somewhere else (NAT64,
# 6to4, Teredo, IPv4-compatible), and those of protocols
SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "::/96",
        "192.0.0.0/24",
        "192.88.99.0/24",
    )
)


class Refused(Exception):
    """This address may not be called, whoever asks; the text says why."""


class NotSent(Exception):
    """Nothing was sent: trying again can help."""


class Lost(Exception):
    """It was sent, or part of it, and no whole answer came: it may have been carried out."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads. `path` holds the query as well."""

    scheme: str
    host: str
    port: int
    path: str
    is_excepted: bool  # one of HTTP_STEP_PRIVATE_HOSTS

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: str
    headers: Mapping[str, str]  # names in small letters
    body: bytes
    is_cut: bool = False  # longer than LARGEST_ANSWER


def target_of(url: str) -> Target:
    """Raises Refused."""
    if len(url) > LONGEST_URL:
        raise Refused(f"An address has at most {LONGEST_URL:,} characters.")
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise Refused("An address holds no spaces, line breaks or backslashes.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused("This is not an address such as https://api.example.com/orders.") from error
    if "@" in parts.netloc or parts.fragment or url.endswith("#"):
        raise Refused(
            "An address holds no user name, password or #. Put credentials into a header."
        )
    if re.search(r"%0[0ad]", parts.path, re.IGNORECASE):
        raise Refused("The path of an address holds no line breaks.")
    host = _host(parts.hostname or "")
    target = Target(
        parts.scheme,
        host,
        port or (80 if parts.scheme == "http" else 443),
        quote(
            (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            safe="!$%&'()*+,/:;=?@[]~",
        ),
        _is_excepted(host, port),
    )
    _refuse_outside(target)
    return target


def send(method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
    """One exchange. Raises Refused, NotSent or Lost; none of them names a header or the query."""
    target = target_of(url)
    addresses = checked_addresses(target)
    with _Deadline() as deadline:
        connection = _connected(target, addresses, deadline)
        try:
            return _exchange(connection, deadline, method, target, headers, body)
        except (HTTPError, HTTPException, OSError) as error:
            raise Lost(deadline.why or f"{target.host} gave no usable answer.") from error
        finally:
            connection.close()


def checked_addresses(target: Target) -> list[str]:
    """Resolved once. Raises Refused where any of them is not public, NotSent where the name cannot
    be asked now.
    """
    found = _resolved(target)
    if not found or not (target.is_excepted or all(is_public(address) for address in found)):
        raise Refused(NOT_PUBLIC.format(target.host))
    return found


def is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        if found.is_site_local:
            return False
    if any(found in network for network in SPECIAL):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


def _host(name: str) -> str:
    """A name of the internet, or an IP address as it is usually written: no other spelling of a
    number.
    """
    with suppress(ValueError):
        return str(ipaddress.ip_address(name))
    labels = name.split(".")
    if not name.isascii():
        raise Refused(
            "Write the host in its ASCII form (xn--…), so that it cannot look like another one."
        )
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise Refused("This is not an address such as https://api.example.com/orders.")
    if NUMBER_LABEL.fullmatch(labels[-1]):
        raise Refused(NOT_PUBLIC.format(name))
    return name


def _is_excepted(host: str, port: int | None) -> bool:
    excepted: Sequence[str] = settings.HTTP_STEP_PRIVATE_HOSTS
    return host in excepted or f"{host}:{port}" in excepted


def _refuse_outside(target: Target) -> None:
    if target.scheme not in {"https", "http"} or (
        target.scheme == "http" and not target.is_excepted
    ):
        raise Refused("An address begins with https://.")
    if target.is_excepted:
        return
    if target.port not in PORTS:
        raise Refused(f"Port {target.port} is not called; use 443, the usual one, or 8443.")
    own = urlsplit(settings.BASE_URL).hostname
    is_inside = "." not in target.host and ":" not in target.host
    if target.host == own or is_inside or _is_private_number(target.host):
        raise Refused(NOT_PUBLIC.format(target.host))


def _is_private_number(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:  # a name
        return False


def _resolved(target: Target) -> list[str]:
    """All addresses of the name, in the system's order; none where it has none."""
    with suppress(ValueError):
        return [str(ipaddress.ip_address(target.host))]
    asked: Future[list[str]] = Future()
    threading.Thread(target=_look_up, args=(target, asked), name="dns", daemon=True).start()
    try:
        return asked.result(DNS_SECONDS)
    except TimeoutError as error:
        raise NotSent(f"The name {target.host} could not be looked up in time.") from error
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise NotSent(f"The name {target.host} could not be looked up just now.") from error
        return []


def _look_up(target: Target, asked: "Future[list[str]]") -> None:
    """In a thread of its own: the system's resolver knows no time limit."""
    try:
        rows = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        asked.set_result(list(dict.fromkeys(str(row[4][0]) for row in rows)))
    except OSError as error:
        asked.set_exception(error)
    except UnicodeError:
        asked.set_result([])


def _connected(target: Target, addresses: Sequence[str], deadline: "_Deadline") -> HTTPConnection:
    """To the first of the checked addresses that answers. Raises NotSent."""
    for address in addresses[:MOST_ADDRESSES]:
        connection = _connection(target, address)
        deadline.watch(connection)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise NotSent(f"The certificate of {target.host} is not valid for it.") from error
        except (HTTPError, OSError):
            connection.close()
            continue
        deadline.watch(connection)
        return connection
    raise NotSent(deadline.why or f"{target.host} cannot be reached.")


def _connection(target: Target, address: str) -> HTTPConnection:
    if target.scheme == "http":
        return HTTPConnection(address, target.port, timeout=CONNECT_SECONDS)
    return HTTPSConnection(
        address,
        target.port,
        timeout=CONNECT_SECONDS,
        ssl_context=_trust(certifi.where()),
        server_hostname=target.host,
    )


@cache
def _trust(bundle: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=bundle)


def _exchange(
    connection: HTTPConnection,
    deadline: "_Deadline",
    method: str,
    target: Target,
    headers: Mapping[str, str],
    body: bytes | None,
) -> Answer:
    if connection.sock is not None:
        connection.sock.settimeout(TOTAL_SECONDS)
    fixed = {"Host": target.authority, "Accept-Encoding": "identity", "Connection": "close"}
    connection.request(
        method,
        target.path,
        body=body,
        headers={**headers, **fixed},
        preload_content=False,
        decode_content=False,
    )
    response = connection.getresponse()
    content, is_cut = bytearray(), False
    while not is_cut and (chunk := response.read(CHUNK, decode_content=False)):
        content += chunk
        is_cut = len(content) > LARGEST_ANSWER
    if deadline.why:
        raise Lost(deadline.why)
    told = {name.lower(): value for name, value in response.headers.items()}
    return Answer(
        response.status, response.reason or "", told, b"" if is_cut else bytes(content), is_cut
    )


@dataclass
class _Deadline:
    """Shuts the socket when the time is over, whatever it waits for: a byte a second would outlive
    every timeout.
    """

    why: str = ""
    sockets: list[socket.socket] = field(default_factory=list)
    connection: HTTPConnection | None = None
    timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        self.timer = threading.Timer(TOTAL_SECONDS, self._cut)
        self.timer.daemon = True
        self.timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.timer is not None  # entered
        self.timer.cancel()

    def watch(self, connection: HTTPConnection) -> None:
        self.connection = connection
        if connection.sock is not None:
            self.sockets.append(connection.sock)
        if self.why:
            self._cut()

    def _cut(self) -> None:
        self.why = f"No whole answer within {TOTAL_SECONDS:.0f} seconds."
        inside_handshake = self.connection.sock if self.connection else None
        for sock in [*self.sockets, inside_handshake]:
            if sock is not None:
                with suppress(OSError):  # closed already
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
