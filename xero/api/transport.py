"""HTTP to Xero: pooled connections, hard time limits, capped bodies, no redirects, no cookies.

One adapter serves every session of a process, requests-oauthlib's too, so all of them share pool
and limits.
"""

import os
import time
import zlib
from collections.abc import Mapping
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlencode, urlsplit

import requests
from requests import exceptions
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.response import HTTPResponse

CONNECT_SECONDS = 5
READ_SECONDS = 20
TOTAL_SECONDS = 30
LARGEST_BODY = 32 * 1024 * 1024  # a page of 1,000 invoices with their lines is about 5 MB
CHUNK = 64 * 1024

SessionT = TypeVar("SessionT", bound=requests.Session)


class RequestNotSent(Exception):
    """A request that did not reach Xero."""


class AnswerLost(Exception):
    """A request that was sent and got no usable answer: it may have been carried out."""


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    params: Mapping[str, str | int] | None = None,
    data: bytes | None = None,
) -> requests.Response:
    """Send one request and return its answer with the body read.

    Raises RequestNotSent or AnswerLost; neither names a header or the address's query.
    """
    address = f"{url}?{urlencode(params, quote_via=quote, safe=',')}" if params else url
    try:
        return _session(os.getpid()).request(method, address, headers=headers, data=data)
    except exceptions.RequestException as error:
        raise classify_failure(error) from None  # the cause holds the request with its token


def classify_failure(error: exceptions.RequestException) -> RequestNotSent | AnswerLost:
    """Return the error that a failed request stands for, without the request itself."""
    kind = type(error).__name__
    if isinstance(error, exceptions.ConnectTimeout | exceptions.SSLError | exceptions.ProxyError):
        return RequestNotSent(f"Xero cannot be reached ({kind}).")
    cause = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(cause, NewConnectionError):
        return RequestNotSent(f"Xero cannot be reached ({type(cause).__name__}).")
    return AnswerLost(f"Xero's answer was lost ({kind}).")


def prepare_session(session: SessionT) -> SessionT:
    """Set the session up with our adapter and without cookies, .netrc and redirects."""
    adapter = _adapter(os.getpid())
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers = cast(
        "requests.structures.CaseInsensitiveDict[str | bytes]",
        requests.structures.CaseInsensitiveDict(
            {"User-Agent": "TaskJuice", "Accept": "application/json", "Accept-Encoding": "gzip"}
        ),
    )
    return session


class XeroAdapter(HTTPAdapter):
    """An adapter that reads the whole body itself, within the limits of time and size."""

    def __init__(self) -> None:
        super().__init__(pool_connections=8, pool_maxsize=16)

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> requests.Response:
        deadline = time.monotonic() + TOTAL_SECONDS
        response = super().send(
            request,
            stream=True,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            verify=os.environ.get("REQUESTS_CA_BUNDLE") or True,
            proxies=_proxies(_origin(request.url or "")),
        )
        if response.is_redirect:
            response.close()
            raise exceptions.TooManyRedirects("redirects are not followed")
        response._content = _read_body(response.raw, deadline)
        response._content_consumed = True  # type: ignore[attr-defined]  # as requests itself notes it
        return response


def _read_body(raw: HTTPResponse, deadline: float) -> bytes:
    inflate = (
        zlib.decompressobj(16 + zlib.MAX_WBITS)
        if raw.headers.get("Content-Encoding") == "gzip"
        else None
    )
    parts: list[bytes] = []
    size = 0
    try:
        while chunk := _read_chunk(raw, deadline):
            part = inflate.decompress(chunk, LARGEST_BODY + 1 - size) if inflate else chunk
            size += len(part)
            if size > LARGEST_BODY or (inflate and inflate.unconsumed_tail):
                raise exceptions.ContentDecodingError("the answer is too large")
            parts.append(part)
        if inflate and not inflate.eof:
            raise exceptions.ChunkedEncodingError("the answer is cut off")
    except zlib.error as error:
        raise exceptions.ContentDecodingError("the answer is not gzip") from error
    except (ReadTimeoutError, TimeoutError) as error:
        raise exceptions.ReadTimeout("the answer took too long") from error
    except HTTPError as error:
        raise exceptions.ChunkedEncodingError("the answer is cut off") from error
    finally:
        if size > LARGEST_BODY or time.monotonic() > deadline:
            raw.close()
    return b"".join(parts)


def _read_chunk(raw: HTTPResponse, deadline: float) -> bytes:
    """Return the bytes that have arrived, waiting no longer than the deadline allows."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise exceptions.ReadTimeout("the answer took too long")
    socket = getattr(raw.connection, "sock", None)
    if socket is not None:
        socket.settimeout(min(left, READ_SECONDS))
    return raw.read1(CHUNK, decode_content=False)


# By process id: a forked process must not share its parent's sockets.
@cache
def _session(pid: int) -> requests.Session:
    return prepare_session(requests.Session())


@cache
def _adapter(pid: int) -> XeroAdapter:
    return XeroAdapter()


@cache
def _proxies(origin: str) -> dict[str, str]:
    """Return the proxies of HTTPS_PROXY and the like, read once per host."""
    return get_environ_proxies(origin)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
