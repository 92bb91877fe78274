"""Xero's OAuth 2.0: consent address, token exchange, refresh, revocation (facts 1.1 to 1.6)."""

import base64
import os
from dataclasses import replace
from typing import Any

import jwt
import requests
from django.conf import settings
from oauthlib.oauth2 import OAuth2Error, WebApplicationClient
from oauthlib.oauth2.rfc6749.errors import (
    InvalidClientError,
    InvalidGrantError,
    UnauthorizedClientError,
)
from requests.auth import HTTPBasicAuth
from requests.exceptions import RequestException
from requests_oauthlib import OAuth2Session

from connections import errors
from connections.providers import ConsentFailed, ConsentResult, TokenSet
from xero.api import errors as xero_errors
from xero.api import id_tokens, transport
from xero.records.fields import read_count, read_text

CALLBACK = "/connections/xero/callback/"
LARGEST_ANSWER = 256 * 1024
# Seconds of an access token: Xero's documented lifetime, and the longest that is believed.
LIFETIME, LONGEST_LIFETIME = 1800, 3600

if settings.XERO_IDENTITY_URL.startswith("http://"):
    # oauthlib refuses plain http; only a stand-in on this machine is spoken to so.
    os.environ.setdefault("OAUTHLIB_INSECURE_TRANSPORT", "1")


def build_authorise_url(*, state: str, nonce: str, verifier: str) -> str:
    """Return the address at which the person gives consent.

    `verifier` is PKCE's; Xero sees only its SHA-256 until the code is exchanged.
    """
    session = OAuth2Session(client=_app(), redirect_uri=_redirect_uri(), scope=settings.XERO_SCOPES)
    url, _ = session.authorization_url(
        f"{settings.XERO_LOGIN_URL}/identity/connect/authorize",
        state=state,
        nonce=nonce,
        code_challenge=_app().create_code_challenge(verifier, "S256"),
        code_challenge_method="S256",
    )
    return str(url).replace("+", "%20")  # one reader saw Xero refuse `+` between scopes (facts 1.2)


def exchange_code(*, code: str, nonce: str, verifier: str) -> ConsentResult:
    """Exchange the code for tokens, and check that the answer is complete and ours.

    Raises ConsentFailed, or RetryLater where Xero cannot be reached.
    """
    session = _build_session()
    try:
        answer = session.fetch_token(
            _token_url(),
            code=code,
            code_verifier=verifier,
            auth=_credentials(),
            include_client_id=False,
        )
        tokens = _token_set(answer)
    except InvalidGrantError as error:
        raise ConsentFailed(
            "code-refused", "Xero does not take the code: used before, or too old."
        ) from error
    except OAuth2Error as error:
        raise ConsentFailed("not-usable", f"Xero did not issue tokens: {error.error}.") from error
    except RequestException as error:
        raise errors.RetryLater(str(transport.classify_failure(error))) from None
    except (ValueError, Warning) as error:
        raise ConsentFailed("not-usable", "Xero's token answer is not usable.") from error
    return _check_consent(tokens, answer, nonce)


def refresh_tokens(refresh_token: str) -> TokenSet:
    try:
        answer = _build_session().refresh_token(
            _token_url(), refresh_token=refresh_token, auth=_credentials()
        )
        tokens = _token_set(answer)
        return replace(tokens, refresh_token=tokens.refresh_token or refresh_token)
    except InvalidGrantError as error:
        raise errors.NeedsConsent(
            "Xero ended the access: it was revoked, or not used for 60 days."
        ) from error
    except (InvalidClientError, UnauthorizedClientError) as error:
        raise errors.RetryLater("Xero does not take our app's own credentials.") from error
    except OAuth2Error as error:
        raise errors.RetryLater(f"Xero did not renew the access: {error.error}.") from error
    except RequestException as error:
        raise errors.RetryLater(str(transport.classify_failure(error))) from None
    except ValueError as error:
        raise errors.RetryLater("Xero's token answer is not usable.") from error


