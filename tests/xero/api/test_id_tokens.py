"""Who gave the consent: only an id_token signed by Xero, for our app, for this very consent,
counts.
"""

import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.cache import cache

from connections import errors
from connections.providers import ConsentFailed
from xero.api import id_tokens

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(autouse=True)
def published(settings: Any, db: None) -> None:
    """Xero's signing key, as fetched before."""
    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())) | {
        "kid": "one",
        "alg": "RS256",
    }
    cache.set(f"xero-keys:{settings.XERO_IDENTITY_URL}", {"keys": [key]}, 60)


def claims(settings: Any, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    given = {
        "iss": settings.XERO_IDENTITY_URL,
        "aud": settings.XERO_CLIENT_ID,
        "iat": now,
        "exp": now + 300,
        "nonce": "n",
        "xero_userid": "u",
        "given_name": "Mere",
        "family_name": "Tamihana",
    } | changes
    return {name: value for name, value in given.items() if value is not None}


def signed(
    content: dict[str, Any], key: Any = KEY, algorithm: str = "RS256", kid: str = "one"
) -> str:
    return jwt.encode(content, key, algorithm=algorithm, headers={"kid": kid})


def test_valid_token_names_the_person(settings: Any) -> None:
    assert id_tokens.verify_id_token(signed(claims(settings)), "n") == id_tokens.XeroUser(
        "u", "Mere Tamihana"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://identity.evil.example"},
        {"iss": None},
        {"aud": "another app"},
        {"aud": None},
        {"nonce": "another consent"},
        {"nonce": None},
        {"exp": 1_600_000_000},
        {"exp": None},
        {"xero_userid": None},
    ],
)
def test_wrong_or_missing_claim_is_refused(settings: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(ConsentFailed) as raised:
        id_tokens.verify_id_token(signed(claims(settings, **changes)), "n")
    assert raised.value.code == "not-usable"


def test_other_signatures_are_refused(settings: Any) -> None:
    content = claims(settings)
    forged = [
        signed(content, OTHER_KEY),
        jwt.encode(content, "", algorithm="none", headers={"kid": "one"}),
        signed(content, "a-client-secret-for-tests-of-enough-length", "HS256"),
        "",
        "not.a.token",
        signed(content)[:-4] + "AAAA",
    ]
    for token in forged:
        with pytest.raises(ConsentFailed):
            id_tokens.verify_id_token(token, "n")


def test_unknown_key_is_asked_for_anew(settings: Any) -> None:
    with pytest.raises(errors.RetryLater):  # nobody answers there in this test
        id_tokens.verify_id_token(signed(claims(settings), kid="two"), "n")
