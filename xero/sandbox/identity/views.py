"""Routes of login.xero.com and identity.xero.com, and `/connections` of api.xero.com."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import unquote_plus

from aiohttp import web

from xero.sandbox.gateway import disturb, problems
from xero.sandbox.gateway.views import authenticate
from xero.sandbox.identity import consent, scopes, tokens
from xero.sandbox.identity.apps import App
from xero.sandbox.identity.grants import GrantError
from xero.sandbox.identity.keys import Access
from xero.sandbox.pages.render import page
from xero.sandbox.people import BY_KEY, PEOPLE, Person
from xero.sandbox.world import WORLD, World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
NO_STORE = {"Cache-Control": "no-store, no-cache, max-age=0", "Pragma": "no-cache"}


def disturbed(handler: Handler) -> Handler:
    """Apply the faults that match this route, and count the call."""

    @wraps(handler)
    async def wrapper(request: web.Request) -> web.StreamResponse:
        world = request.app[WORLD]
        fault = world.faults.take(request.method, request.path) if world.faults.active else None
        answer: web.StreamResponse | None = await disturb.before(fault, request)
        if answer is None:
            answer = await disturb.after(fault, request, await handler(request))
        world.counters.count(
            world.clock.timestamp(),
            "",
            request.method,
            request.path_qs,
            request.path,
            answer.status,
            "",
        )
        return answer

    return wrapper


def issuer(request: web.Request) -> str:
    """Return the base URL that the caller used: the sandbox cannot be identity.xero.com."""
    return f"{request.scheme}://{request.host}"


def _consent_page(
    request: web.Request, ask: consent.Ask, person: Person | None, problem: str | None
) -> web.Response:
    world = request.app[WORLD]
    connected = world.connections.live(ask.app.client_id, person.id) if person else []
    tenants = world.tenants_of(person) if person else []
    return page(
        "consent.html",
        status=400 if problem else 200,
        ask=ask,
        person=person,
        people=PEOPLE,
        query=list(request.query.items()),
        organisations=[world.organisations[tenant] for tenant in tenants],
        connected={connection.tenant_id for connection in connected},
        problem=problem,
        switch_url=str(request.rel_url.without_query_params("sandbox_user")),
    )


async def authorize(request: web.Request) -> web.Response:
    """Show the page, or take the person's choice from a POST.

    Its fields are user, tenant (repeatable), and action allow or cancel.
    """
    try:
        ask = consent.check(request.app[WORLD], request.query)
    except consent.ConsentError as error:
        return page(
            "consent_error.html", status=400, error=error.error, description=error.description
        )
    if request.method == "GET":
        return _consent_page(request, ask, BY_KEY.get(request.query.get("sandbox_user", "")), None)
    return await _decide(request, ask)


async def _decide(request: web.Request, ask: consent.Ask) -> web.Response:
    form = await request.post()
    if form.get("action") == "cancel":
        raise web.HTTPFound(consent.deny(ask))
    person = BY_KEY.get(str(form.get("user", "")))
    if person is None:
        return _consent_page(request, ask, None, "Choose who you are.")
    tenants = [str(tenant) for tenant in form.getall("tenant", [])]
    world = request.app[WORLD]
    problem = consent.problem_with(world, ask, person, tenants)
    if problem:
        return _consent_page(request, ask, person, problem)
    raise web.HTTPFound(consent.allow(world, ask, person, tenants))


def _credentials(request: web.Request, form: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return client id and secret from Basic or the body. Raises GrantError for unreadable
    Basic.
    """
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        secret = form.get("client_secret")
        return str(form.get("client_id", "")), None if secret is None else str(secret)
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise GrantError("invalid_client") from error
    return unquote_plus(client_id), unquote_plus(secret)


async def _client(request: web.Request) -> tuple[App, Mapping[str, Any]]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise GrantError("invalid_request")
    form = await request.post()
    client_id, secret = _credentials(request, form)
    if not client_id and "client_id" in form:
        raise GrantError("unauthorized_client")
    app = request.app[WORLD].apps.by_id.get(client_id)
    if app is None or not app.owns_secret(secret):
        raise GrantError("invalid_client")
    return app, form


def _refuse(error: GrantError) -> web.Response:
    body = {"error": error.error}
    if error.description:
        body["error_description"] = error.description
    return web.json_response(body, status=400, headers=NO_STORE)


@disturbed
async def token(request: web.Request) -> web.StreamResponse:
    try:
        app, form = await _client(request)
        body = _tokens(request, app, form)
    except GrantError as error:
        return _refuse(error)
    return web.json_response(body, headers=NO_STORE)


