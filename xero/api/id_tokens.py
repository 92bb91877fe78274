"""Xero's id_token: the person who gave the consent, proved by Xero's signature."""

from dataclasses import dataclass
from typing import Any

import jwt
from django.conf import settings
from django.core.cache import cache

from connections import errors
from connections.providers import ConsentFailed
from xero.api import errors as xero_errors
from xero.api import transport

KEYS_FOR = 24 * 3600  # seconds; Xero's firewall refuses those who ask often (facts 1.1)
LEEWAY = 60


@dataclass(frozen=True, slots=True)
class XeroUser:
    id: str
    name: str


def verify_id_token(id_token: str, nonce: str) -> XeroUser:
    """Return the person of an id_token that was issued for our app and this consent.

    Raises ConsentFailed for any other.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            id_token,
            _find_key(id_token),
            algorithms=["RS256"],
            audience=settings.XERO_CLIENT_ID,
            issuer=settings.XERO_IDENTITY_URL,
            leeway=LEEWAY,
            options={"require": ["iss", "aud", "exp", "nonce", "xero_userid"]},
        )
    except jwt.PyJWTError as error:
        raise ConsentFailed(
            "not-usable", f"Xero's id_token is not valid ({type(error).__name__})."
        ) from error
    if claims["nonce"] != nonce:
        raise ConsentFailed("not-usable", "Xero's id_token belongs to another consent.")
    names = [str(claims.get(part) or "") for part in ("given_name", "family_name")]
    return XeroUser(
        str(claims["xero_userid"]), " ".join(filter(None, names)) or str(claims.get("email") or "")
    )


def _find_key(id_token: str) -> jwt.PyJWK:
    kid = jwt.get_unverified_header(id_token).get("kid")
    key = _find_published_key(kid, refresh=False) or _find_published_key(kid, refresh=True)
    if key is None:
        raise jwt.InvalidKeyError("signed with a key that Xero does not publish")
    return key


def _find_published_key(kid: Any, *, refresh: bool) -> jwt.PyJWK | None:
    name = f"xero-keys:{settings.XERO_IDENTITY_URL}"
    published = None if refresh else cache.get(name)
    if published is None:
        published = _fetch_keys()
        cache.set(name, published, KEYS_FOR)
    for key in jwt.PyJWKSet.from_dict(published).keys:
        if key.key_id == kid:
            return key
    return None


def _fetch_keys() -> dict[str, Any]:
    url = f"{settings.XERO_IDENTITY_URL}/.well-known/openid-configuration/jwks"
    try:
        response = transport.send("GET", url, headers={})
    except (transport.RequestNotSent, transport.AnswerLost) as error:
        raise errors.RetryLater(str(error)) from error
    if response.status_code != 200:
        raise errors.RetryLater("Xero does not show its signing keys.", status=response.status_code)
    return xero_errors.read_content(response, writes=False)
