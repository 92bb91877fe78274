"""Signing and verification of access and id tokens (RS256); the key pair survives a restart."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from xero.sandbox.storage import Storage

CACHED_TOKENS = 10_000


class BadTokenError(Exception):
    """A token that is not one of this sandbox."""


@dataclass(frozen=True)
class Access:
    """A verified access token. `expires` is in seconds since 1970."""

    client_id: str
    user_id: str
    scopes: frozenset[str]
    expires: int
    claims: dict[str, Any]


class Keys:
    def __init__(self, storage: Storage) -> None:
        stored = storage.load("keys").get("signing")
        pem = stored["pem"] if stored else _new_pem()
        if not stored:
            storage.save("keys", "signing", {"pem": pem})
        self._private = cast(
            rsa.RSAPrivateKey, serialization.load_pem_private_key(pem.encode(), password=None)
        )
        self._public = self._private.public_key()
        self.kid = hashlib.sha256(pem.encode()).hexdigest()[:40].upper()
        self._seen: dict[str, Access] = {}

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._private, algorithm="RS256", headers={"kid": self.kid})

    def read(self, token: str) -> Access:
        """Verify a token, expired or not: the caller decides what to answer. Raises
        BadTokenError.
        """
        access = self._seen.get(token)
        if access is None:
            access = self._verify(token)
            if len(self._seen) >= CACHED_TOKENS:
                self._seen.clear()
            self._seen[token] = access
        return access

    def _verify(self, token: str) -> Access:
        options: Any = {
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "verify_aud": False,
        }
        try:
            claims = jwt.decode(token, self._public, algorithms=["RS256"], options=options)
            return Access(
                claims["client_id"],
                claims["xero_userid"],
                frozenset(claims["scope"]),
                claims["exp"],
                claims,
            )
        except (jwt.InvalidTokenError, KeyError) as error:
            raise BadTokenError(str(error)) from error

    def jwks(self) -> dict[str, Any]:
        """Return the public key, as identity.xero.com publishes it."""
        numbers = self._public.public_numbers()
        key = {"kty": "RSA", "use": "sig", "kid": self.kid, "alg": "RS256"}
        return {"keys": [{**key, "e": _unsigned(numbers.e), "n": _unsigned(numbers.n)}]}


def half_hash(token: str) -> str:
    """Return OpenID Connect's `at_hash`: the left half of the SHA-256."""
    return encode(hashlib.sha256(token.encode()).digest()[:16])


def encode(raw: bytes) -> str:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unsigned(number: int) -> str:
    return encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _new_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