def _tokens(request: web.Request, app: App, form: Mapping[str, Any]) -> dict[str, Any]:
    world = request.app[WORLD]
    now = int(world.clock.timestamp())
    kind = form.get("grant_type")
    if kind == "authorization_code":
        code, refresh_token = world.grants.exchange(
            app,
            str(form.get("code", "")),
            str(form.get("redirect_uri", "")),
            str(form.get("code_verifier", "")),
        )
        return tokens.answer(
            world.keys, issuer(request), now, code.grant, refresh_token, code.nonce
        )
    if kind == "refresh_token":
        grant, refresh_token = world.grants.refresh(app, str(form.get("refresh_token", "")))
        return tokens.answer(world.keys, issuer(request), now, grant, refresh_token)
    if kind == "client_credentials":
        raise GrantError("invalid_scope", "Client credentials scope validation failed")
    raise GrantError("unsupported_grant_type")


@disturbed
async def revocation(request: web.Request) -> web.StreamResponse:
    """Revoke a token, with status 200 for any token (RFC 7009).

    A refresh token of the app takes the user's connections with it.
    """
    try:
        app, form = await _client(request)
    except GrantError as error:
        return _refuse(error)
    if not form.get("token"):
        return _refuse(GrantError("invalid_request"))
    world = request.app[WORLD]
    grant = world.grants.revoke(app, str(form["token"]))
    if grant is not None:
        world.disconnect(app.client_id, grant.user_id)
    return web.Response()


@disturbed
async def connections(request: web.Request) -> web.StreamResponse:
    world = request.app[WORLD]
    access = authenticate(world, request.headers.get("Authorization", ""))
    if isinstance(access, web.Response):
        return access
    event = request.query.get("authEventId", "").lower()
    live = world.connections.live(access.client_id, access.user_id)
    return web.json_response(
        [
            connection.as_xero(world.organisations[connection.tenant_id].name)
            for connection in live
            if event in ("", connection.auth_event_id)
            and connection.tenant_id in world.organisations
        ]
    )


@disturbed
async def connection_delete(request: web.Request) -> web.StreamResponse:
    world = request.app[WORLD]
    access = authenticate(world, request.headers.get("Authorization", ""))
    if isinstance(access, web.Response):
        return access
    id = request.match_info["id"].lower()
    live = world.connections.live(access.client_id, access.user_id)
    found = [connection for connection in live if connection.id == id]
    if not found:
        return web.Response(status=404)
    world.connections.delete(found)
    if len(live) == len(found):
        world.grants.forget_consent(access.client_id, access.user_id)
    return web.Response(status=204)


async def userinfo(request: web.Request) -> web.Response:
    access = authenticate(request.app[WORLD], request.headers.get("Authorization", ""))
    if not isinstance(access, Access) or "openid" not in access.scopes:
        return problems.unauthorised()
    return web.json_response(
        {"sub": access.claims["sub"], **tokens.person_claims(access.user_id, access.scopes)}
    )


async def jwks(request: web.Request) -> web.Response:
    return web.json_response(request.app[WORLD].keys.jwks())


async def discovery(request: web.Request) -> web.Response:
    base = issuer(request)
    return web.json_response(
        {
            "issuer": base,
            "jwks_uri": f"{base}/.well-known/openid-configuration/jwks",
            "authorization_endpoint": f"{base}/identity/connect/authorize",
            "token_endpoint": f"{base}/connect/token",
            "userinfo_endpoint": f"{base}/connect/userinfo",
            "revocation_endpoint": f"{base}/connect/revocation",
            "scopes_supported": _all_scopes(request.app[WORLD]),
            "claims_supported": [
                "sub", "name", "given_name", "family_name", "preferred_username", "email", "xero_userid"
            ],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "subject_types_supported": ["public"],
            "code_challenge_methods_supported": ["S256"],
        }
    )  # fmt: skip


def _all_scopes(world: World) -> list[str]:
    return sorted(scopes.ALLOWED[world.apps.main.scopes])


ROUTES = [
    web.get("/identity/connect/authorize", authorize),
    web.post("/identity/connect/authorize", authorize),
    web.post("/connect/token", token),
    web.post("/connect/revocation", revocation),
    web.get("/connect/userinfo", userinfo),
    web.get("/.well-known/openid-configuration", discovery),
    web.get("/.well-known/openid-configuration/jwks", jwks),
    web.get("/connections", connections),
    web.get("/Connections", connections),
    web.delete("/connections/{id}", connection_delete),
    web.delete("/Connections/{id}", connection_delete),
]
