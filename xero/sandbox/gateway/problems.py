"""The bodies with which Xero's gateway refuses a call (facts 4.5)."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import formatdate
from time import time
from typing import Any
from uuid import uuid4

from aiohttp import web

from xero.sandbox.gateway.limits import Refusal

TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 409: "Conflict"}


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body: dict[str, Any] = {
        "Type": None,
        "Title": TITLES[status],
        "Status": status,
        "Detail": detail,
        "Instance": str(uuid4()),
        "Extensions": {},
    }
    return web.json_response(body, status=status, headers=headers)


def unauthorised(detail: str = "AuthenticationUnsuccessful") -> web.Response:
    return problem(401, detail, {"WWW-Authenticate": "Bearer error=invalid_token"})


def token_expired(at: datetime) -> web.Response:
    return unauthorised(f"TokenExpired: token expired at {at:%m/%d/%Y %H:%M:%S}")


def scope_missing() -> web.Response:
    return problem(
        401, "AuthorizationUnsuccessful", {"WWW-Authenticate": "Bearer error=insufficient_scope"}
    )


def not_connected() -> web.Response:
    return problem(403, "AuthenticationUnsuccessful")


def too_many(refusal: Refusal, headers: Mapping[str, str], written: str = "") -> web.Response:
    """Answer 429 without a body: what Xero's holds is not known, so no client may rely on one.

    `written` is how Retry-After is sent: "" in seconds, "date" as some proxies do, "missing", or
    this very text.
    """
    answer = web.Response(status=429, headers={**headers, "X-Rate-Limit-Problem": refusal.problem})
    if refusal.retry_after is not None and written != "missing":
        answer.headers["Retry-After"] = _retry_after(refusal.retry_after, written)
    return answer


def _retry_after(seconds: int, written: str) -> str:
    if written == "date":
        return formatdate(time() + seconds, usegmt=True)
    return written or str(seconds)