def revoke_token(refresh_token: str) -> None:
    """End the person's consent to our app, for all their tenants.

    A token that Xero does not know counts as revoked. Raises RetryLater.
    """
    credentials = base64.b64encode(
        f"{settings.XERO_CLIENT_ID}:{settings.XERO_CLIENT_SECRET}".encode()
    ).decode()
    try:
        response = transport.send(
            "POST",
            f"{settings.XERO_IDENTITY_URL}/connect/revocation",
            headers={
                "Authorization": f"Basic {credentials}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            data=f"token={refresh_token}".encode(),
        )
    except (transport.RequestNotSent, transport.AnswerLost) as error:
        raise errors.RetryLater(str(error)) from error
    if response.status_code == 429:
        raise xero_errors.build_limit_error(response.headers)
    if response.status_code >= 500 or response.status_code in {401, 403}:
        raise errors.RetryLater("Xero did not take the revocation.", status=response.status_code)


def read_event_id(access_token: str) -> str:
    """Return the `authentication_event_id` of the consent behind a token."""
    # Not verified: the token came from Xero in the answer to our own request over TLS.
    try:
        claims: dict[str, Any] = jwt.decode(access_token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise ConsentFailed("not-usable", "Xero's access token cannot be read.") from error
    return str(claims.get("authentication_event_id") or "")


def _check_consent(tokens: TokenSet, answer: dict[str, Any], nonce: str) -> ConsentResult:
    person = id_tokens.verify_id_token(str(answer.get("id_token") or ""), nonce)
    event_id = read_event_id(tokens.access_token)
    if not event_id:
        raise ConsentFailed("not-usable", "Xero's access token names no consent.")
    consented = ConsentResult(tokens, user_id=person.id, user_name=person.name, event_id=event_id)
    if not tokens.refresh_token:
        raise ConsentFailed("permissions-missing", "Xero sent no refresh token.", consented)
    missing = [
        scope for scope in settings.XERO_SCOPES if tokens.scopes and scope not in tokens.scopes
    ]
    if missing:
        raise ConsentFailed("permissions-missing", f"Not granted: {', '.join(missing)}.", consented)
    return consented


def _token_set(answer: dict[str, Any]) -> TokenSet:
    """Return the tokens of an answer. Raises ValueError where it holds no bearer token."""
    access_token, kind = (
        read_text(answer, "access_token", LARGEST_ANSWER),
        read_text(answer, "token_type"),
    )
    if not access_token or kind.lower() not in ("", "bearer"):
        raise ValueError("no bearer token")
    scope, lifetime = answer.get("scope") or (), read_count(answer, "expires_in")
    return TokenSet(
        access_token=access_token,
        refresh_token=read_text(answer, "refresh_token", LARGEST_ANSWER),
        expires_in=LIFETIME if lifetime is None else max(0, min(lifetime, LONGEST_LIFETIME)),
        scopes=tuple(scope.split() if isinstance(scope, str) else map(str, scope)),
    )


def _build_session() -> OAuth2Session:
    session = transport.prepare_session(OAuth2Session(client=_app(), redirect_uri=_redirect_uri()))
    for kind in ("access_token_response", "refresh_token_response"):
        session.register_compliance_hook(kind, _check_response)
    return session


def _check_response(response: requests.Response) -> requests.Response:
    """Return an answer that oauthlib may parse; raise RetryLater for one that says nothing of the
    grant.
    """
    status = response.status_code
    if status == 429:
        raise xero_errors.build_limit_error(response.headers)
    if status >= 500 or status in {403, 404}:
        raise errors.RetryLater("Xero's sign-in service is unwell.", status=status)
    if (
        "json" not in response.headers.get("Content-Type", "").lower()
        or len(response.content) > LARGEST_ANSWER
    ):
        raise errors.RetryLater("Xero's sign-in service did not answer with tokens.", status=status)
    return response


def _app() -> WebApplicationClient:
    return WebApplicationClient(settings.XERO_CLIENT_ID)


def _credentials() -> HTTPBasicAuth:
    return HTTPBasicAuth(settings.XERO_CLIENT_ID, settings.XERO_CLIENT_SECRET)


def _token_url() -> str:
    return f"{settings.XERO_IDENTITY_URL}/connect/token"


def _redirect_uri() -> str:
    return f"{settings.BASE_URL}{CALLBACK}"
