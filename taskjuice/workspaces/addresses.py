"""The network address of the person whose request is being answered, for the audit trail."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

_current: ContextVar[str | None] = ContextVar("request_address", default=None)


def current() -> str | None:
    """None outside a request."""
    return _current.get()


@contextmanager
def remembered(request: HttpRequest) -> Iterator[None]:
    token = _current.set(address_of(request))
    try:
        yield
    finally:
        _current.reset(token)


def address_of(request: HttpRequest) -> str | None:
    """The client's address: behind N trusted proxies the Nth from the right of X-Forwarded-For, else the peer's.

    What stands further left was written by the client itself and proves nothing.
    """
    proxies: int = getattr(settings, "ALLAUTH_TRUSTED_PROXY_COUNT", 0)
    forwarded = [
        part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()
    ]
    claimed = (
        forwarded[-proxies] if proxies and len(forwarded) >= proxies else request.META.get("REMOTE_ADDR", "")
    )
    try:
        return str(ip_address(claimed))
    except ValueError:  # a Unix socket's peer has none
        return None
