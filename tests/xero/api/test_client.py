"""The one door to Xero: what each answer becomes, what is never done twice, and what never leaks."""

import gzip
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client as Browser
from django.utils import timezone

from connections import errors
from connections.models import Connection, ConnectionState, Grant
from connections.oauth import grants
from taskjuice.workspaces.models import Workspace
from tests.connections.conftest import connect, sandbox, sandbox_process  # noqa: F401 - fixtures
from tests.sandbox_process import SandboxProcess
from xero.api import rate_limits, transport
from xero.api.client import client_for
from xero.provider import XeroProvider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(as_admin: Browser, workspace: Workspace, sandbox: SandboxProcess) -> Connection:  # noqa: F811
    connect(as_admin, workspace, sandbox, sandbox.organisation()["tenant_id"])
    sandbox.api("DELETE", "counters")
    return Connection.objects.get()


def fault(sandbox: SandboxProcess, kind: str, **given: Any) -> None:  # noqa: F811
    sandbox.api("POST", "faults", {"kind": kind, "path": "/api.xro/*", **given})


def calls(sandbox: SandboxProcess, path: str) -> int:  # noqa: F811
    return sum(path in call["path"] for call in sandbox.api("GET", "calls"))


def test_numbers_are_exact(connection: Connection) -> None:
    invoice = client_for(connection).get("/Invoices", params={"page": 1, "pageSize": 1})[
        "Invoices"
    ][0]
    assert isinstance(invoice["Total"], Decimal | int)


def test_connection_is_kept_alive(connection: Connection) -> None:
    client = client_for(connection)
    client.get("/Organisation")
    pool = transport._adapter(os.getpid()).poolmanager
    before = connections_made(pool)
    for _ in range(5):
        client.get("/Organisation")
    assert connections_made(pool) == before


def connections_made(pool: Any) -> dict[Any, int]:
    return {key: pool.pools[key].num_connections for key in pool.pools.keys()}  # noqa: SIM118 - not a mapping


@pytest.mark.parametrize(
    ("kind", "read", "write"),
    [
        ("error_500_before", errors.RetryLater, errors.UnknownOutcome),
        ("error_503_before", errors.RetryLater, errors.UnknownOutcome),
        ("error_500_after", errors.RetryLater, errors.UnknownOutcome),
        ("html", errors.RetryLater, errors.UnknownOutcome),
        ("half_body", errors.RetryLater, errors.UnknownOutcome),
        ("reset_before", errors.RetryLater, errors.UnknownOutcome),
        ("reset_after", errors.RetryLater, errors.UnknownOutcome),
    ],
)
def test_missing_answer_is_later_for_reads_and_unknown_for_writes(
    connection: Connection,
    sandbox: SandboxProcess,  # noqa: F811
    kind: str,
    read: type[Exception],
    write: type[Exception],
) -> None:
    client = client_for(connection)
    fault(sandbox, kind)
    with pytest.raises(read):
        client.get("/Contacts", params={"page": 1})
    fault(sandbox, kind)
    with pytest.raises(write):
        client.put(
            "/Contacts", {"Contacts": [{"Name": f"N {uuid4()}"}]}, idempotency_key=str(uuid4())
        )


@pytest.mark.parametrize(
    ("kind", "seconds", "least", "most"),
    [
        ("limit_minute", 30, 29, 32),
        ("limit_day", 20_000, 19_999, 20_002),
        ("limit_concurrent", 0, 0, 3),
    ],
)
def test_limits_say_when_to_come_back(
    connection: Connection,
    sandbox: SandboxProcess,  # noqa: F811
    kind: str,
    seconds: int,
    least: int,
    most: int,
) -> None:
    fault(sandbox, kind, seconds=seconds)
    started = time.monotonic()
    with pytest.raises(errors.RetryLater) as raised:
        client_for(connection).get("/Organisation")
    assert time.monotonic() - started < 1
    assert raised.value.at is not None
    assert least <= (raised.value.at - timezone.now()).total_seconds() <= most
    assert (raised.value.tenant_wide, raised.value.status) == (True, 429)


