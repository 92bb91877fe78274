"""The network address of the client whose request is being answered, for the audit trail."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

# [2001:db8::1] or [2001:db8::1]:443, and 203.0.113.9:22272: a bare IPv6 address has more than one
# colon.
WITH_PORT = re.compile(r"\A(?:\[([^\[\]]{2,60})\](?::\d{1,5})?|([^\[\]:]{7,15}):\d{1,5})\Z")
_current: ContextVar[str | None] = ContextVar("request_address", default=None)


def current() -> str | None:
    """Return the address of the present request; None outside a request."""
    return _current.get()


@contextmanager
def remembered(request: HttpRequest) -> Iterator[None]:
    """Remember the address of the request for everything recorded inside."""
    token = _current.set(address_of(request))
    try:
        yield
    finally:
        _current.reset(token)


def address_of(request: HttpRequest) -> str | None:
    """Return the client's address, or None where it is not known.

    Behind N trusted proxies it is the Nth from the right of X-Forwarded-For, otherwise the peer's.
    None: the proxy does not know it, or the peer is a Unix socket.
    """
    proxies: int = getattr(settings, "ALLAUTH_TRUSTED_PROXY_COUNT", 0)
    forwarded = [
        part.strip()
        for part in request.headers.get("X-Forwarded-For", "").split(",")
        if part.strip()
    ]
    # What stands further left was written by the client itself and proves nothing.
    if proxies and len(forwarded) >= proxies:
        return parse_address(forwarded[-proxies])
    return parse_address(request.META.get("REMOTE_ADDR", ""))


def parse_address(text: str) -> str | None:
    """Return the IP address that a proxy wrote: bare, with a port, or IPv6 in brackets.

    None for `unknown` and the made-up names that RFC 7239 allows.
    """
    if match := WITH_PORT.match(text):
        text = match[1] or match[2]
    # A zone (`fe80::1%eth0`) belongs to the proxy's machine and means nothing here.
    try:
        return str(ip_address(text.partition("%")[0]))
    except ValueError:
        return None
