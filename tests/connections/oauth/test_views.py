"""The way back from Xero with everything that can be wrong with it: nothing is exchanged, nobody
sees an error 500.
"""

import threading
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.db import connection as database
from django.db.models.functions import Now
from django.test import Client

from connections import disconnection
from connections.models import Connection, Consent, Grant
from connections.oauth import consents
from taskjuice.workspaces.models import Agency, AuditEntry, Membership, User, Workspace
from tests.conftest import SignIn
from tests.connections.conftest import callback_path, come_back, start
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)
CALLBACK = "/connections/xero/callback/"


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


def exchanges(sandbox: SandboxProcess) -> int:
    """How many codes the sandbox was asked to take, taken or not."""
    issued = sandbox.api("GET", "state")["issued"]
    return int(issued.get("authorization_code", 0) + issued.get("invalid_grant", 0))


def nothing_happened(sandbox: SandboxProcess) -> bool:
    return (exchanges(sandbox), Grant.objects.count(), Connection.objects.count()) == (0, 0, 0)


def was_given_back(sandbox: SandboxProcess) -> bool:
    """Whether nothing of the consent is left at the provider or here, tokens neither."""
    kept = (Grant.objects.count(), Connection.objects.count(), sandbox.api("GET", "connections"))
    return (exchanges(sandbox), *kept) == (1, 0, 0, [])


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=abcdef",
        "state=&code=abcdef",
        "state=unknown&code=abcdef",
        "state=%00%ff&code=abcdef",
        f"state={'x' * 10_000}&code=abcdef",
        "error=access_denied",
        "error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=" + "d" * 10_000,
    ],
)
def test_callback_without_our_state_is_refused(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess, query: str
) -> None:
    start(as_admin, workspace)
    answer = as_admin.get(f"{CALLBACK}?{query}")
    assert answer.status_code == 400
    assert "<script>alert" not in answer.content.decode()
    assert nothing_happened(sandbox)


@pytest.mark.parametrize(
    "extra",
    ["state=other", "code=other", "error=access_denied", "error=a&error=b"],
)
def test_callback_with_repeated_or_contradicting_parameters_is_refused(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess, extra: str
) -> None:
    path = callback_path(
        sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    )
    answer = as_admin.get(f"{path}&{extra}")
    assert answer.status_code == 400
    assert nothing_happened(sandbox)


@pytest.mark.parametrize("code", ["", "c" * 10_000, None])
def test_callback_without_a_usable_code_is_refused(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess, code: str | None
) -> None:
    query = {"state": state_of(start(as_admin, workspace))} | (
        {} if code is None else {"code": code}
    )
    answer = as_admin.get(f"{CALLBACK}?{urlencode(query)}")
    assert answer.status_code == 400
    assert nothing_happened(sandbox)


