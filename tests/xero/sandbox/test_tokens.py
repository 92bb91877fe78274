"""The token endpoint: lifetimes, rotation, grace, refusals, and what the JWTs say."""

import hashlib
from typing import Any

import jwt
import pytest
import requests

from tests.sandbox_process import SandboxProcess
from tests.xero.sandbox import openapi
from tests.xero.sandbox.app import CHALLENGE, SCOPES, VERIFIER, App
from xero.sandbox.identity.keys import encode

PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}


def error(answer: requests.Response) -> tuple[int, Any]:
    return answer.status_code, answer.json().get("error")


def advance(sandbox: SandboxProcess, seconds: int) -> None:
    sandbox.api("POST", "clock", {"advance_seconds": seconds})


def test_token_answer_has_what_xero_sends(app: App) -> None:
    assert sorted(app.tokens) == [
        "access_token",
        "expires_in",
        "id_token",
        "refresh_token",
        "scope",
        "token_type",
    ]
    assert (app.tokens["expires_in"], app.tokens["token_type"], app.tokens["scope"]) == (
        1800,
        "Bearer",
        SCOPES,
    )


def test_access_token_is_signed_by_the_published_key_and_has_xeros_claims(app: App) -> None:
    keys = jwt.PyJWKClient(f"{app.sandbox.base_url}/.well-known/openid-configuration/jwks")
    key = keys.get_signing_key_from_jwt(app.tokens["access_token"])
    base = app.sandbox.base_url
    options: Any = {"verify_nbf": False, "verify_exp": False}
    claims = jwt.decode(
        app.tokens["access_token"],
        key,
        algorithms=["RS256"],
        audience=f"{base}/resources",
        issuer=base,
        options=options,
    )
    assert sorted(claims) == sorted(
        "amr aud auth_time authentication_event_id client_id exp global_session_id idp iss jti nbf scope sid sub "
        "xero_userid".split()
    )
    assert claims["exp"] - claims["nbf"] == 1800
    assert claims["scope"] == SCOPES.split()


def test_id_token_names_the_person_and_the_access_token(sandbox: SandboxProcess) -> None:
    app = App(sandbox)
    tokens = app.exchange(app.code(nonce="n-1")).json()
    claims = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    wanted = encode(hashlib.sha256(tokens["access_token"].encode()).digest()[:16])
    assert (claims["nonce"], claims["at_hash"], claims["aud"]) == ("n-1", wanted, app.client_id)
    assert (claims["email"], claims["exp"] - claims["nbf"]) == ("mere@northwindbooks.example", 300)
    assert "authentication_event_id" not in claims


def test_no_refresh_or_id_token_without_their_scopes(sandbox: SandboxProcess) -> None:
    app = App(sandbox)
    tokens = app.exchange(app.code(scope="accounting.contacts.read")).json()
    assert sorted(tokens) == ["access_token", "expires_in", "scope", "token_type"]


def test_code_works_once_and_its_reuse_revokes_what_it_gave(sandbox: SandboxProcess) -> None:
    app = App(sandbox)
    code = app.code()
    app.tokens = app.exchange(code).json()
    assert error(app.exchange(code)) == (400, "invalid_grant")
    assert error(app.refresh()) == (400, "invalid_grant")


def test_code_dies_after_five_minutes(sandbox: SandboxProcess) -> None:
    app = App(sandbox)
    early, late = app.code(), app.code()
    advance(sandbox, 295)
    assert app.exchange(early).status_code == 200
    advance(sandbox, 6)
    assert error(app.exchange(late)) == (400, "invalid_grant")


def test_code_is_bound_to_redirect_uri_and_client(sandbox: SandboxProcess) -> None:
    sandbox.api("POST", "apps/other", {"client_secret": "s"})
    app, other = App(sandbox), App(sandbox, "other", "s")
    wrong_uri = app.token(
        grant_type="authorization_code", code=app.code(), redirect_uri="http://localhost/"
    )
    assert error(wrong_uri) == (400, "invalid_grant")
    assert error(other.exchange(app.code())) == (400, "invalid_grant")


def test_app_may_have_two_secrets_while_one_is_replaced(sandbox: SandboxProcess) -> None:
    sandbox.api("POST", "apps/replacing", {"client_secret": "old,new"})
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    url = f"{sandbox.base_url}/connect/token"
    errors = [
        error(requests.post(url, form, auth=("replacing", secret), timeout=10))
        for secret in ("old", "new", "old,new", "")
    ]
    assert errors == [*[(400, "invalid_grant")] * 2, *[(400, "invalid_client")] * 2]


@pytest.mark.parametrize("secret", ["", None])
def test_pkce_is_checked_with_and_without_a_secret(
    sandbox: SandboxProcess, secret: str | None
) -> None:
    app = App(sandbox, sandbox.client_id + ("-PKCE" if secret is None else ""), secret)
    answers = [
        app.exchange(app.code(**PKCE), code_verifier=VERIFIER),
        app.exchange(app.code(**PKCE), code_verifier="w" * 43),
        app.exchange(app.code(**PKCE)),
    ]
    assert [error(answer) for answer in answers] == [
        (200, None),
        (400, "invalid_grant"),
        (400, "invalid_grant"),
    ]


