"""An app at the sandbox, as bare HTTP as it gets: no retries, no helpers of the product."""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import requests

from tests.sandbox_process import SandboxProcess

REDIRECT_URI = "http://localhost:8000/connections/xero/callback/"
SCOPES = (
    "openid profile email offline_access accounting.transactions accounting.contacts accounting.settings "
    "accounting.payments"
)
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


class App:
    """One registered app and, after `connect`, one user's tokens."""

    def __init__(
        self, sandbox: SandboxProcess, client_id: str = "", secret: str | None = ""
    ) -> None:
        self.sandbox = sandbox
        self.client_id = client_id or sandbox.client_id
        self.secret = sandbox.client_secret if secret == "" else secret
        self.session = requests.Session()
        self.session.trust_env = False
        self.tokens: dict[str, Any] = {}
        self.tenant = ""

    def authorize_url(self, scope: str = SCOPES, **more: str) -> str:
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": REDIRECT_URI,
            "scope": scope,
            "state": "state-1",
            **more,
        }
        return f"{self.sandbox.base_url}/identity/connect/authorize?{urlencode(query)}"

    def code(
        self, *organisations: str, user: str = "mere", scope: str = SCOPES, **more: str
    ) -> str:
        redirect = self.sandbox.allow(self.authorize_url(scope, **more), *organisations, user=user)
        return query_of(redirect)["code"]

    def token(self, **form: str) -> requests.Response:
        auth = None if self.secret is None else (self.client_id, self.secret)
        data = form if self.secret else {"client_id": self.client_id, **form}
        return self.session.post(
            f"{self.sandbox.base_url}/connect/token", data=data, auth=auth, timeout=10
        )

    def exchange(self, code: str, **more: str) -> requests.Response:
        return self.token(
            grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI, **more
        )

    def refresh(self, token: str = "") -> requests.Response:
        return self.token(
            grant_type="refresh_token", refresh_token=token or self.tokens["refresh_token"]
        )

    def connect(self, index: int = 0, *, user: str = "mere", scope: str = SCOPES) -> "App":
        """Consents to the organisation of this index and keeps the tokens."""
        self.tenant = self.sandbox.organisation(index)["tenant_id"]
        answer = self.exchange(self.code(self.tenant, user=user, scope=scope))
        assert answer.status_code == 200, answer.text
        self.tokens = answer.json()
        return self

    def claims(self) -> dict[str, Any]:
        return dict(jwt.decode(self.tokens["access_token"], options={"verify_signature": False}))

    def identity(self, method: str, path: str, token: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {token or self.tokens['access_token']}"}
        return self.session.request(
            method, f"{self.sandbox.base_url}/{path}", headers=headers, timeout=10
        )

    def call(
        self, method: str, path: str, body: Any = None, *, timeout: float = 10, **headers: str
    ) -> requests.Response:
        """The Accounting API; `headers` with _ for -."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.request(
            method,
            f"{self.sandbox.base_url}/api.xro/2.0/{path}",
            data=None if body is None else json.dumps(body),
            headers={
                "Authorization": f"Bearer {self.tokens['access_token']}",
                "xero-tenant-id": self.tenant,
                "Accept": "application/json",
                "Content-Type": "application/json",
                **given,
            },
            timeout=timeout,
        )

    def contact(self, name: str, key: str = "") -> requests.Response:
        body = {"Contacts": [{"Name": name}]}
        return (
            self.call("PUT", "Contacts", body, Idempotency_Key=key)
            if key
            else self.call("PUT", "Contacts", body)
        )
