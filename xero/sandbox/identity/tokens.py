"""The answer of the token endpoint and the claims inside its JWTs, as Xero issues them (facts
1.4).
"""

from typing import Any
from uuid import uuid4

from xero.sandbox.identity.grants import Grant
from xero.sandbox.identity.keys import Keys, half_hash
from xero.sandbox.people import BY_ID

ACCESS_SECONDS = 30 * 60
ID_SECONDS = 5 * 60


def answer(
    keys: Keys, issuer: str, now: int, grant: Grant, refresh_token: str | None, nonce: str = ""
) -> dict[str, Any]:
    """Build the answer of the token endpoint.

    `issuer` is the sandbox's own base URL, as in its discovery document. `now` is in seconds since
    1970.
    """
    access_token = keys.sign(_access_claims(issuer, now, grant))
    body: dict[str, Any] = {}
    if "openid" in grant.scopes:
        body["id_token"] = keys.sign(_id_claims(issuer, now, grant, access_token, nonce))
    body |= {"access_token": access_token, "expires_in": ACCESS_SECONDS, "token_type": "Bearer"}
    if refresh_token:
        body["refresh_token"] = refresh_token
    return {**body, "scope": " ".join(grant.scopes)}


def _access_claims(issuer: str, now: int, grant: Grant) -> dict[str, Any]:
    return {
        "nbf": now,
        "exp": now + ACCESS_SECONDS,
        "iss": issuer,
        "aud": f"{issuer}/resources",
        "client_id": grant.client_id,
        "sub": _subject(grant),
        "auth_time": grant.auth_time,
        "idp": "local",
        "xero_userid": grant.user_id,
        "global_session_id": grant.session_id,
        "sid": grant.session_id,
        "jti": uuid4().hex.upper(),
        "authentication_event_id": grant.auth_event_id,
        "scope": grant.scopes,
        "amr": ["pwd"],
    }


def _id_claims(
    issuer: str, now: int, grant: Grant, access_token: str, nonce: str
) -> dict[str, Any]:
    claims = {
        "nbf": now,
        "exp": now + ID_SECONDS,
        "iss": issuer,
        "aud": grant.client_id,
        "iat": now,
        "at_hash": half_hash(access_token),
        "sid": grant.session_id,
        "sub": _subject(grant),
        "auth_time": grant.auth_time,
        "idp": "local",
        "global_session_id": grant.session_id,
        "amr": ["pwd"],
        **person_claims(grant.user_id, frozenset(grant.scopes)),
    }
    return {**claims, "nonce": nonce} if nonce else claims


def _subject(grant: Grant) -> str:
    return grant.user_id.replace("-", "")


def person_claims(user_id: str, scopes: frozenset[str]) -> dict[str, str]:
    person = BY_ID[user_id]
    claims = {"xero_userid": person.id}
    if "profile" in scopes:
        claims |= {
            "preferred_username": person.email,
            "given_name": person.given_name,
            "family_name": person.family_name,
            "name": person.name,
        }
    if "email" in scopes:
        claims["email"] = person.email
    return claims
