"""Built-in action: call an address on the internet.

GET reads, the others may change something: those carry an Idempotency-Key, are journaled before they are sent, and
end as “needs a decision” where no answer says what became of them.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django import forms
from django.utils import timezone

from connections import exact, outbound, secret_values
from connections.integrations import Action, Call, Data, Done, Failed, Outcome, TryLater, Unknown
from connections.models import Connection
from connections.outbound import Answer, Lost, NotSent, Refused
from connections.secret_values import Opened
from taskjuice.workspaces.models import Agency
from workflows import requests_sent
from workflows.request_fields import HeadersField, PairsField
from workflows.templated import JsonText, UrlField

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
AT_ONCE = 8
BEGIN_WITHIN = (
    5.0  # seconds of a wave in which requests begin; with one's 30 s it stays below the watchdog's 40
)
LONGEST_WAIT = timedelta(days=1)
GATEWAY_ERRORS = frozenset({502, 504})  # whoever answered does not know what became of it
LATER = frozenset({429, 503})
SHOWN = 300  # characters of a refusal's text
REMOVED = "[removed]"


class HttpRequestForm(forms.Form):
    method = forms.ChoiceField(label="Method", initial="POST", choices=[(name, name) for name in METHODS])
    url = UrlField(
        label="Address",
        max_length=outbound.LONGEST_URL,
        help_text="https only. Expressions may follow the host: https://api.example.com/orders/{{ trigger.number }}",
    )
    query = PairsField(
        label="Query", required=False, help_text="Names and values behind the ? of the address."
    )
    headers = HeadersField(
        label="Headers",
        required=False,
        help_text="For credentials name a secret value, kept under Settings: it follows what stands in the row,"
        " for example Authorization · Bearer · crm_token. It is sent to its own host only and shown nowhere.",
    )
    json = JsonText(
        label="JSON body",
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text='Expressions stand inside quotes: {"contact": "{{ trigger.contact }}", "amount":'
        ' "{{ trigger.total }}"}. One that stands alone keeps its type: a number is sent as a number.',
    )
    text = forms.CharField(
        label="Or a text body", required=False, max_length=100_000, widget=forms.Textarea(attrs={"rows": 3})
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("json") and data.get("text"):
            self.add_error("text", "Give a JSON body or a text body, not both.")
        if data.get("method") == "GET" and (data.get("json") or data.get("text")):
            self.add_error("method", "A GET request has no body. Choose POST, or leave the body empty.")
        return data


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request, ready to be sent."""

    call: Call
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    key: UUID
    hidden: Sequence[str] = field(repr=False, default=())  # secret values, for taking them out of the answer

    @property
    def may_change(self) -> bool:
        return self.method != "GET"


class HttpRequest(Action):
    key = "core/http-request"
    title = "Call a web address"
    description = "Sends an HTTP request to another service, and gives its answer to later steps."
    form = HttpRequestForm
    effects = True
    together = AT_ONCE
    sample: ClassVar[Data] = {
        "status": 200,
        "headers": {"content-type": "application/json"},
        "body": {"id": "a-1", "total": "1150.00"},
    }

    def run_many(self, calls: Sequence[Call], rows: Sequence[Data]) -> list[Outcome]:
        secrets = _secrets(calls, rows)
        ready = [_prepared(call, data, secrets) for call, data in zip(calls, rows, strict=True)]
        requests = [one for one in ready if isinstance(one, Prepared)]
        outcomes = dict(zip(map(id, requests), _journaled(requests), strict=True))
        return [outcomes[id(one)] if isinstance(one, Prepared) else one for one in ready]

    def wrong_for(
        self, agency: Agency, connections: Sequence[Connection], given: Mapping[str, Any]
    ) -> Iterable[tuple[str, str]]:
        headers = given.get("headers")
        rows = [row for row in headers if isinstance(row, dict)] if isinstance(headers, list) else []
        names = {str(row["secret"]) for row in rows if row.get("secret")}
        hosts = dict(secret_values.of(agency).filter(name__in=names).values_list("name", "host"))
        for name in sorted(names):
            if problem := _wrong_secret(name, hosts.get(name), _host_of(str(given.get("url") or ""))):
                yield "headers", problem


