"""Tokens kept alive: refreshed once whoever asks, never lost to a crash, never believed dead too
early.
"""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection as database
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from connections import errors
from connections.models import Connection, ConnectionState, Grant, GrantState, TokenRefresh
from connections.oauth import encryption, grants
from taskjuice.workspaces.models import AuditEntry, Workspace
from tests.connections.conftest import connect
from tests.environment import ROOT
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def grant(as_admin: Client, workspace: Workspace, sandbox: SandboxProcess) -> Grant:
    """A live grant with one connection."""
    connect(as_admin, workspace, sandbox, sandbox.organisation()["tenant_id"])
    sandbox.api("DELETE", "counters")
    return Grant.objects.get()


def expire(left: timedelta = timedelta(0)) -> None:
    Grant.objects.update(access_expires_at=Now() + left)


def secrets(grant: Grant) -> dict[str, str]:
    grant.refresh_from_db()
    owner = grants.build_owner_name(grant.provider, grant.app_id, grant.provider_user_id)
    return encryption.unseal(owner, grant.tokens)


def outcomes() -> list[str]:
    return list(TokenRefresh.objects.order_by("id").values_list("outcome", flat=True))


def issued(sandbox: SandboxProcess) -> dict[str, int]:
    return dict(sandbox.api("GET", "state")["issued"])


class Refresher:
    """Another process of the product."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        database.ensure_connection()
        db = database.connection.info
        socket = quote(db.host, safe="")
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "taskjuice.settings",
            "DATABASE_URL": f"postgres://{db.user}:@/{db.dbname}?host={socket}&port={db.port}",
            "XERO_CLIENT_ID": sandbox.client_id,
            "XERO_CLIENT_SECRET": sandbox.client_secret,
            "XERO_LOGIN_URL": sandbox.base_url,
            "XERO_IDENTITY_URL": sandbox.base_url,
            "XERO_API_URL": sandbox.base_url,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.connections.refresher"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, at: float, grant: Grant, crash: str = "-") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{at} {grant.pk} {crash}\n")
        self.process.stdin.flush()

    def hear(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()


@pytest.fixture
def refreshers(sandbox: SandboxProcess) -> Iterator[Callable[[int], list[Refresher]]]:
    running: list[Refresher] = []

    def started(number: int) -> list[Refresher]:
        new = [Refresher(sandbox) for _ in range(number)]
        running.extend(new)
        assert [one.hear() for one in new] == [["ready"]] * number
        return new

    yield started
    for one in running:
        one.process.kill()
        one.process.__exit__(None, None, None)  # waits, and closes both pipes


def test_fresh_token_is_served_without_asking(grant: Grant, sandbox: SandboxProcess) -> None:
    assert grants.get_access_token(grant) == secrets(grant)["access_token"]
    assert outcomes() == []


@pytest.mark.parametrize(
    "left", [timedelta(minutes=4, seconds=55), timedelta(0), timedelta(days=-1)]
)
def test_token_is_refreshed_when_under_five_minutes_are_left(
    grant: Grant, sandbox: SandboxProcess, left: timedelta
) -> None:
    before = secrets(grant)
    expire(left)
    token = grants.get_access_token(grant)
    after = secrets(grant)
    assert (token, after["previous_refresh_token"]) == (
        after["access_token"],
        before["refresh_token"],
    )
    assert after["refresh_token"] != before["refresh_token"]
    assert outcomes() == ["refreshed"]


@pytest.mark.processes
def test_eight_processes_refresh_once(
    grant: Grant, sandbox: SandboxProcess, refreshers: Callable[[int], list[Refresher]]
) -> None:
    others = refreshers(8)
    for round_ in range(1, 11):
        expire()
        at = time.time() + 0.1
        for other in others:
            other.tell(at, grant)
        answers = {tuple(other.hear()) for other in others}
        token = secrets(grant)["access_token"]
        assert answers == {(str(grant.version), hashlib.sha256(token.encode()).hexdigest())}
        assert issued(sandbox).get("refresh_token") == round_
    assert issued(sandbox).get("invalid_grant", 0) == 0
    assert outcomes() == ["refreshed"] * 10


@pytest.mark.processes
@pytest.mark.parametrize("point", ["after-response", "after-commit"])
def test_killed_refresh_is_recovered_inside_the_grace(
    grant: Grant, sandbox: SandboxProcess, refreshers: Callable[[int], list[Refresher]], point: str
) -> None:
    (doomed,) = refreshers(1)
    expire()
    doomed.tell(0, grant, point)
    assert doomed.hear() == []
    if point == "after-response":
        with pytest.raises(errors.RetryLater):
            grants.get_access_token(grant)  # the dead process still holds the lease
        Grant.objects.update(lease_until=Now() - timedelta(seconds=1))
    token = grants.get_access_token(grant)
    assert (token, Connection.objects.get().state) == (
        secrets(grant)["access_token"],
        ConnectionState.ACTIVE,
    )
    assert issued(sandbox).get("refresh_token_in_grace", 0) == (
        1 if point == "after-response" else 0
    )
    assert issued(sandbox).get("invalid_grant", 0) == 0


@pytest.mark.processes
def test_late_writer_cannot_overwrite_a_newer_token(
    grant: Grant, sandbox: SandboxProcess, refreshers: Callable[[int], list[Refresher]]
) -> None:
    (late,) = refreshers(1)
    expire()
    late.tell(0, grant, "slow:1.5")
    until = time.monotonic() + 10
    while Grant.objects.filter(lease_until=None).exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    Grant.objects.update(lease_until=Now() - timedelta(seconds=1))  # it holds the lease no longer
    time.sleep(0.2)
    token = grants.get_access_token(grant)
    answer = late.hear()
    assert answer == [
        str(secrets(grant) and grant.version),
        hashlib.sha256(token.encode()).hexdigest(),
    ]
    assert secrets(grant)["access_token"] == token
    assert outcomes() == ["refreshed", "race"]


@pytest.mark.parametrize(
    "kind", ["error_500_before", "error_503_before", "html", "reset_before", "half_body"]
)
def test_trouble_at_xero_is_transient_and_loses_nothing(
    grant: Grant, sandbox: SandboxProcess, kind: str
) -> None:
    before = secrets(grant)
    expire()
    sandbox.api("POST", "faults", {"kind": kind, "path": "/connect/token"})
    with pytest.raises(errors.RetryLater) as raised:
        grants.get_access_token(grant)
    assert raised.value.at is not None
    assert raised.value.at > timezone.now()
    with pytest.raises(errors.RetryLater):
        grants.get_access_token(grant)  # nobody asks again before the pause is over
    assert (outcomes(), secrets(grant)) == (["transient"], before)
    assert Connection.objects.get().state == ConnectionState.ACTIVE
    Grant.objects.update(retry_at=Now())
    assert grants.get_access_token(grant) == secrets(grant)["access_token"]
    assert outcomes() == ["transient", "refreshed"]


def test_pause_doubles_with_failures_in_a_row_and_with_no_others(
    grant: Grant, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the database's clock: this machine's own is ten minutes wrong."""
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + timedelta(minutes=10))

    def pause_after_failure() -> float:
        Grant.objects.update(retry_at=None, access_expires_at=Now())
        sandbox.api("POST", "faults", {"kind": "error_500_before", "path": "/connect/token"})
        with pytest.raises(errors.RetryLater):
            grants.get_access_token(grant)
        row = Grant.objects.annotate(now=Now()).values_list("retry_at", "now").get()
        assert row[0] is not None
        return float((row[0] - row[1]).total_seconds())

    def rounded(seconds: float) -> int:
        return next(step for step in (2, 4, 8, 16, 32, 60, 10**6) if seconds <= step)

    assert [rounded(pause_after_failure()) for _ in range(3)] == [2, 4, 8]
    Grant.objects.update(retry_at=None)
    grants.get_access_token(grant)
    assert rounded(pause_after_failure()) == 2  # the three before were not in a row with it
    assert outcomes() == [*["transient"] * 3, "refreshed", "transient"]


