"""Every fault, seen from the caller's side of the wire."""

import time
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.sandbox_process import SandboxProcess
from tests.xero.sandbox.app import App
from xero.sandbox.gateway.faults import CALL_KINDS, WEBHOOK_KINDS


def fault(app: App, kind: str, **more: Any) -> None:
    app.sandbox.api("POST", "faults", {"kind": kind, **more})


def exists(app: App, name: str) -> bool:
    found = app.call("GET", "Contacts", None, If_Modified_Since="2020-01-01T00:00:00")
    return name in [contact["Name"] for contact in found.json()["Contacts"]]


@pytest.mark.parametrize(
    ("kind", "status", "headers"),
    [
        ("limit_minute", 429, {"X-Rate-Limit-Problem": "minute", "Retry-After": "7"}),
        (
            "limit_day",
            429,
            {"X-Rate-Limit-Problem": "day", "Retry-After": "7", "X-DayLimit-Remaining": "0"},
        ),
        ("limit_concurrent", 429, {"X-Rate-Limit-Problem": "concurrent", "Retry-After": None}),
        ("error_500_before", 500, {}),
        ("error_503_before", 503, {"Content-Type": "text/plain; charset=utf-8"}),
        ("html", 200, {"Content-Type": "text/html; charset=utf-8"}),
        ("token_expired", 401, {"WWW-Authenticate": "Bearer error=invalid_token"}),
        ("disconnected", 403, {}),
    ],
)
def test_fault_answers_once_and_nothing_is_executed(
    app: App, kind: str, status: int, headers: dict[str, str | None]
) -> None:
    name = f"Before {uuid4()}"
    fault(app, kind, seconds=7)
    answer = app.contact(name)
    assert answer.status_code == status
    assert {header: answer.headers.get(header) for header in headers} == headers
    assert not exists(app, name)


@pytest.mark.parametrize(("kind", "status"), [("error_500_after", 500), ("error_503_after", 503)])
def test_fault_after_execution_answers_badly_but_has_written(
    app: App, kind: str, status: int
) -> None:
    name = f"After {uuid4()}"
    fault(app, kind)
    assert app.contact(name, key := str(uuid4())).status_code == status
    assert exists(app, name)
    assert app.contact(name, key).status_code == 200


def test_remembered_500_is_given_again_under_its_key(app: App) -> None:
    name = f"Remembered {uuid4()}"
    fault(app, "error_500_remembered")
    key = str(uuid4())
    assert [app.contact(name, key).status_code for _ in range(2)] == [500, 500]
    assert exists(app, name)


@pytest.mark.parametrize(("kind", "written"), [("reset_before", False), ("reset_after", True)])
def test_reset_breaks_the_connection(app: App, kind: str, written: bool) -> None:
    name = f"Reset {uuid4()}"
    fault(app, kind)
    with pytest.raises(requests.ConnectionError) as raised:
        app.contact(name)
    assert "reset by peer" in str(raised.value)
    assert exists(app, name) == written


def test_silence_after_execution_times_out_but_has_written(app: App) -> None:
    name = f"Silent {uuid4()}"
    fault(app, "timeout_after", seconds=30)
    with pytest.raises(requests.ReadTimeout):
        app.call("PUT", "Contacts", {"Contacts": [{"Name": name}]}, timeout=0.5)
    assert exists(app, name)


def test_half_body_ends_early(app: App) -> None:
    fault(app, "half_body")
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        app.call("GET", "Accounts")


def test_slow_and_slow_body_arrive_late_but_whole(app: App) -> None:
    for kind in ("slow", "slow_body"):
        fault(app, kind, seconds=0.4)
        start = time.monotonic()
        answer = app.call("GET", "Accounts")
        assert len(answer.json()["Accounts"]) > 10
        assert time.monotonic() - start >= 0.4


def test_fault_counts_down_and_then_all_is_well(app: App) -> None:
    fault(app, "error_503_before", remaining=2)
    assert [app.call("GET", "Organisation").status_code for _ in range(3)] == [503, 503, 200]


def test_fault_may_last_until_switched_off(app: App) -> None:
    fault(app, "error_503_before", remaining=None)
    [active] = app.sandbox.api("GET", "faults")
    before = [app.call("GET", "Organisation").status_code for _ in range(3)]
    app.sandbox.api("DELETE", f"faults/{active['id']}")
    assert (before, app.call("GET", "Organisation").status_code) == ([503] * 3, 200)


def test_fault_meets_only_what_it_matches(sandbox: SandboxProcess) -> None:
    first, second = App(sandbox).connect(0), App(sandbox).connect(1)
    fault(
        first,
        "error_503_before",
        remaining=None,
        path="*/Accounts",
        method="GET",
        tenant_id=first.tenant,
    )
    statuses = {
        "path": first.call("GET", "Organisation").status_code,
        "tenant": second.call("GET", "Accounts").status_code,
        "match": first.call("GET", "Accounts").status_code,
    }
    assert statuses == {"path": 200, "tenant": 200, "match": 503}


def test_lost_answer_to_a_refresh_is_covered_by_the_grace(app: App) -> None:
    fault(app, "reset_after", path="/connect/token")
    with pytest.raises(requests.ConnectionError):
        app.refresh()
    assert app.refresh().status_code == 200
    assert app.sandbox.api("GET", "tokens")["issued"]["refresh_token_in_grace"] == 1


def test_every_kind_is_accepted_and_no_other(sandbox: SandboxProcess) -> None:
    for kind in CALL_KINDS | WEBHOOK_KINDS:
        sandbox.api("POST", "faults", {"kind": kind})
    sandbox.api("POST", "faults", {"kind": "unknown"}, status=400)
    sandbox.api("POST", "faults", {"kind": "slow", "remaining": 0}, status=400)
    sandbox.api("POST", "faults", {"kind": "slow", "colour": "red"}, status=400)
    assert len(sandbox.api("GET", "faults")) == len(CALL_KINDS | WEBHOOK_KINDS)
