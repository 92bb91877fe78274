"""The errors that Xero's answers stand for (facts 4.5); each says what can be done about it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import requests

from connections import errors
from taskjuice.queue import clock
from xero.api import answers, retry_after, xml_answers
from xero.records import wire

DEFAULT_PAUSE_SECONDS = (
    30.0  # where a limit is met that nobody counts, and Xero does not say how long
)
LONGEST_PAUSE_SECONDS = 3600.0  # an outage is looked at again after this, whatever was announced


class TokenExpired(Exception):
    """An access token that Xero does not accept; a newer one may help."""


class Forbidden(Exception):
    """A tenant that is not connected any more, or a person who may not do this."""


def read_content(response: requests.Response, *, writes: bool) -> dict[str, Any]:
    """Return the JSON object of a successful answer; raise the error of any other."""
    if response.status_code >= 300:
        raise build_error(response, writes=writes)
    body = _parse_body(response)
    if body and not _is_json(response):
        # In XML a refusal can be read. What was written cannot: a record's numbers would be texts.
        if answers.is_refusal(body):
            raise errors.Invalid(_collect_reasons(body), status=response.status_code)
        body = None
    if body is not None:
        return body
    return _raise_lost("Xero's answer is not JSON.", response.status_code, writes=writes)


def build_error(response: requests.Response, *, writes: bool) -> Exception:
    """Return the exception for an answer with a status of 300 or more."""
    status = response.status_code
    match status:
        case 400 | 412 | 422 | 501:
            return errors.Invalid(read_messages(response), status=status)
        case 401:
            return _build_unauthorised_error(response)
        case 403:
            return Forbidden(_read_text(response, "detail") or "Forbidden")
        case 404:
            return errors.NotFound("Xero does not have this record.", status=status)
        case 429:
            return build_limit_error(response.headers)
    if status >= 500:
        text = "Xero is unwell or down for maintenance."
        if writes:
            return errors.UnknownOutcome(text, status=status)
        seconds = retry_after.read_retry_after(response.headers)
        return errors.RetryLater(
            text,
            at=None if seconds is None else _seconds_from_now(min(seconds, LONGEST_PAUSE_SECONDS)),
            status=status,
        )
    return errors.Invalid([f"Xero answered with status {status}."], status=status)


def build_limit_error(headers: Mapping[str, str], at: datetime | None = None) -> errors.RetryLater:
    """Return the error for a 429. `at`: when calls go out again, where a budget has worked that
    out.
    """
    limit = retry_after.read_refusal(headers)
    seconds = DEFAULT_PAUSE_SECONDS if limit.seconds is None else limit.seconds
    return errors.RetryLater(
        retry_after.REASONS[limit.kind],
        at=at or _seconds_from_now(seconds),
        tenant_wide=True,
        status=429,
    )


def read_messages(response: requests.Response) -> list[str]:
    """Return Xero's reasons, each with its position; without any, its general message."""
    body = _read_object(response)
    general = next(
        (text for key in ("message", "detail", "title") if (text := str(body.get(key) or ""))), ""
    )
    return _collect_reasons(body) or [
        general or f"Xero answered with status {response.status_code}."
    ]


def _collect_reasons(body: dict[str, Any]) -> list[str]:
    """Return the reasons of all elements, without the elements' own positions."""
    reasons = [
        reason
        for name, part in body.items()
        for reason in answers.read_reasons(
            {name: part} if name.lower() == "validationerrors" else part
        )
    ]
    return list(dict.fromkeys(reasons))


def _build_unauthorised_error(response: requests.Response) -> Exception:
    detail = _read_text(response, "detail")
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


def _raise_lost(text: str, status: int, *, writes: bool) -> dict[str, Any]:
    if writes:
        raise errors.UnknownOutcome(text, status=status)
    raise errors.RetryLater(text, status=status)


def _is_json(response: requests.Response) -> bool:
    return "json" in response.headers.get("Content-Type", "").lower()


def _read_object(response: requests.Response) -> dict[str, Any]:
    """Return the answer's object with lower-case keys (older gateways differ in case); empty if
    none.
    """
    return {str(key).lower(): value for key, value in (_parse_body(response) or {}).items()}


def _parse_body(response: requests.Response) -> dict[str, Any] | None:
    """Return the object of an answer in JSON or XML; None for anything else."""
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


def _read_text(response: requests.Response, key: str) -> str:
    return str(_read_object(response).get(key) or "")


def _seconds_from_now(seconds: float) -> datetime:
    return clock.now() + timedelta(seconds=seconds)
