"""Authorisation codes and refresh tokens: single use, rotation, grace, idleness (facts:
lifetimes).
"""

import hashlib
import hmac
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from secrets import token_urlsafe
from typing import Any
from uuid import uuid4

from xero.sandbox.clock import Clock
from xero.sandbox.identity.apps import App
from xero.sandbox.identity.keys import encode
from xero.sandbox.storage import Storage

CODE_SECONDS = 5 * 60
GRACE_SECONDS = 30 * 60
IDLE_SECONDS = 60 * 24 * 3600


class GrantError(Exception):
    """An error that the token endpoint answers with status 400."""

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(description or error)
        self.error = error
        self.description = description


@dataclass(frozen=True)
class Grant:
    """The result of one consent, carried by its code and by all tokens that follow. Times are whole
    seconds.
    """

    client_id: str
    user_id: str
    scopes: list[str]
    auth_event_id: str
    auth_time: int
    session_id: str


@dataclass(frozen=True)
class Code:
    grant: Grant
    redirect_uri: str
    nonce: str
    challenge: str
    expires: int
    used: bool = False


@dataclass(frozen=True)
class RefreshToken:
    """A refresh token. `first_used` starts the grace period in which a replaced token may be used
    again.
    """

    grant: Grant
    issued: int
    first_used: int | None = None
    revoked: bool = False


def _grant(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "grant": Grant(**document["grant"])}


class Grants:
    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self.codes = {
            id: Code(**_grant(document)) for id, document in storage.load("codes").items()
        }
        self.tokens = {
            id: RefreshToken(**_grant(document))
            for id, document in storage.load("refresh_tokens").items()
        }
        self._consents = {
            id: document["scopes"] for id, document in storage.load("consents").items()
        }
        self.issued: Counter[str] = Counter()
        self.history: deque[dict[str, Any]] = deque(maxlen=1000)

    def _now(self) -> int:
        return int(self._clock.timestamp())

    def consent(self, app: App, user_id: str, scopes: Iterable[str]) -> Grant:
        """Return a new grant. Accounting scopes add up with those that this user gave this app
        before.
        """
        asked = list(scopes)
        key = f"{app.client_id}:{user_id}"
        before = self._consents.get(key, [])
        granted = list(
            dict.fromkeys([*asked, *(scope for scope in before if scope.startswith("accounting."))])
        )
        self._consents[key] = granted
        self._storage.save("consents", key, {"scopes": granted})
        return Grant(app.client_id, user_id, granted, str(uuid4()), self._now(), uuid4().hex)

    def forget_consent(self, client_id: str, user_id: str) -> None:
        key = f"{client_id}:{user_id}"
        self._consents.pop(key, None)
        self._storage.delete("consents", key)

    def issue_code(self, grant: Grant, redirect_uri: str, nonce: str, challenge: str) -> str:
        code = token_urlsafe(32)
        self._save_code(
            code, Code(grant, redirect_uri, nonce, challenge, self._now() + CODE_SECONDS)
        )
        return code

    def exchange(
        self, app: App, code: str, redirect_uri: str, verifier: str
    ) -> tuple[Code, str | None]:
        """Return the code with its grant, and its first refresh token (None without
        offline_access).
        """
        known = self.codes.get(code)
        if known is None or known.grant.client_id != app.client_id:
            raise self._refuse("unknown code", app)
        if known.used:
            self._revoke_event(known.grant.auth_event_id)
            raise self._refuse("code used before", app)
        self._save_code(code, replace(known, used=True))
        if known.expires <= self._now():
            raise self._refuse("code expired", app)
        if known.redirect_uri != redirect_uri:
            raise self._refuse("redirect_uri differs", app)
        if not _proves(known.challenge, verifier):
            raise self._refuse("code_verifier does not match", app)
        self._note("authorization_code", known.grant)
        return known, self._next_token(known.grant)

    def refresh(self, app: App, token: str) -> tuple[Grant, str]:
        known = self.tokens.get(token)
        if known is None or known.grant.client_id != app.client_id or known.revoked:
            raise self._refuse("unknown or revoked refresh token", app)
        now = self._now()
        if known.first_used is None and now - known.issued > IDLE_SECONDS:
            raise self._refuse("refresh token unused for 60 days", app)
        if known.first_used is not None and now - known.first_used > GRACE_SECONDS:
            raise self._refuse("refresh token used before", app)
        self._note(
            "refresh_token" if known.first_used is None else "refresh_token_in_grace", known.grant
        )
        if known.first_used is None:
            self._save_token(token, replace(known, first_used=now))
        return known.grant, self._save_token(token_urlsafe(32), RefreshToken(known.grant, now))

    def revoke(self, app: App, token: str) -> Grant | None:
        """Revoke every token of this user and app.

        Returns None if the token is not the app's; the answer is 200 all the same.
        """
        known = self.tokens.get(token)
        if known is None or known.grant.client_id != app.client_id:
            return None
        self.revoke_all(app.client_id, known.grant.user_id)
        self._note("revocation", known.grant)
        return known.grant

    def revoke_all(self, client_id: str, user_id: str) -> None:
        self._revoke(
            token
            for token, known in self.tokens.items()
            if (known.grant.client_id, known.grant.user_id) == (client_id, user_id)
        )
        self.forget_consent(client_id, user_id)

    def _revoke_event(self, auth_event_id: str) -> None:
        self._revoke(
            token
            for token, known in self.tokens.items()
            if known.grant.auth_event_id == auth_event_id
        )

    def _revoke(self, tokens: Iterable[str]) -> None:
        for token in list(tokens):
            self._save_token(token, replace(self.tokens[token], revoked=True))

    def _next_token(self, grant: Grant) -> str | None:
        if "offline_access" not in grant.scopes:
            return None
        return self._save_token(token_urlsafe(32), RefreshToken(grant, self._now()))

    def _save_token(self, token: str, document: RefreshToken) -> str:
        self.tokens[token] = document
        self._storage.save("refresh_tokens", token, asdict(document))
        return token

    def _save_code(self, code: str, document: Code) -> None:
        self.codes[code] = document
        self._storage.save("codes", code, asdict(document))

    def _note(self, kind: str, grant: Grant) -> None:
        self.issued[kind] += 1
        self.history.append(
            {"kind": kind, "client_id": grant.client_id, "user": grant.user_id, "at": self._now()}
        )

    def _refuse(self, why: str, app: App) -> GrantError:
        """Return the error. Xero says no more than invalid_grant; the reason is kept for the
        sandbox's page.
        """
        self.issued["invalid_grant"] += 1
        self.history.append(
            {"kind": "invalid_grant", "client_id": app.client_id, "why": why, "at": self._now()}
        )
        return GrantError("invalid_grant")


def _proves(challenge: str, verifier: str) -> bool:
    """Check PKCE with S256. A verifier for a code without a challenge is refused, as IdentityServer
    does.
    """
    if not challenge or not verifier:
        return challenge == verifier
    if not 43 <= len(verifier) <= 128:
        return False
    return hmac.compare_digest(
        encode(hashlib.sha256(verifier.encode()).digest()).encode(), challenge.encode()
    )
