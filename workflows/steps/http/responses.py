"""The outcome of a step, from the response to its HTTP request."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from connections.integrations import Data, Done, Failed, Outcome, TryLater, Unknown
from taskjuice import exact_json, outbound_http
from taskjuice.outbound_http import OutboundResponse
from taskjuice.queue import clock
from workflows.steps.http.requests import PreparedRequest, host_of

LONGEST_WAIT = timedelta(days=1)
GATEWAY_ERRORS = frozenset({502, 504})  # the gateway does not know the outcome
LATER = frozenset({429, 503})
SHOWN = 300  # characters of a refusal's text
REMOVED = "[removed]"
KEPT_HEADERS = frozenset(
    {"content-type", "location", "etag", "last-modified", "link", "x-request-id"}
)


def outcome_of(request: PreparedRequest, answer: OutboundResponse) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return _build_done(request, answer)
    words = f"{host_of(request.url)} answered {_status_in_words(status)}"
    if status in LATER:
        return TryLater(f"{words}.", at=_parse_retry_after(answer), status=status)
    if 300 <= status < 400:
        text = f"{words}, a redirect. Redirects are not followed: give the address it leads to."
        return Failed("redirect", text, status=status)
    if status in GATEWAY_ERRORS and request.may_change:
        return Unknown(f"{words}: it may have been carried out.", status=status)
    if status >= 500 and not request.may_change:
        return TryLater(f"{words}.", status=status)
    said = " ".join(
        _hide_secrets(answer.body[: 4 * SHOWN].decode("utf-8", "replace"), request).split()
    )[:SHOWN]
    code = "credentials" if status in {401, 403, 407} else "refused"
    return Failed(code, f"{words}{': ' + said if said else '.'}", status=status)


def _build_done(request: PreparedRequest, answer: OutboundResponse) -> Outcome:
    """Return the response as later steps see it.

    A request that may change something is done even where its response cannot be read.
    """
    output: Data = {
        "status": answer.status,
        "headers": {
            name: _hide_secrets(value, request)
            for name, value in answer.headers.items()
            if name in KEPT_HEADERS
        },
        "body": None,
    }
    problem = ""
    if answer.is_cut:
        problem = f"The answer is larger than {outbound_http.LARGEST_ANSWER // 1024**2} MB."
    elif answer.headers.get("content-encoding", "identity") != "identity":
        problem = "The answer is compressed, although that was not asked for."
    else:
        text = _hide_secrets(answer.body.decode("utf-8", "replace"), request)
        try:
            output["body"] = _parse_body(text, answer.headers.get("content-type", ""))
        except ValueError:
            problem = "The answer says it is JSON and is not."
    if problem and not request.may_change:
        return Failed("answer", problem, status=answer.status)
    return Done(output | ({"problem": problem} if problem else {}))


def _parse_body(text: str, content_type: str) -> Any:
    """Return a JSON document with exact numbers, or the text of any other type."""
    kind = content_type.partition(";")[0].strip().lower()
    if not (kind == "application/json" or kind.endswith("+json")):
        return text
    if not text.strip():
        return None
    document = exact_json.loads(text)
    exact_json.check_storable(document)
    return document


def _hide_secrets(text: str, request: PreparedRequest) -> str:
    """Return the text without the request's secrets, in case the receiver echoes them.

    JSON spellings of them are removed too.
    """
    for value in request.hidden:
        for spelling in {value, exact_json.dumps(value)[1:-1], json.dumps(value)[1:-1]}:
            text = text.replace(spelling, REMOVED)
    return text


def _parse_retry_after(answer: OutboundResponse) -> datetime | None:
    """Return the time of Retry-After (seconds or a date), at most a day ahead.

    None leaves the time to the back-off.
    """
    header = answer.headers.get("retry-after", "").strip()
    latest = clock.now() + LONGEST_WAIT
    if header.isascii() and header.isdigit():
        return min(clock.now() + timedelta(seconds=min(int(header[:9]), 10**6)), latest)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return min(moment if moment.tzinfo else moment.replace(tzinfo=UTC), latest)


def _status_in_words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