def _wrong_secret(name: str, bound_to: str | None, host: str) -> str:
    if bound_to is None:
        return f"There is no secret value “{name}”. Add it under Settings, Secret values."
    if bound_to != host:
        return f"The secret value “{name}” is for {bound_to} and is not sent to {host or 'another host'}."
    return ""


def _host_of(url: str) -> str:
    return (urlsplit(url).hostname or "") if "://" in url else ""


def _secrets(calls: Sequence[Call], rows: Sequence[Data]) -> Mapping[str, Opened]:
    """A wave is of one connection, so of one agency."""
    names = {row["secret"] for data in rows for row in data["headers"] if row["secret"]}
    connection = calls[0].connection
    assert connection is not None  # pages send none
    return secret_values.opened(connection.agency_id, names)


def _prepared(call: Call, data: Data, secrets: Mapping[str, Opened]) -> Prepared | Failed:
    url = _with_query(data["url"], data["query"])
    body, kind = _body(data)
    headers = {"User-Agent": "TaskJuice", "Accept": "application/json, */*;q=0.5"}
    headers |= {"Content-Type": kind} if kind else {}
    hidden = []
    for row in data["headers"]:
        value = row["value"]
        if name := row["secret"]:
            opened = secrets.get(name)
            if problem := _wrong_secret(name, opened.host if opened else None, _host_of(url)):
                return Failed("secret", problem)
            assert opened is not None  # else it is a problem
            value = f"{value} {opened.value}".strip()
            hidden.append(opened.value)
        _set(headers, row["name"], value)
    key = requests_sent.key_of(call, data["method"], url, body or b"")
    if data["method"] != "GET":
        headers["Idempotency-Key"] = str(key)
    return Prepared(call, data["method"], url, headers, body, key, hidden)


def _with_query(url: str, rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return url
    query = urlencode([(row["name"], row["value"]) for row in rows])
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _body(data: Data) -> tuple[bytes | None, str]:
    if data["json"]:
        return data["json"].encode(), "application/json"
    if data["text"]:
        return data["text"].encode("utf-8", "replace"), "text/plain; charset=utf-8"
    return (None, "") if data["method"] in {"GET", "DELETE"} else (b"", "")


def _set(headers: dict[str, str], name: str, value: str) -> None:
    """A header of this name, in whatever case, gives way."""
    for known in [known for known in headers if known.lower() == name.lower()]:
        del headers[known]
    headers[name] = value


def _journaled(requests: Sequence[Prepared]) -> list[Outcome]:
    """Sent together, those that may change something never twice."""
    changing = [one for one in requests if one.may_change]
    noted = requests_sent.begin({requests_sent.place_of(one.call): one.key for one in changing})
    decided: dict[int, Outcome] = {}
    for one in changing:
        known = noted[requests_sent.place_of(one.call)]
        if known.output is not None:
            decided[id(one)] = Done(known.output)
        elif known.is_open:
            decided[id(one)] = Unknown("TaskJuice was interrupted while it sent this; see at the receiver.")
    fresh = [one for one in requests if id(one) not in decided]
    sent = dict(zip(map(id, fresh), _send_all(fresh), strict=True))
    requests_sent.settle(
        {
            requests_sent.place_of(one.call): outcome.output if isinstance(outcome, Done) else None
            for one in fresh
            if one.may_change and not isinstance(outcome := sent[id(one)], Unknown)
        }
    )
    return [(decided | sent)[id(one)] for one in requests]


def _send_all(requests: Sequence[Prepared]) -> list[Outcome]:
    """Some at once; what does not get its turn soon waits for the lane's next, so that no worker is held for long."""
    if not requests:
        return []
    ends = time.monotonic() + BEGIN_WITHIN
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(requests)), thread_name_prefix="http-step") as pool:
        return list(pool.map(lambda one: _in_time(one, ends), requests))


