"""What Xero's error answers mean (facts 4.5): each becomes an error that says what to do about it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import requests

from connections import errors
from taskjuice.queue import clock
from xero.api import answers, retry_after, xml_answers
from xero.records import wire

UNTOLD_SECONDS = 30.0  # where a limit is met that nobody counts, and Xero does not say how long
LONGEST_REST_SECONDS = 3600.0  # an outage is looked at again after this, whatever was announced


class TokenExpired(Exception):
    """A newer access token may help."""


class Forbidden(Exception):
    """The tenant is not connected any more, or the person behind the token may not do this."""


def content(response: requests.Response, *, writes: bool) -> dict[str, Any]:
    """The JSON object of a good answer; anything else raises."""
    if response.status_code >= 300:
        raise refusal(response, writes=writes)
    body = _body(response)
    if body and not _is_json(response):
        # In XML a refusal can be read. What was written cannot: a record's numbers would be texts.
        if answers.is_refusal(body):
            raise errors.Invalid(_reasons(body), status=response.status_code)
        body = None
    if body is not None:
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
            return limited(response.headers)
    if status >= 500:
        text = "Xero is unwell or down for maintenance."
        if writes:
            return errors.UnknownOutcome(text, status=status)
        seconds = retry_after.read_retry_after(response.headers)
        return errors.RetryLater(
            text,
            at=None if seconds is None else _after(min(seconds, LONGEST_REST_SECONDS)),
            status=status,
        )
    return errors.Invalid([f"Xero answered with status {status}."], status=status)


def limited(headers: Mapping[str, str], at: datetime | None = None) -> errors.RetryLater:
    """Return the error for a 429. `at`: when calls go out again, where a budget has worked that
    out.
    """
    limit = retry_after.read_refusal(headers)
    seconds = UNTOLD_SECONDS if limit.seconds is None else limit.seconds
    return errors.RetryLater(
        retry_after.REASONS[limit.kind], at=at or _after(seconds), tenant_wide=True, status=429
    )


def messages(response: requests.Response) -> list[str]:
    """Xero's own words: the reasons wherever they stand, each with its place, else the general one."""
    body = _object(response)
    general = next(
        (text for key in ("message", "detail", "title") if (text := str(body.get(key) or ""))), ""
    )
    return _reasons(body) or [general or f"Xero answered with status {response.status_code}."]


def _reasons(body: dict[str, Any]) -> list[str]:
    """The reasons in the whole of it. Where its elements stand is no place that says anything to a
    person.
    """
    found = [
        reason
        for name, part in body.items()
        for reason in answers.read_reasons(
            {name: part} if name.lower() == "validationerrors" else part
        )
    ]
    return list(dict.fromkeys(found))


def _unauthorised(response: requests.Response) -> Exception:
    detail = _text_of(response, "detail")
    challenge = response.headers.get("WWW-Authenticate", "")
    if (
        "insufficient_scope" in challenge
        or "insufficent_scope" in challenge
        or detail == "AuthorizationUnsuccessful"
    ):
        return errors.NeedsConsent(
            "Xero was not asked for the permission that this needs.", status=401
        )
    return TokenExpired(detail or "Unauthorized")


def _lost(text: str, status: int, *, writes: bool) -> dict[str, Any]:
    if writes:
        raise errors.UnknownOutcome(text, status=status)
    raise errors.RetryLater(text, status=status)


def _is_json(response: requests.Response) -> bool:
    return "json" in response.headers.get("Content-Type", "").lower()


def _object(response: requests.Response) -> dict[str, Any]:
    """The answer's object with lower-case keys (older gateways differ in case); empty if it has
    none.
    """
    return {str(key).lower(): value for key, value in (_body(response) or {}).items()}


def _body(response: requests.Response) -> dict[str, Any] | None:
    """The object that an answer in JSON or XML is; None for anything else."""
    try:
        if _is_json(response):
            body = wire.decode(response.content)
        elif "xml" in response.headers.get("Content-Type", "").lower():
            body = xml_answers.decode(response.content)
        else:
            return None
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _text_of(response: requests.Response, key: str) -> str:
    return str(_object(response).get(key) or "")


def _after(seconds: float) -> datetime:
    return clock.now() + timedelta(seconds=seconds)
