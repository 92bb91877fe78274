"""What Xero's error answers mean (facts 4.5): each becomes an error that says what to do about it."""

import random
from datetime import datetime, timedelta
from typing import Any

import requests
from django.utils import timezone

from connections import errors
from xero import wire

LONGEST_WAIT = timedelta(days=1)


class TokenExpired(Exception):
    """A newer access token may help."""


class Forbidden(Exception):
    """The tenant is not connected any more, or the person behind the token may not do this."""


def content(response: requests.Response, *, writes: bool) -> dict[str, Any]:
    """The JSON object of a good answer; anything else raises."""
    if response.status_code >= 300:
        raise refusal(response, writes=writes)
    try:
        body = wire.decode(response.content) if _is_json(response) else None
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    return _lost("Xero's answer is not JSON.", response.status_code, writes=writes)


def refusal(response: requests.Response, *, writes: bool) -> Exception:
    """The exception for an answer of 300 or more."""
    status = response.status_code
    match status:
        case 400 | 412 | 422 | 501:
            return errors.Invalid(messages(response), status=status)
        case 401:
            return _unauthorised(response)
        case 403:
            return Forbidden(_text_of(response, "detail") or "Forbidden")
        case 404:
            return errors.NotFound("Xero does not have this record.", status=status)
        case 429:
            return limited(response)
    if status >= 500:
        text = "Xero is unwell or down for maintenance."
        kind = errors.UnknownOutcome if writes else errors.RetryLater
        return kind(text, status=status)
    return errors.Invalid([f"Xero answered with status {status}."], status=status)


def limited(response: requests.Response) -> errors.RetryLater:
    """A limit was met. Minute and day limits say when they end; the limit on simultaneous calls does not."""
    problem = response.headers.get("X-Rate-Limit-Problem", "").lower()
    wait = response.headers.get("Retry-After", "")
    if wait.isdigit():
        pause = min(timedelta(seconds=int(wait[:9]) + 0.2), LONGEST_WAIT)
    elif problem == "concurrent":
        pause = timedelta(seconds=random.uniform(0.3, 1.2))  # noqa: S311 - spreads callers, guards nothing
    else:
        pause = timedelta(seconds=30)
    limit = {"minute": "a minute", "day": "a day", "concurrent": "at once"}.get(problem, "in this time")
    return errors.RetryLater(
        f"Xero takes no more calls {limit} for now.", at=_after(pause), tenant_wide=True, status=429
    )


def messages(response: requests.Response) -> list[str]:
    """Xero's own words: those per element first, else the general one."""
    body = _object(response)
    found = [
        str(error["Message"])
        for element in _listed(body.get("elements"))
        for error in _listed(element.get("ValidationErrors"))
        if error.get("Message")
    ]
    general = str(
        body.get("message") or body.get("detail") or f"Xero answered with status {response.status_code}."
    )
    return list(dict.fromkeys(found)) or [general]


def _unauthorised(response: requests.Response) -> Exception:
    detail = _text_of(response, "detail")
    challenge = response.headers.get("WWW-Authenticate", "")
    if (
        "insufficient_scope" in challenge
        or "insufficent_scope" in challenge
        or detail == "AuthorizationUnsuccessful"
    ):
        return errors.NeedsConsent("Xero was not asked for the permission that this needs.", status=401)
    return TokenExpired(detail or "Unauthorized")


def _lost(text: str, status: int, *, writes: bool) -> dict[str, Any]:
    if writes:
        raise errors.UnknownOutcome(text, status=status)
    raise errors.RetryLater(text, status=status)


def _is_json(response: requests.Response) -> bool:
    return "json" in response.headers.get("Content-Type", "").lower()


def _object(response: requests.Response) -> dict[str, Any]:
    """The answer's JSON object with lower-case keys (older gateways differ in case); empty if it has none."""
    try:
        body = wire.decode(response.content) if _is_json(response) else {}
    except ValueError:
        return {}
    return {str(key).lower(): value for key, value in body.items()} if isinstance(body, dict) else {}


def _text_of(response: requests.Response, key: str) -> str:
    return str(_object(response).get(key) or "")


def _listed(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _after(pause: timedelta) -> datetime:
    return timezone.now() + pause