def _in_time(request: Prepared, ends: float) -> Outcome:
    if time.monotonic() > ends:
        return TryLater(
            "Waits for its turn: the requests before it took long.", at=timezone.now(), counts=False
        )
    return _send(request)


def _send(request: Prepared) -> Outcome:
    try:
        answer = outbound.send(request.method, request.url, headers=request.headers, body=request.body)
    except Refused as error:
        return Failed("address", str(error))
    except NotSent as error:
        return TryLater(str(error))
    except Lost as error:
        return (
            Unknown(f"{error} It may have been carried out.") if request.may_change else TryLater(str(error))
        )
    return _outcome(request, answer)


def _outcome(request: Prepared, answer: Answer) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return _done(request, answer)
    words = f"{_host_of(request.url)} answered {_status_in_words(status)}"
    if status in LATER:
        return TryLater(f"{words}.", at=_retry_at(answer), status=status)
    if 300 <= status < 400:
        text = f"{words}, a redirect. Redirects are not followed: give the address it leads to."
        return Failed("redirect", text, status=status)
    if status in GATEWAY_ERRORS and request.may_change:
        return Unknown(f"{words}: it may have been carried out.", status=status)
    if status >= 500 and not request.may_change:
        return TryLater(f"{words}.", status=status)
    said = " ".join(_hide(answer.body[: 4 * SHOWN].decode("utf-8", "replace"), request).split())[:SHOWN]
    return Failed("refused", f"{words}{': ' + said if said else '.'}", status=status)


def _done(request: Prepared, answer: Answer) -> Outcome:
    """The answer, as later steps see it. Whatever cannot be read of it, a request that changes is done."""
    output: Data = {
        "status": answer.status,
        "headers": {
            name: _hide(value, request) for name, value in answer.headers.items() if name in KEPT_HEADERS
        },
        "body": None,
    }
    problem = ""
    if answer.is_cut:
        problem = f"The answer is larger than {outbound.LARGEST_ANSWER // 1024**2} MB."
    elif answer.headers.get("content-encoding", "identity") != "identity":
        problem = "The answer is compressed, although that was not asked for."
    else:
        text = _hide(answer.body.decode("utf-8", "replace"), request)
        try:
            output["body"] = _read(text, answer.headers.get("content-type", ""))
        except (ValueError, RecursionError, ArithmeticError):
            problem = "The answer says it is JSON and is not."
    if problem and not request.may_change:
        return Failed("answer", problem, status=answer.status)
    return Done(output | ({"problem": problem} if problem else {}))


KEPT_HEADERS = frozenset({"content-type", "location", "etag", "last-modified", "link", "x-request-id"})


def _read(text: str, content_type: str) -> Any:
    """A JSON document with exact numbers, else the text."""
    kind = content_type.partition(";")[0].strip().lower()
    if not (kind == "application/json" or kind.endswith("+json")):
        return text
    if not text.strip():
        return None
    document = exact.loads(text)
    exact.check_storable(document)
    return document


def _hide(text: str, request: Prepared) -> str:
    """Without the request's secrets, should the receiver echo them, also as JSON writes them."""
    for value in request.hidden:
        for spelling in {value, exact.dumps(value)[1:-1]}:
            text = text.replace(spelling, REMOVED)
    return text


def _retry_at(answer: Answer) -> datetime | None:
    """When the receiver said (seconds, or a date), at most a day ahead; None leaves it to the back-off."""
    told = answer.headers.get("retry-after", "").strip()
    latest = timezone.now() + LONGEST_WAIT
    if told.isascii() and told.isdigit():
        return min(timezone.now() + timedelta(seconds=min(int(told[:9]), 10**6)), latest)
    try:
        found = parsedate_to_datetime(told)
    except ValueError:
        return None
    return min(found if found.tzinfo else found.replace(tzinfo=UTC), latest)


def _status_in_words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