@pytest.mark.parametrize(
    "retry_after", ["date", "missing", "-20", "99999999999999999999", "in a while"]
)
def test_day_limit_parks_for_hours_however_it_is_said(
    connection: Connection,
    sandbox: SandboxProcess,  # noqa: F811
    retry_after: str,
) -> None:
    fault(sandbox, "limit_day", seconds=7 * 3600, retry_after=retry_after)
    with pytest.raises(errors.RetryLater) as raised:
        client_for(connection).get("/Organisation")
    left = rate_limits.read_remaining([connection.tenant_id])[connection.tenant_id]
    assert (left.day_left, left.why, left.parked_until) == (0, "day", raised.value.at)
    assert raised.value.at is not None
    assert raised.value.at > timezone.now() + timedelta(hours=6.9)
    sandbox.api("DELETE", "counters")
    with pytest.raises(errors.RetryLater) as again:
        client_for(connection).get("/Organisation")
    assert again.value.at == raised.value.at
    assert sandbox.api("GET", "counters") == []


def test_validation_messages_are_xeros_own(connection: Connection) -> None:
    with pytest.raises(errors.Invalid) as raised:
        client_for(connection).put(
            "/Contacts", {"Contacts": [{"Name": ""}]}, idempotency_key=str(uuid4())
        )
    assert raised.value.messages
    assert raised.value.status == 400


def test_missing_record_is_not_found(connection: Connection) -> None:
    with pytest.raises(errors.NotFound):
        client_for(connection).get(f"/Invoices/{uuid4()}")


def test_expired_token_is_renewed_once_and_the_call_repeated(
    connection: Connection,
    sandbox: SandboxProcess,  # noqa: F811
) -> None:
    fault(sandbox, "token_expired")
    assert client_for(connection).get("/Organisation")["Organisations"]
    assert sandbox.api("GET", "state")["issued"].get("refresh_token") == 1
    fault(sandbox, "token_expired", remaining=None)
    with pytest.raises(errors.RetryLater):
        client_for(connection).get("/Organisation")
    assert sandbox.api("GET", "state")["issued"].get("refresh_token") == 2


def test_disconnected_in_xero_marks_the_connection_and_stops_calling(
    connection: Connection,
    sandbox: SandboxProcess,  # noqa: F811
) -> None:
    (listed,) = sandbox.api("GET", "connections")
    sandbox.api("DELETE", f"connections/{listed['id']}")
    sandbox.api("DELETE", "counters")
    for _ in range(20):
        with pytest.raises(errors.TenantGone):
            client_for(connection).get("/Organisation")
    connection.refresh_from_db()
    assert (connection.state, connection.problem) == (ConnectionState.ERROR, "tenant-gone")
    assert len(sandbox.api("GET", "calls")) <= 3


def test_forbidden_by_role_leaves_the_connection_active_and_says_so(
    connection: Connection,
    sandbox: SandboxProcess,  # noqa: F811
) -> None:
    fault(sandbox, "disconnected")  # a 403, while /connections still lists the organisation
    with pytest.raises(errors.NotPermitted):
        client_for(connection).get("/Organisation")
    connection.refresh_from_db()
    assert (connection.state, connection.problem) == (ConnectionState.ACTIVE, "not-permitted")


def test_missing_scope_asks_for_consent_and_keeps_the_rest_working(connection: Connection) -> None:
    with pytest.raises(errors.NeedsConsent):
        client_for(connection).get("/Budgets")
    connection.refresh_from_db()
    assert (connection.state, connection.problem) == (ConnectionState.ACTIVE, "scope-missing")
    assert client_for(connection).get("/Organisation")["Organisations"]


# -- answers that the sandbox cannot give
# ------------------------------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler], None]


class Handler(BaseHTTPRequestHandler):
    answer: Answer

    def do_GET(self) -> None:
        type(self).answer(self)

    def do_PUT(self) -> None:
        type(self).answer(self)

    def do_POST(self) -> None:
        type(self).answer(self)

    def log_message(self, *_: Any) -> None:
        """Not to the terminal."""