def test_client_must_prove_itself_by_basic_or_body(sandbox: SandboxProcess) -> None:
    app = App(sandbox)
    url = f"{sandbox.base_url}/connect/token"
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    secret = {"client_id": app.client_id, "client_secret": sandbox.client_secret}
    attempts: list[dict[str, Any]] = [
        {"data": form},
        {"data": form, "auth": (app.client_id, "wrong")},
        {"data": form | secret | {"client_secret": "wrong"}},
        {"data": form | {"client_id": app.client_id}},
        {"data": form | {"client_id": ""}},
        {"data": form | secret},
        {"data": form, "auth": (app.client_id, sandbox.client_secret)},
    ]
    errors = [error(requests.post(url, timeout=10, **attempt)) for attempt in attempts]
    assert errors == [
        *[(400, "invalid_client")] * 4,
        (400, "unauthorized_client"),
        *[(400, "invalid_grant")] * 2,
    ]


def test_refresh_rotates_and_keeps_the_consent(app: App) -> None:
    before = app.claims()
    first = app.tokens["refresh_token"]
    app.tokens = app.refresh().json()
    assert app.tokens["refresh_token"] != first
    assert app.claims()["authentication_event_id"] == before["authentication_event_id"]
    assert app.claims()["jti"] != before["jti"]


def test_previous_refresh_token_works_for_thirty_minutes_after_its_first_use(app: App) -> None:
    first = app.tokens["refresh_token"]
    app.tokens = app.refresh().json()
    advance(app.sandbox, 1790)
    assert app.refresh(first).status_code == 200
    advance(app.sandbox, 20)
    assert error(app.refresh(first)) == (400, "invalid_grant")
    assert app.refresh().status_code == 200
    issued = app.sandbox.api("GET", "tokens")["issued"]
    assert issued == {
        "authorization_code": 1,
        "refresh_token": 2,
        "refresh_token_in_grace": 1,
        "invalid_grant": 1,
    }


def test_refresh_token_dies_after_sixty_idle_days(app: App) -> None:
    advance(app.sandbox, 59 * 86400)
    app.tokens = app.refresh().json()
    advance(app.sandbox, 60 * 86400 + 5)
    assert error(app.refresh()) == (400, "invalid_grant")


def test_revocation_ends_tokens_and_connections(app: App) -> None:
    url = f"{app.sandbox.base_url}/connect/revocation"
    auth = (app.client_id, app.sandbox.client_secret)
    token = app.tokens["refresh_token"]
    answer = requests.post(url, data={"token": token}, auth=auth, timeout=10)
    assert (answer.status_code, answer.content) == (200, b"")
    assert error(app.refresh()) == (400, "invalid_grant")
    assert app.identity("GET", "connections").json() == []
    assert app.call("GET", "Organisation").status_code == 403


def test_revocation_of_an_unknown_token_is_fine(sandbox: SandboxProcess) -> None:
    auth = (sandbox.client_id, sandbox.client_secret)
    url = f"{sandbox.base_url}/connect/revocation"
    assert requests.post(url, data={"token": "x"}, auth=auth, timeout=10).status_code == 200
    assert requests.post(url, data={"token": "x"}, auth=("x", "y"), timeout=10).status_code == 400


def test_scopes_add_up_over_consents(sandbox: SandboxProcess) -> None:
    app = App(sandbox)
    app.exchange(app.code(scope="offline_access accounting.contacts"))
    tokens = app.exchange(app.code(scope="accounting.settings.read")).json()
    assert tokens["scope"] == "accounting.settings.read accounting.contacts"


def test_client_credentials_are_refused_as_xero_words_it(sandbox: SandboxProcess) -> None:
    answer = App(sandbox).token(grant_type="client_credentials", scope="accounting.contacts")
    assert answer.json() == {
        "error": "invalid_scope",
        "error_description": "Client credentials scope validation failed",
    }


def test_token_body_fits_xeros_file(app: App) -> None:
    schema = openapi.load("identity.yaml")["components"]["schemas"]["AccessToken"]["properties"]
    assert sorted(set(app.tokens) - set(schema)) == ["scope"]


def test_userinfo_describes_the_person(app: App) -> None:
    answer = app.identity("GET", "connect/userinfo")
    assert (answer.json()["email"], answer.json()["given_name"]) == (
        "mere@northwindbooks.example",
        "Mere",
    )
    assert app.identity("GET", "connect/userinfo", "nonsense").status_code == 401


def test_discovery_names_endpoints_that_exist(sandbox: SandboxProcess) -> None:
    document = requests.get(
        f"{sandbox.base_url}/.well-known/openid-configuration", timeout=10
    ).json()
    statuses = {
        name: requests.get(document[name], timeout=10).status_code
        for name in ("jwks_uri", "authorization_endpoint", "token_endpoint", "userinfo_endpoint")
    }
    assert document["issuer"] == sandbox.base_url
    assert statuses == {
        "jwks_uri": 200,
        "authorization_endpoint": 400,
        "token_endpoint": 405,
        "userinfo_endpoint": 401,
    }