def test_callback_with_a_code_of_two_lines_fails_cleanly(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    query = urlencode({"state": state_of(start(as_admin, workspace)), "code": "abc\r\nX-Evil: 1"})
    assert as_admin.get(f"{CALLBACK}?{query}").status_code == 400
    assert Grant.objects.count() == 0


def test_callback_used_twice_is_refused_the_second_time(
    as_admin: Client, agency: Agency, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    path = callback_path(
        sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    )
    assert as_admin.get(path).status_code == 302
    again = as_admin.get(path)
    assert again.status_code == 400
    assert exchanges(sandbox) == 1
    refusals = AuditEntry.objects.filter(agency=agency, verb="consent refused")
    assert [entry.details for entry in refusals] == [{"reason": "used"}]


def test_callback_older_than_ten_minutes_is_refused(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    path = callback_path(
        sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    )
    Consent.objects.update(created_at=Now() - timedelta(minutes=11))
    answer = as_admin.get(path)
    assert answer.status_code == 400
    assert "took too long" in answer.content.decode()
    assert nothing_happened(sandbox)


def test_callback_of_another_person_or_session_is_refused(
    as_admin: Client,
    as_owner: Client,
    as_anonymous: Client,
    sign_in: SignIn,
    admin: User,
    workspace: Workspace,
    sandbox: SandboxProcess,
) -> None:
    path = callback_path(
        sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    )
    others = [as_owner, sign_in(admin), as_anonymous]
    assert [other.get(path).status_code for other in others] == [400, 400, 400]
    assert nothing_happened(sandbox)
    assert as_admin.get(path).status_code == 302


def test_callback_of_another_provider_is_not_found(
    as_admin: Client, sandbox: SandboxProcess
) -> None:
    assert as_admin.get("/connections/elsewhere/callback/?state=a&code=b").status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete", "head", "options"])
def test_callback_takes_nothing_but_get(as_admin: Client, method: str) -> None:
    assert getattr(as_admin, method)(CALLBACK).status_code == 405


def test_refused_consent_shows_a_friendly_page(
    as_admin: Client, agency: Agency, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    query = urlencode(
        {
            "error": "access_denied",
            "error_description": "TenantConsent status DENIED <script>alert(1)</script>",
            "state": state_of(start(as_admin, workspace)),
        }
    )
    answer = as_admin.get(f"{CALLBACK}?{query}")
    assert answer.status_code == 200
    assert "Consent was refused" in answer.content.decode()
    assert "<script>alert" not in answer.content.decode()
    assert nothing_happened(sandbox)
    assert as_admin.get(f"{CALLBACK}?{query}").status_code == 400


def test_right_lost_between_start_and_callback_is_forbidden(
    as_admin: Client, admin: User, agency: Agency, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    path = callback_path(
        sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    )
    Membership.objects.filter(user=admin).update(role="member")
    assert len(sandbox.api("GET", "connections")) == 1  # Xero counts it from the consent on
    assert as_admin.get(path).status_code == 403
    Membership.objects.filter(user=admin).delete()
    assert as_admin.get(path).status_code == 400
    assert was_given_back(sandbox)


def test_right_lost_during_the_exchange_gives_the_tokens_back(
    as_admin: Client,
    admin: User,
    workspace: Workspace,
    sandbox: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from xero.provider import XeroProvider

    exchange = XeroProvider.exchange

    def slow_exchange(self: XeroProvider, **given: Any) -> Any:
        consented = exchange(self, **given)
        Membership.objects.filter(user=admin).update(role="member")
        return consented

    monkeypatch.setattr(XeroProvider, "exchange", slow_exchange)
    answer = come_back(
        as_admin, sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    )
    assert answer.status_code == 403
    assert (Grant.objects.count(), sandbox.api("GET", "connections")) == (0, [])


def test_archived_client_is_forbidden(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    path = callback_path(
        sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    )
    Workspace.objects.update(archived_at=Now())
    assert as_admin.get(path).status_code == 403
    assert was_given_back(sandbox)


def test_parallel_callbacks_exchange_once_and_all_arrive(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xero.provider import XeroProvider

    path = callback_path(
        sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    )
    exchange, wait = XeroProvider.exchange, consents.wait_for_exchange
    under_way = threading.Barrier(4, timeout=20)  # the exchange goes on when the others wait for it
    answers: list[tuple[int, str]] = []

    def watched_exchange(self: XeroProvider, **given: Any) -> Any:
        under_way.wait()
        return exchange(self, **given)

    def watched_wait(consent: Consent) -> bool:
        under_way.wait()
        return wait(consent)

    monkeypatch.setattr(XeroProvider, "exchange", watched_exchange)
    monkeypatch.setattr(consents, "wait_for_exchange", watched_wait)

    def go() -> None:
        client = Client()
        client.cookies = as_admin.cookies
        answer = client.get(path)
        answers.append((answer.status_code, answer.get("Location", "")))
        database.close()

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    consent = Consent.objects.get()
    assert answers == 4 * [(302, f"/northwind/harbour-cafe/connections/choose/{consent.pk}/")]
    assert exchanges(sandbox) == 1


def test_choice_of_another_person_is_not_found(
    as_admin: Client,
    as_owner: Client,
    as_member: Client,
    workspace: Workspace,
    sandbox: SandboxProcess,
) -> None:
    answer = come_back(
        as_admin, sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    )
    url = answer["Location"]
    assert [client.get(url).status_code for client in (as_owner, as_member)] == [404, 403]
    wrong = as_admin.post(url, {"tenants": ["not-offered"]})
    assert (wrong.status_code, Connection.objects.count()) == (422, 0)
    nonsense = as_admin.post(url, {"tenant_id": "\x00; drop table"})
    assert (nonsense.status_code, Connection.objects.count()) == (422, 0)


def test_choice_made_twice_connects_once(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    answer = come_back(as_admin, sandbox.allow(start(as_admin, workspace), tenant))
    for _ in range(2):
        assert as_admin.post(answer["Location"], {"tenants": [tenant]}).status_code == 302
    assert Connection.objects.count() == 1


def test_code_never_reaches_the_log(
    as_admin: Client,
    workspace: Workspace,
    sandbox: SandboxProcess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    redirect = sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    code = parse_qs(urlsplit(redirect).query)["code"][0]
    sandbox.api("POST", "faults", {"kind": "error_500_before", "path": "/connect/token"})
    answer = come_back(as_admin, redirect)
    assert answer.status_code == 503
    assert code not in caplog.text + answer.content.decode()


@pytest.mark.parametrize(
    "scopes",
    ["openid profile email accounting.contacts", "offline_access openid accounting.contacts"],
)
def test_tokens_with_too_little_are_refused_and_given_back(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess, settings: Any, scopes: str
) -> None:
    needed = settings.XERO_SCOPES
    settings.XERO_SCOPES = scopes.split()
    redirect = sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    settings.XERO_SCOPES = needed
    answer = come_back(as_admin, redirect)
    assert answer.status_code == 400
    assert "Reconnect with all permissions" in answer.content.decode()
    assert (Grant.objects.count(), sandbox.api("GET", "connections")) == (0, [])


@pytest.mark.parametrize("kind", ["html", "half_body", "reset_before", "error_503_before"])
@pytest.mark.parametrize("path", ["/connect/token", "/connections"])
def test_trouble_during_the_exchange_connects_nothing(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess, kind: str, path: str
) -> None:
    redirect = sandbox.allow(start(as_admin, workspace), sandbox.organisation()["tenant_id"])
    sandbox.api("POST", "faults", {"kind": kind, "path": path})
    answer = come_back(as_admin, redirect)
    assert answer.status_code == 503
    assert "Xero does not answer" in answer.content.decode()
    assert Connection.objects.count() == 0
    Grant.objects.update(refreshed_at=Now() - timedelta(hours=1))
    disconnection.finish_disconnects()
    assert [grant.tokens for grant in Grant.objects.all() if grant.tokens] == []
    assert path == "/connect/token" or sandbox.api("GET", "connections") == []
