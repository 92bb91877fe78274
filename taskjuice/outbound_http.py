"""HTTP requests to addresses that people typed: to public addresses only.

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
MOST_ADDRESSES = 4  # that are tried

NOT_PUBLIC = "{} is not a public address of the internet, so TaskJuice does not call it."
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
NUMBER_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Python calls these global: ranges that stand for IPv4 addresses somewhere else (NAT64, 6to4,
# Teredo, IPv4-compatible), and those of protocols.
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


class AddressRefused(Exception):
    """This address may never be called; the text says why."""


class RequestNotSent(Exception):
    """Nothing was sent: trying again can help."""


class ResponseLost(Exception):
    """The request was sent, or part of it, and no whole answer came: it may have been carried out."""


@dataclass(frozen=True, slots=True)
class Target:
    """The destination of a URL. `path` holds the query as well."""

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
class OutboundResponse:
    status: int
    reason: str
    headers: Mapping[str, str]  # names in small letters
    body: bytes
    is_cut: bool = False  # longer than LARGEST_ANSWER


def parse_target(url: str) -> Target:
    """Return the destination of a URL. Raises AddressRefused."""
    if len(url) > LONGEST_URL:
        raise AddressRefused(f"An address has at most {LONGEST_URL:,} characters.")
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise AddressRefused("An address holds no spaces, line breaks or backslashes.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused(
            "This is not an address such as https://api.example.com/orders."
        ) from error
    if "@" in parts.netloc or parts.fragment or url.endswith("#"):
        raise AddressRefused(
            "An address holds no user name, password or #. Put credentials into a header."
        )
    if re.search(r"%0[0ad]", parts.path, re.IGNORECASE):
        raise AddressRefused("The path of an address holds no line breaks.")
    host = _parse_host(parts.hostname or "")
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


def send_request(
    method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None
) -> OutboundResponse:
    """Send one request and return the answer.

    Raises AddressRefused, RequestNotSent or ResponseLost; none of them names a header or the query.
    """
    target = parse_target(url)
    addresses = resolve_public_addresses(target)
    with _Deadline() as deadline:
        connection = _connect(target, addresses, deadline)
        try:
            return _exchange(connection, deadline, method, target, headers, body)
        except (HTTPError, HTTPException, OSError) as error:
            raise ResponseLost(deadline.why or f"{target.host} gave no usable answer.") from error
        finally:
            connection.close()


def resolve_public_addresses(target: Target) -> list[str]:
    """Resolve the name once and return its addresses.

    Raises AddressRefused where any of them is not public, RequestNotSent where the name cannot be
    looked up now.
    """
    addresses = _resolve(target)
    if not addresses or not (
        target.is_excepted or all(is_public(address) for address in addresses)
    ):
        raise AddressRefused(NOT_PUBLIC.format(target.host))
    return addresses


def is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip.is_site_local:
            return False
    if any(ip in network for network in SPECIAL):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _parse_host(name: str) -> str:
    """Return the host name, or the IP address in its usual spelling. Raises AddressRefused."""
    # Other spellings of a number (0x7f.1, 017700000001) are refused: resolvers read them differently.
    with suppress(ValueError):
        return str(ipaddress.ip_address(name))
    labels = name.split(".")
    if not name.isascii():
        raise AddressRefused(
            "Write the host in its ASCII form (xn--…), so that it cannot look like another one."
        )
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("This is not an address such as https://api.example.com/orders.")
    if NUMBER_LABEL.fullmatch(labels[-1]):
        raise AddressRefused(NOT_PUBLIC.format(name))
    return name


def _is_excepted(host: str, port: int | None) -> bool:
    excepted: Sequence[str] = settings.HTTP_STEP_PRIVATE_HOSTS
    return host in excepted or f"{host}:{port}" in excepted


def _refuse_outside(target: Target) -> None:
    if target.scheme not in {"https", "http"} or (
        target.scheme == "http" and not target.is_excepted
    ):
        raise AddressRefused("An address begins with https://.")
    if target.is_excepted:
        return
    if target.port not in PORTS:
        raise AddressRefused(f"Port {target.port} is not called; use 443, the usual one, or 8443.")
    own = urlsplit(settings.BASE_URL).hostname
    is_inside = "." not in target.host and ":" not in target.host
    if target.host == own or is_inside or _is_private_number(target.host):
        raise AddressRefused(NOT_PUBLIC.format(target.host))


def _is_private_number(host: str) -> bool:
    try:
        return not is_public(host)
    except ValueError:  # a name
        return False


def _resolve(target: Target) -> list[str]:
    """Return all addresses of the name, in the system's order; none where it has none."""
    with suppress(ValueError):
        return [str(ipaddress.ip_address(target.host))]
    lookup: Future[list[str]] = Future()
    threading.Thread(target=_look_up, args=(target, lookup), name="dns", daemon=True).start()
    try:
        return lookup.result(DNS_SECONDS)
    except TimeoutError as error:
        raise RequestNotSent(f"The name {target.host} could not be looked up in time.") from error
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise RequestNotSent(
                f"The name {target.host} could not be looked up just now."
            ) from error
        return []


def _look_up(target: Target, lookup: "Future[list[str]]") -> None:
    """Look up the name, in a thread of its own: the system's resolver knows no time limit."""
    try:
        rows = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        lookup.set_result(list(dict.fromkeys(str(row[4][0]) for row in rows)))
    except OSError as error:
        lookup.set_exception(error)
    except UnicodeError:
        lookup.set_result([])


def _connect(target: Target, addresses: Sequence[str], deadline: "_Deadline") -> HTTPConnection:
    """Return a connection to the first checked address that answers. Raises RequestNotSent."""
    for address in addresses[:MOST_ADDRESSES]:
        connection = _open_connection(target, address)
        deadline.watch(connection)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise RequestNotSent(
                f"The certificate of {target.host} is not valid for it."
            ) from error
        except (HTTPError, OSError):
            connection.close()
            continue
        deadline.watch(connection)
        return connection
    raise RequestNotSent(deadline.why or f"{target.host} cannot be reached.")


def _open_connection(target: Target, address: str) -> HTTPConnection:
    if target.scheme == "http":
        return HTTPConnection(address, target.port, timeout=CONNECT_SECONDS)
    return HTTPSConnection(
        address,
        target.port,
        timeout=CONNECT_SECONDS,
        ssl_context=_load_trust(certifi.where()),
        server_hostname=target.host,
    )


@cache
def _load_trust(bundle: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=bundle)


def _exchange(
    connection: HTTPConnection,
    deadline: "_Deadline",
    method: str,
    target: Target,
    headers: Mapping[str, str],
    body: bytes | None,
) -> OutboundResponse:
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
        raise ResponseLost(deadline.why)
    response_headers = {name.lower(): value for name, value in response.headers.items()}
    return OutboundResponse(
        response.status,
        response.reason or "",
        response_headers,
        b"" if is_cut else bytes(content),
        is_cut,
    )


@dataclass
class _Deadline:
    """A timer that shuts the socket when the time is over."""

    # A server that sends a byte a second would outlive every timeout of the socket itself.
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