def test_token_at_hand_serves_while_refreshing_is_impossible(
    grant: Grant, sandbox: SandboxProcess
) -> None:
    expire(timedelta(minutes=2))
    sandbox.api(
        "POST", "faults", {"kind": "error_500_before", "path": "/connect/token", "remaining": None}
    )
    assert [grants.get_access_token(grant) for _ in range(3)] == [
        secrets(grant)["access_token"]
    ] * 3
    assert outcomes() == ["transient"]


def test_refusal_is_not_believed_when_newer_tokens_are_stored(
    grant: Grant, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire()
    ask = grants._request_tokens

    def overtaken(held: Any, token: str) -> Any:
        Grant.objects.update(
            version=F("version") + 1, access_expires_at=Now() + timedelta(minutes=30)
        )
        raise errors.NeedsConsent("invalid_grant")

    monkeypatch.setattr(grants, "_request_tokens", overtaken)
    assert grants.get_access_token(grant) == secrets(grant)["access_token"]
    monkeypatch.setattr(grants, "_request_tokens", ask)
    assert (Grant.objects.get().state, outcomes()) == (GrantState.ACTIVE, ["race"])


def test_previous_token_is_tried_before_a_refusal_is_believed(
    grant: Grant, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire()
    grants.get_access_token(grant)
    previous = secrets(grant)["previous_refresh_token"]
    expire()
    ask, asked = grants._request_tokens, []

    def refuses_the_current(held: Any, token: str) -> Any:
        asked.append(token)
        if token != previous:
            raise errors.NeedsConsent("invalid_grant")
        return ask(held, token)

    monkeypatch.setattr(grants, "_request_tokens", refuses_the_current)
    assert grants.get_access_token(grant) == secrets(grant)["access_token"]
    assert len(asked) == 2


def test_revoked_in_xero_marks_the_connection_once(grant: Grant, sandbox: SandboxProcess) -> None:
    sandbox.api("POST", "tokens/revoke", {})
    expire()
    failures: list[type[Exception]] = []

    def ask() -> None:
        try:
            grants.get_access_token(grant)
        except errors.ProviderError as error:
            failures.append(type(error))
        database.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [errors.NeedsConsent] * 8
    assert (Grant.objects.get().state, Connection.objects.get().state) == ("error", "error")
    assert AuditEntry.objects.filter(verb="connection broken").count() == 1
    assert issued(sandbox)["invalid_grant"] == 1


def test_idle_grants_are_refreshed_weekly(grant: Grant, sandbox: SandboxProcess) -> None:
    assert grants.refresh_idle_grants() == 0
    Grant.objects.update(refreshed_at=Now() - timedelta(days=8))
    assert (grants.refresh_idle_grants(), grants.refresh_idle_grants()) == (1, 0)
    assert outcomes() == ["refreshed"]


def test_refresh_inside_a_transaction_is_refused(grant: Grant, sandbox: SandboxProcess) -> None:
    from django.db import transaction

    expire()
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        grants.get_access_token(grant)


def test_second_consent_of_the_same_person_keeps_one_grant(
    grant: Grant, as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    before = grant.version
    connect(as_admin, workspace, sandbox, sandbox.organisation(1)["tenant_id"])
    grant.refresh_from_db()
    assert (Grant.objects.count(), grant.version, grant.connections.count()) == (1, before + 1, 2)
