"""Built-in action: send an HTTP request.

GET reads; other methods may change something. Those carry an Idempotency-Key, are journaled before
they are sent, and end as “needs a decision” where no answer confirms their outcome.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from django import forms

from connections.integrations import (
    Action,
    ActionContext,
    Data,
    Done,
    Failed,
    Outcome,
    Preview,
    TryLater,
    Unknown,
)
from connections.models import Connection
from connections.secrets import values as secret_values
from taskjuice import outbound_http
from taskjuice.database.outages import retry_during_outage
from taskjuice.outbound_http import AddressRefused, RequestNotSent, ResponseLost
from taskjuice.queue import clock
from taskjuice.text_fields import LongTextField
from taskjuice.workspaces.models import Agency
from workflows.definition.template_fields import JsonText, UrlField
from workflows.steps.http import journal as http_journal
from workflows.steps.http.fields import HeadersField, PairsField
from workflows.steps.http.requests import (
    PreparedRequest,
    find_secret_problem,
    host_of,
    is_changing,
    mask_secrets,
    open_secrets,
    prepare_request,
)
from workflows.steps.http.responses import outcome_of

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
AT_ONCE = 8
BEGIN_WITHIN = 5.0  # seconds of a wave in which requests begin; with one's 30 s it stays below the watchdog's 40


class HttpRequestForm(forms.Form):
    method = forms.ChoiceField(
        label="Method", initial="POST", choices=[(name, name) for name in METHODS]
    )
    url = UrlField(
        label="Address",
        max_length=outbound_http.LONGEST_URL,
        help_text="https only. Expressions may follow the host: https://api.example.com/orders/{{ trigger.number }}",
    )
    query = PairsField(
        label="Query", required=False, help_text="Names and values behind the ? of the address."
    )
    headers = HeadersField(
        label="Headers",
        required=False,
        help_text="For credentials choose a secret value, kept under Settings: it follows what stands in the row, for"
        " example Authorization · Bearer · crm_token. It is sent to its own host only and shown nowhere.",
    )
    json = JsonText(
        label="JSON body",
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text='Expressions stand inside quotes: {"contact": "{{ trigger.contact }}", "amount":'
        ' "{{ trigger.total }}"}. One that stands alone keeps its type: a number is sent as a number.',
    )
    text = LongTextField(
        label="Or a text body",
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("json") and data.get("text"):
            self.add_error("text", "Give a JSON body or a text body, not both.")
        if data.get("method") == "GET" and (data.get("json") or data.get("text")):
            self.add_error(
                "method", "A GET request has no body. Choose POST, or leave the body empty."
            )
        return data


class HttpRequest(Action):
    key = "core/http-request"
    title = "Call a web address"
    description = "Sends an HTTP request to another service, and gives its answer to later steps."
    form = HttpRequestForm
    effects = True
    free = True
    together = AT_ONCE
    sample: ClassVar[Data] = {
        "status": 200,
        "headers": {"content-type": "application/json"},
        "body": {"id": "a-1", "total": "1150.00"},
    }

    def run_many(self, calls: Sequence[ActionContext], rows: Sequence[Data]) -> list[Outcome]:
        secrets = open_secrets(calls, rows)
        ready = [
            prepare_request(call, data, secrets) for call, data in zip(calls, rows, strict=True)
        ]
        requests = [request for request in ready if isinstance(request, PreparedRequest)]
        outcomes = dict(zip(map(id, requests), _send_journaled(requests), strict=True))
        return [
            outcomes[id(request)] if isinstance(request, PreparedRequest) else request
            for request in ready
        ]

    def reads(self, data: Data) -> bool:
        return not is_changing(data["method"])

    def preview(self, call: ActionContext, data: Data) -> Preview | Outcome:
        """Show the request with the names of secret values in their place."""
        assert call.connection is not None  # pages send none
        request = prepare_request(call, data, mask_secrets(call.connection.agency, data))
        if isinstance(request, Failed):
            return request
        return Preview(f"{request.method} {request.url}", request.text)

    def wrong_for(
        self, agency: Agency, connections: Sequence[Connection], given: Mapping[str, Any]
    ) -> Iterable[tuple[str, str]]:
        headers = given.get("headers")
        rows = (
            [row for row in headers if isinstance(row, dict)] if isinstance(headers, list) else []
        )
        names = {str(row["secret"]) for row in rows if row.get("secret")}
        hosts = dict(
            secret_values.list_secrets(agency).filter(name__in=names).values_list("name", "host")
        )
        for name in sorted(names):
            if problem := find_secret_problem(
                name, hosts.get(name), host_of(str(given.get("url") or ""))
            ):
                yield "headers", problem


def _send_journaled(requests: Sequence[PreparedRequest]) -> list[Outcome]:
    """Send the requests together; those that may change something are never sent twice."""
    changing = [request for request in requests if request.may_change]
    noted = http_journal.begin_requests(
        {http_journal.request_key(request.call): request.key for request in changing if request.key}
    )
    decided: dict[int, Outcome] = {}
    for request in changing:
        entry = noted[http_journal.request_key(request.call)]
        if entry.output is not None:
            decided[id(request)] = Done(entry.output)
        elif entry.is_open:
            decided[id(request)] = Unknown(
                "TaskJuice was interrupted while it sent this; see at the receiver."
            )
    fresh = [request for request in requests if id(request) not in decided]
    sent = dict(zip(map(id, fresh), _send_all(fresh), strict=True))
    outputs = {
        http_journal.request_key(request.call): outcome.output
        if isinstance(outcome, Done)
        else None
        for request in fresh
        if request.may_change and not isinstance(outcome := sent[id(request)], Unknown)
    }
    # An outage must not leave finished requests open: a person would have to decide about them.
    retry_during_outage(lambda: http_journal.settle_requests(outputs))
    return [(decided | sent)[id(request)] for request in requests]


def _send_all(requests: Sequence[PreparedRequest]) -> list[Outcome]:
    """Send the requests, some at once.

    Requests that do not start in time wait for the lane's next turn, so that no worker is held for
    long.
    """
    if not requests:
        return []
    ends = time.monotonic() + BEGIN_WITHIN
    with ThreadPoolExecutor(
        max_workers=min(AT_ONCE, len(requests)), thread_name_prefix="http-step"
    ) as pool:
        return list(pool.map(lambda request: _send_in_time(request, ends), requests))


def _send_in_time(request: PreparedRequest, ends: float) -> Outcome:
    if time.monotonic() > ends:
        return TryLater(
            "Waits for its turn: the requests before it took long.", at=clock.now(), counts=False
        )
    return _send(request)


def _send(request: PreparedRequest) -> Outcome:
    try:
        answer = outbound_http.send_request(
            request.method, request.url, headers=request.headers, body=request.body
        )
    except AddressRefused as error:
        return Failed("address", str(error))
    except RequestNotSent as error:
        return TryLater(str(error))
    except ResponseLost as error:
        return (
            Unknown(f"{error} It may have been carried out.")
            if request.may_change
            else TryLater(str(error))
        )
    return outcome_of(request, answer)