@pytest.fixture
def strange_xero(settings: Any) -> Iterator[Callable[[Answer], None]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Strange", (Handler,), {}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def answers(answer: Answer) -> None:
        server.RequestHandlerClass.answer = staticmethod(answer)  # type: ignore[attr-defined]
        settings.XERO_API_URL = f"http://127.0.0.1:{server.server_port}"
        settings.XERO_IDENTITY_URL = settings.XERO_API_URL

    yield answers
    server.shutdown()
    server.server_close()


def respond(
    handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str
) -> None:
    handler.send_response(status)
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def test_organisations_without_ids_of_their_own_are_left_out(
    strange_xero: Callable[[Answer], None],
) -> None:
    good = {
        "id": str(uuid4()),
        "tenantId": str(uuid4()),
        "tenantType": "ORGANISATION",
        "tenantName": "Kea",
    }
    zeros = str(UUID(int=0))
    entries = [
        None,
        {},
        good | {"id": "x"},
        good | {"tenantId": zeros},
        good | {"tenantId": None},
        good,
    ]
    strange_xero(lambda handler: respond(handler, json.dumps(entries).encode()))
    found = XeroProvider().tenants("token")
    assert [(str(one.id), str(one.tenant_id), one.name) for one in found] == [
        (good["id"], good["tenantId"], "Kea")
    ]


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": None, "token_type": "Bearer"},
        {"access_token": "", "token_type": "Bearer"},
        {"access_token": ["a"], "token_type": "Bearer"},
        {"access_token": "a", "token_type": "mac"},
        {},
    ],
)
def test_token_answer_without_a_token_is_no_token(
    strange_xero: Callable[[Answer], None], answer: dict[str, Any]
) -> None:
    strange_xero(lambda handler: respond(handler, json.dumps(answer).encode()))
    with pytest.raises(errors.RetryLater):
        XeroProvider().refresh("old")


@pytest.mark.parametrize("renewed", [{}, {"refresh_token": ""}, {"refresh_token": None}])
def test_refresh_token_that_is_not_renewed_stays(
    strange_xero: Callable[[Answer], None], renewed: dict[str, Any]
) -> None:
    body = {"access_token": "a", "token_type": "Bearer", "expires_in": "1700", **renewed}
    strange_xero(lambda handler: respond(handler, json.dumps(body).encode()))
    tokens = XeroProvider().refresh("old")
    assert (tokens.access_token, tokens.refresh_token, tokens.expires_in) == ("a", "old", 1700)


def test_redirect_is_not_followed(
    connection: Connection, strange_xero: Callable[[Answer], None]
) -> None:
    strange_xero(
        lambda handler: respond(handler, b"", 302, Location="http://127.0.0.1:1/elsewhere")
    )
    with pytest.raises(errors.RetryLater):
        client_for(connection).get("/Invoices")
    with pytest.raises(errors.UnknownOutcome):
        client_for(connection).put("/Contacts", {}, idempotency_key="k")


def test_gzip_is_read_and_a_bomb_is_refused(
    connection: Connection, strange_xero: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = gzip.compress(json.dumps({"Invoices": []}).encode())
    strange_xero(lambda handler: respond(handler, good, Content_Encoding="gzip"))
    assert client_for(connection).get("/Invoices") == {"Invoices": []}
    monkeypatch.setattr(transport, "LARGEST_BODY", 1024 * 1024)
    bomb = gzip.compress(b" " * 50_000_000)
    strange_xero(lambda handler: respond(handler, bomb, Content_Encoding="gzip"))
    with pytest.raises(errors.RetryLater):
        client_for(connection).get("/Invoices")


def test_endless_body_ends_with_the_total_time(
    connection: Connection, strange_xero: Callable[[Answer], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        try:
            for _ in range(100):
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.1)
        except OSError:
            return  # the client went away, as it should

    monkeypatch.setattr(transport, "TOTAL_SECONDS", 1)
    strange_xero(drip)
    started = time.monotonic()
    with pytest.raises(errors.RetryLater):
        client_for(connection).get("/Invoices")
    assert time.monotonic() - started < 2


def test_unreachable_xero_is_later_even_for_writes(connection: Connection, settings: Any) -> None:
    settings.XERO_API_URL = "http://127.0.0.1:9"
    with pytest.raises(errors.RetryLater):
        client_for(connection).put("/Contacts", {}, idempotency_key="k")


@pytest.mark.parametrize(
    "kind", ["error_500_before", "html", "reset_before", "token_expired", "limit_minute"]
)
def test_no_error_holds_a_token(
    connection: Connection,
    sandbox: SandboxProcess,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    token = grants.get_access_token(Grant.objects.get())
    fault(sandbox, kind, remaining=None)
    with pytest.raises(errors.ProviderError) as raised:
        client_for(connection).get("/Organisation")
    seen = caplog.text
    error: BaseException | None = raised.value
    while error is not None:
        seen += repr(error) + repr(vars(error))
        error = error.__cause__
    assert token not in seen
