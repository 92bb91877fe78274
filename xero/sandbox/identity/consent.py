"""The login and consent page of login.xero.com: person, organisations, allow or cancel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from xero.sandbox.identity import scopes
from xero.sandbox.identity.apps import App
from xero.sandbox.people import Person
from xero.sandbox.world import World

DENIED = "TenantConsent status DENIED"


class ConsentError(Exception):
    """An error on Xero's own page.

    It is never sent back to the app, because the app's address cannot be trusted or used.
    """

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True)
class Ask:
    """A checked authorisation request."""

    app: App
    redirect_uri: str
    scopes: list[str]
    state: str
    nonce: str
    challenge: str
    several: bool

    @property
    def books(self) -> bool:
        """Return True if organisations are requested, not only the identity of the person."""
        return any(scope.startswith("accounting.") for scope in self.scopes)


def check(world: World, query: Mapping[str, str]) -> Ask:
    """Check an authorisation request. Raises ConsentError as Xero would refuse it."""
    app = world.apps.by_id.get(query.get("client_id", ""))
    if app is None:
        raise ConsentError("unauthorized_client", "Unknown client or client not enabled")
    if query.get("redirect_uri", "") not in app.redirect_uris:
        raise ConsentError("invalid_request", "Invalid redirect_uri")
    if query.get("response_type") != "code":
        raise ConsentError("unsupported_response_type", "Only response_type=code is supported")
    return Ask(
        app=app,
        redirect_uri=query["redirect_uri"],
        scopes=_scopes(app, query.get("scope", "")),
        state=query.get("state", ""),
        nonce=query.get("nonce", ""),
        challenge=_challenge(app, query),
        several=app.bulk_connect and query.get("acr_values", "") != "bulk_connect:false",
    )


def _scopes(app: App, text: str) -> list[str]:
    asked = list(dict.fromkeys(text.split()))
    if not asked:
        raise ConsentError("invalid_scope", "Missing scope")
    if any(scope not in scopes.ALLOWED["both"] for scope in asked):
        raise ConsentError("invalid_scope", "Invalid scope")
    if scopes.refused(asked, app.scopes):
        raise ConsentError("unauthorized_client", "Invalid scope for client")
    return asked


def _challenge(app: App, query: Mapping[str, str]) -> str:
    challenge = query.get("code_challenge", "")
    if app.client_secret is None and not challenge:
        raise ConsentError("invalid_request", "code challenge required")
    if challenge and query.get("code_challenge_method") != "S256":
        raise ConsentError("invalid_request", "Transform algorithm not supported")
    if challenge and not 43 <= len(challenge) <= 128:
        raise ConsentError("invalid_request", "Invalid code_challenge")
    return challenge


def allow(world: World, ask: Ask, person: Person, tenants: Sequence[str]) -> str:
    """Connect the organisations, and return the URL to go back to, with the code."""
    grant = world.grants.consent(ask.app, person.id, ask.scopes)
    world.connections.connect(ask.app.client_id, person.id, tenants, grant.auth_event_id)
    code = world.grants.issue_code(grant, ask.redirect_uri, ask.nonce, ask.challenge)
    answer = {
        "code": code,
        "scope": " ".join(grant.scopes),
        "state": ask.state,
        "session_state": grant.session_id,
    }
    return back(ask, answer)


def deny(ask: Ask) -> str:
    return back(ask, {"error": "access_denied", "error_description": DENIED, "state": ask.state})


def back(ask: Ask, answer: Mapping[str, str]) -> str:
    separator = "&" if urlsplit(ask.redirect_uri).query else "?"
    present = {name: value for name, value in answer.items() if value}
    return ask.redirect_uri + separator + urlencode(present)


def problem_with(world: World, ask: Ask, person: Person, tenants: Sequence[str]) -> str | None:
    """Return the reason why this choice cannot be allowed, or None.

    A person who only signs in, or is connected already, need not choose an organisation.
    """
    if any(tenant not in world.tenants_of(person) for tenant in tenants):
        return "This organisation is not yours to connect."
    if not tenants and ask.books and not world.connections.live(ask.app.client_id, person.id):
        return "Select an organisation."
    if len(tenants) > 1 and not ask.several:
        return "Select one organisation: connecting several at once is switched off for this app."
    return None
