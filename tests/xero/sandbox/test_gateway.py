"""What stands before the ledgers: tokens, scopes, tenants, limits, idempotency keys."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from tests.sandbox_process import SandboxProcess
from tests.xero.sandbox import openapi
from tests.xero.sandbox.app import App

LIMITS = ("X-DayLimit-Remaining", "X-MinLimit-Remaining", "X-AppMinLimit-Remaining")


def problem(answer: requests.Response) -> tuple[int, str, str]:
    body = answer.json()
    assert sorted(body) == ["Detail", "Extensions", "Instance", "Status", "Title", "Type"]
    assert (body["Status"], body["Type"], body["Extensions"]) == (answer.status_code, None, {})
    UUID(body["Instance"])
    return answer.status_code, body["Title"], body["Detail"]


def test_organisation_is_answered_as_xeros_file_says(app: App) -> None:
    answer = app.call("GET", "Organisation")
    openapi.check_response("accounting.yaml", "GET", "/Organisation", 200, answer.json())
    assert answer.json()["Organisations"][0]["OrganisationID"] == app.tenant
    UUID(answer.headers["X-Correlation-Id"])


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_bad_token_is_401(app: App, token: str) -> None:
    answer = app.call("GET", "Organisation", Authorization=f"Bearer {token}" if token else "")
    assert problem(answer) == (401, "Unauthorized", "AuthenticationUnsuccessful")


def test_token_of_another_key_is_401(app: App) -> None:
    head, body, signature = app.tokens["access_token"].split(".")
    forged = ".".join([head, body, signature[:-8] + "AAAAAAAA"])
    assert app.call("GET", "Organisation", Authorization=f"Bearer {forged}").status_code == 401


def test_expired_token_says_so(app: App) -> None:
    app.sandbox.api("POST", "clock", {"advance_seconds": 1801})
    answer = app.call("GET", "Organisation")
    status, title, detail = problem(answer)
    assert (status, title) == (401, "Unauthorized")
    assert re.fullmatch(r"TokenExpired: token expired at \d\d/\d\d/\d{4} \d\d:\d\d:\d\d", detail)
    assert answer.headers["WWW-Authenticate"] == "Bearer error=invalid_token"
    app.tokens = app.refresh().json()
    assert app.call("GET", "Organisation").status_code == 200


SCOPE_TABLE: list[tuple[str, dict[str, str]]] = [
    (
        "accounting.transactions",
        {"GET Invoices": "ok", "PUT Invoices": "ok", "GET Payments": "ok", "GET Items": "no"},
    ),
    (
        "accounting.transactions.read",
        {"GET Invoices": "ok", "PUT Invoices": "no", "GET Contacts": "no"},
    ),
    (
        "accounting.invoices",
        {"GET Invoices": "ok", "PUT Invoices": "ok", "GET Payments": "no", "GET Items": "ok"},
    ),
    (
        "accounting.invoices.read",
        {"GET Invoices": "ok", "PUT Invoices": "no", "POST Invoices": "no"},
    ),
    ("accounting.payments", {"GET Invoices": "no", "GET Payments": "ok", "PUT Payments": "ok"}),
    (
        "accounting.contacts.read",
        {"GET Contacts": "ok", "PUT Contacts": "no", "GET Accounts": "no"},
    ),
    (
        "accounting.settings.read",
        {"GET Accounts": "ok", "GET Organisation": "ok", "GET Items": "ok", "GET Invoices": "no"},
    ),
]


@pytest.mark.parametrize(("scope", "expected"), SCOPE_TABLE)
def test_scope_opens_its_endpoints_only(
    sandbox: SandboxProcess, scope: str, expected: dict[str, str]
) -> None:
    app = App(sandbox).connect(scope=scope)
    found = {}
    for name in expected:
        method, path = name.split()
        answer = app.call(method, path, None if method == "GET" else {})
        found[name] = "no" if answer.status_code == 401 else "ok"
        if answer.status_code == 401:
            assert problem(answer) == (401, "Unauthorized", "AuthorizationUnsuccessful")
            assert answer.headers["WWW-Authenticate"] == "Bearer error=insufficient_scope"
    assert found == expected


@pytest.mark.parametrize("tenant", ["", "not-a-guid", str(UUID(int=1))])
def test_unknown_tenant_is_403(app: App, tenant: str) -> None:
    answer = app.call("GET", "Organisation", xero_tenant_id=tenant)
    assert problem(answer) == (403, "Forbidden", "AuthenticationUnsuccessful")


def test_tenant_that_this_user_did_not_connect_is_403(sandbox: SandboxProcess) -> None:
    app = App(sandbox).connect(0)
    App(sandbox).connect(1)
    other = App(sandbox).connect(0, user="oliver")
    assert (
        other.call(
            "GET", "Organisation", xero_tenant_id=sandbox.organisation(1)["tenant_id"]
        ).status_code
        == 403
    )
    assert (
        app.call(
            "GET", "Organisation", xero_tenant_id=sandbox.organisation(1)["tenant_id"]
        ).status_code
        == 200
    )


def test_read_only_person_cannot_write(sandbox: SandboxProcess) -> None:
    app = App(sandbox).connect(1, user="priya")
    assert (app.call("GET", "Contacts").status_code, app.contact("Nobody").status_code) == (
        200,
        403,
    )


def test_each_answer_tells_what_is_left(app: App) -> None:
    first, second = app.call("GET", "Organisation"), app.call("GET", "Organisation")
    assert [int(first.headers[name]) - int(second.headers[name]) for name in LIMITS] == [1, 1, 1]


def test_minute_limit_refuses_until_the_window_ends(app: App) -> None:
    app.sandbox.api("POST", "settings", {"minute_limit": 3})
    answers = [app.call("GET", "Organisation") for _ in range(4)]
    refused = answers[-1]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert (refused.headers["X-Rate-Limit-Problem"], refused.content) == ("minute", b"")
    wait = int(refused.headers["Retry-After"])
    assert 1 <= wait <= 60
    app.sandbox.api("POST", "clock", {"advance_seconds": wait})
    assert app.call("GET", "Organisation").status_code == 200


def test_minute_limit_is_per_organisation(sandbox: SandboxProcess) -> None:
    first, second = App(sandbox).connect(0), App(sandbox).connect(1)
    sandbox.api("POST", "settings", {"minute_limit": 1})
    statuses = [app.call("GET", "Organisation").status_code for app in (first, first, second)]
    assert statuses == [200, 429, 200]


def test_day_limit_refuses_for_hours(app: App) -> None:
    app.sandbox.api("POST", "settings", {"daily_limit": 1})
    app.call("GET", "Organisation")
    refused = app.call("GET", "Organisation")
    assert (refused.status_code, refused.headers["X-Rate-Limit-Problem"]) == (429, "day")
    assert refused.headers["X-DayLimit-Remaining"] == "0"
    assert 1 <= int(refused.headers["Retry-After"]) <= 86400


def test_app_minute_limit_counts_all_organisations(sandbox: SandboxProcess) -> None:
    first, second = App(sandbox).connect(0), App(sandbox).connect(1)
    sandbox.api("POST", "settings", {"app_minute_limit": 1})
    answers = [app.call("GET", "Organisation") for app in (first, second)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert (
        answers[1].headers["X-Rate-Limit-Problem"],
        answers[1].headers["X-AppMinLimit-Remaining"],
    ) == (
        "appminute",
        "0",
    )


def test_sixth_call_at_once_is_refused_without_retry_after(app: App) -> None:
    app.sandbox.api("POST", "settings", {"latency_ms": 400})
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: App.call(app, "GET", "Organisation"), range(6)))
    [refused] = [answer for answer in answers if answer.status_code == 429]
    assert refused.headers["X-Rate-Limit-Problem"] == "concurrent"
    assert "Retry-After" not in refused.headers


def test_same_key_and_request_give_the_first_answer_again(app: App) -> None:
    name = f"Twice {uuid4()}"
    first, again = app.contact(name, "key-a"), app.contact(name, "key-a")
    assert (first.status_code, again.content) == (200, first.content)
    assert (
        int(first.headers["X-MinLimit-Remaining"]) - int(again.headers["X-MinLimit-Remaining"]) == 1
    )


def test_remembered_error_is_given_again(app: App) -> None:
    first, again = app.contact("", "key-e"), app.contact("", "key-e")
    assert (first.status_code, again.status_code, again.content) == (400, 400, first.content)


def test_same_key_with_another_request_is_refused(app: App) -> None:
    app.contact(f"One {uuid4()}", "key-b")
    answer = app.contact(f"Two {uuid4()}", "key-b")
    assert problem(answer) == (
        400,
        "Bad Request",
        "Idempotency Key key-b is used with a different request",
    )


def test_key_is_forgotten_after_six_minutes(app: App) -> None:
    name = f"Later {uuid4()}"
    app.contact(name, "key-c")
    app.sandbox.api("POST", "clock", {"advance_seconds": 355})
    assert app.contact(name, "key-c").status_code == 200
    app.sandbox.api("POST", "clock", {"advance_seconds": 6})
    assert app.contact(name, "key-c").status_code == 400


def test_key_longer_than_128_characters_is_refused(app: App) -> None:
    assert app.contact(f"Short {uuid4()}", "k" * 128).status_code == 200
    assert app.contact(f"Long {uuid4()}", "k" * 129).status_code == 400


def test_key_is_ignored_on_reads(app: App) -> None:
    first = app.call("GET", "Organisation", Idempotency_Key="key-r")
    second = app.call("GET", "Accounts", Idempotency_Key="key-r")
    assert (first.status_code, second.status_code) == (200, 200)


def test_key_in_use_is_refused_while_the_first_call_runs(app: App) -> None:
    app.sandbox.api("POST", "settings", {"latency_ms": 500})
    name = f"Racing {uuid4()}"

    def send(delay: float) -> Any:
        time.sleep(delay)
        return app.contact(name, "key-f").status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(send, (0, 0.2))) == [200, 409]


def test_malformed_id_is_404_in_html(app: App) -> None:
    answer = app.call("GET", "Invoices/nonsense-id")
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (404, "text/html")


def test_answer_is_xml_unless_json_is_asked_for(app: App) -> None:
    answer = app.call("GET", "Organisation", Accept="*/*")
    assert "xml" in answer.headers["Content-Type"]


def test_calls_are_counted_by_organisation_endpoint_and_status(app: App) -> None:
    app.sandbox.api("DELETE", "counters")
    app.call("GET", "Accounts")
    app.call("GET", "Invoices?page=1")
    app.call("GET", "Invoices?page=2")
    accounting = [call for call in app.sandbox.api("GET", "counters") if call["tenant_id"]]
    assert [(call["endpoint"], call["status"], call["count"]) for call in accounting] == [
        ("Accounts", 200, 1),
        ("Invoices", 200, 2),
    ]
