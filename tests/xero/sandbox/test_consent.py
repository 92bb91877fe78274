"""The consent page and the addresses it sends a person back to."""

import pytest
import requests

from tests.sandbox_process import SandboxProcess
from tests.xero.sandbox.app import CHALLENGE, REDIRECT_URI, App, query_of


def post(url: str, **form: str) -> requests.Response:
    return requests.post(url, data=form, allow_redirects=False, timeout=10)


def test_consent_page_offers_the_organisations_that_the_person_sees(
    sandbox: SandboxProcess,
) -> None:
    names = [organisation["name"] for organisation in sandbox.api("GET", "organisations")]
    url = App(sandbox).authorize_url()
    shown = {
        user: requests.get(f"{url}&sandbox_user={user}", timeout=10).text
        for user in ("mere", "oliver")
    }
    offered = {
        user: [name for name in names if name.replace("&", "&amp;") in text]
        for user, text in shown.items()
    }
    assert offered == {"mere": names, "oliver": names[:1]}


def test_allow_sends_back_code_and_state(sandbox: SandboxProcess) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    answer = post(App(sandbox).authorize_url(), user="mere", tenant=tenant, action="allow")
    location = answer.headers["Location"]
    assert (answer.status_code, location.split("?")[0]) == (302, REDIRECT_URI)
    assert sorted(query_of(location)) == ["code", "scope", "session_state", "state"]
    assert query_of(location)["state"] == "state-1"


def test_cancel_sends_back_xeros_refusal(sandbox: SandboxProcess) -> None:
    answer = post(App(sandbox).authorize_url(), user="mere", action="cancel")
    assert query_of(answer.headers["Location"]) == {
        "error": "access_denied",
        "error_description": "TenantConsent status DENIED",
        "state": "state-1",
    }


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_id": "unknown"}, "unauthorized_client"),
        ({"redirect_uri": REDIRECT_URI[:-1]}, "invalid_request"),
        ({"redirect_uri": REDIRECT_URI.replace("localhost", "127.0.0.1")}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid accounting.everything"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_bad_request_is_answered_on_xeros_own_page(
    sandbox: SandboxProcess, changed: dict[str, str], error: str
) -> None:
    url = App(sandbox).authorize_url(**changed)
    answer = requests.get(url, allow_redirects=False, timeout=10)
    assert (answer.status_code, f"<strong>{error}</strong>" in answer.text) == (400, True)


def test_granular_app_may_not_ask_for_broad_scopes(sandbox: SandboxProcess) -> None:
    sandbox.api(
        "POST",
        "apps/newer",
        {"redirect_uris": [REDIRECT_URI], "scopes": "granular", "client_secret": "s"},
    )
    app = App(sandbox, "newer", "s")
    statuses = {
        scope: requests.get(app.authorize_url(f"openid {scope}"), timeout=10).status_code
        for scope in ("accounting.transactions", "accounting.invoices", "accounting.settings.read")
    }
    assert statuses == {
        "accounting.transactions": 400,
        "accounting.invoices": 200,
        "accounting.settings.read": 200,
    }


def test_one_organisation_per_consent_unless_bulk_connect_is_on(sandbox: SandboxProcess) -> None:
    tenants = [
        organisation["tenant_id"] for organisation in sandbox.api("GET", "organisations")[:2]
    ]
    bulk = {"redirect_uris": [REDIRECT_URI], "client_secret": "s", "bulk_connect": True}
    sandbox.api("POST", "apps/bulk", bulk)
    form = [("user", "mere"), ("action", "allow"), *(("tenant", tenant) for tenant in tenants)]
    app = App(sandbox, "bulk", "s")
    urls = [
        App(sandbox).authorize_url(),
        app.authorize_url(),
        app.authorize_url(acr_values="bulk_connect:false"),
    ]
    statuses = [
        requests.post(url, data=form, allow_redirects=False, timeout=10).status_code for url in urls
    ]
    assert statuses == [400, 302, 400]


def test_organisation_of_somebody_else_cannot_be_connected(sandbox: SandboxProcess) -> None:
    tenant = sandbox.organisation(1)["tenant_id"]
    answer = post(App(sandbox).authorize_url(), user="oliver", tenant=tenant, action="allow")
    assert answer.status_code == 400
    assert sandbox.api("GET", "connections") == []


def test_pkce_app_must_send_a_challenge(sandbox: SandboxProcess) -> None:
    app = App(sandbox, f"{sandbox.client_id}-PKCE", None)
    statuses = [
        requests.get(url, timeout=10).status_code
        for url in (
            app.authorize_url(),
            app.authorize_url(code_challenge=CHALLENGE, code_challenge_method="S256"),
        )
    ]
    assert statuses == [400, 200]


def test_consent_page_cannot_be_framed(sandbox: SandboxProcess) -> None:
    answer = requests.get(App(sandbox).authorize_url(), timeout=10)
    assert answer.headers["X-Frame-Options"] == "DENY"
