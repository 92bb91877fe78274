"""The control API: everything that the pages can do, as JSON under `/sandbox/api/` (examples:
docs/sandbox.md).

GET    health                            {"status": "ok"} when ready
GET    state                             subscription, clock, settings, tokens issued, faults, limits, in one answer
GET    organisations                     id, name and counts of each
ANY    organisations/{tenant}/xero/...   the Accounting API by hand: no token, no limits, real webhooks
POST   organisations/{tenant}/pay        {"invoice_id", "amount"?, "account_id"?, "date"?}
POST   organisations/{tenant}/details    {"Name"?, "Timezone"?, "PeriodLockDate"? …}: settings; no webhook tells of them
POST   organisations/{tenant}/merge      {"contact", "into"}: the second gets the first one's documents
POST   organisations/{tenant}/credit     {"invoice", "kind", "amount", "date", "number"?}: kind is a credit-note …
GET    apps · POST apps/{client_id}      {"name", "client_secret", "redirect_uris", "scopes", "bulk_connect"}
POST   consent                           {"url", "user"?, "organisations"?, "action"?} → {"redirect"}: a person consents
GET    connections · DELETE connections/{id}
GET    tokens · POST tokens/revoke       {"client_id"?, "user"?}: as a person who removes the app in Xero
GET    subscription · POST subscription  {"url"?, "key"?, "categories"?}; a new URL must prove itself at once
POST   subscription/intent-to-receive    sends the four probes again
POST   subscription/skip                 {"count"}: uses up sequence numbers, so that a gap appears
GET    deliveries                        the log, newest last
POST   events                            {"tenant_id", "category", "type", "resource_id"?, "count"?}: test events
POST   burst                             {"count", "concurrency"?, "tenant_ids"?, "category"?}: single events at once
GET    faults · POST faults · DELETE faults[/{id}]
GET    counters · DELETE counters · GET calls
GET    clock · POST clock                {"advance_seconds"}
GET    settings · POST settings          limits, delays, retries while running
POST   reset                             faults, counters, limits; {"connections": true} also connections and tokens
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import simplejson
from aiohttp import web

from xero.sandbox.accounting import Change
from xero.sandbox.config import TUNABLE
from xero.sandbox.identity import consent, scopes
from xero.sandbox.pages import bookkeeping, by_hand
from xero.sandbox.people import BY_ID, BY_KEY, PEOPLE
from xero.sandbox.webhooks import burst
from xero.sandbox.world import WORLD, World

Act = Callable[[World, web.Request, dict[str, Any]], Awaitable[Any]]
MOST_EVENTS = 10_000
MOST_IN_BURST = 100_000


class ControlError(Exception):
    """A wrong request to the control API; its text is the answer."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def _json(body: Any, status: int = 200) -> web.Response:
    text = simplejson.dumps(body, use_decimal=True)
    return web.Response(text=text, status=status, content_type="application/json")


def endpoint(act: Act) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Parse the JSON body, and turn the returned value into the answer and mistakes into 4xx."""

    @wraps(act)
    async def handler(request: web.Request) -> web.Response:
        try:
            return _json(await act(request.app[WORLD], request, await _body(request)))
        except ControlError as error:
            return _json({"error": str(error)}, error.status)
        except bookkeeping.RefusedError as error:
            return _json({"error": str(error), "xero": error.body}, error.status)

    return handler


async def _body(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    if not raw:
        return {}
    try:
        body = simplejson.loads(raw, use_decimal=True)
    except ValueError as error:
        raise ControlError(f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ControlError("a JSON object is needed")
    return body


def _tenant(world: World, tenant_id: str) -> str:
    if tenant_id not in world.organisations:
        raise ControlError(f"no organisation {tenant_id!r}", 404)
    return tenant_id


async def health(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    return {"status": "ok"}


async def state(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    return {
        "subscription": _subscription(world),
        "clock": await clock(world, request, {}),
        "settings": await settings(world, request, {}),
        "issued": dict(world.grants.issued),
        "faults": world.faults.as_json(),
        "limits": {
            name: {
                "minute": m.minute.used,
                "day": m.day.used,
                "in_flight": m.in_flight,
                "most": m.most_in_flight,
            }
            for name, m in world.limits.meters.items()
        },
    }


async def organisations(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    return [
        {
            "tenant_id": organisation.tenant_id,
            "name": organisation.name,
            "connected": world.connections.is_connected(world.apps.main_id, organisation.tenant_id),
            **{
                name: len(getattr(organisation, name))
                for name in ("invoices", "contacts", "payments", "accounts", "items")
            },
        }
        for organisation in world.organisations.values()
    ]


async def xero(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    tenant = _tenant(world, request.match_info["tenant"])
    query = f"?{request.query_string}" if request.query_string else ""
    return bookkeeping.call(
        world, tenant, request.method, f"/{request.match_info['path']}{query}", body or None
    )


async def pay(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    tenant = _tenant(world, request.match_info["tenant"])
    try:
        return bookkeeping.pay(world, tenant, **body)
    except TypeError as error:
        raise ControlError(str(error)) from error


async def details(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    return by_hand.change_organisation(world, _tenant(world, request.match_info["tenant"]), body)


def by_person(act: Callable[..., Any]) -> Act:
    """Make an endpoint of a change that only a person makes in Xero; the body's fields are its
    arguments.
    """

    async def handle(world: World, request: web.Request, body: dict[str, Any]) -> Any:
        try:
            return act(world, _tenant(world, request.match_info["tenant"]), **body)
        except (KeyError, TypeError) as error:
            raise ControlError(str(error)) from error

    return handle


async def apps(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    return [asdict(app) for app in world.apps.by_id.values()]


async def app_change(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    if body.get("scopes", "both") not in scopes.ALLOWED:
        raise ControlError("scopes must be both, broad or granular")
    try:
        return asdict(world.apps.change(request.match_info["client_id"], body))
    except TypeError as error:
        raise ControlError(str(error)) from error


async def give_consent(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    """Give consent at `url`, the address that the app sends the browser to; `organisations` are
    tenant ids or names.
    """
    try:
        ask = consent.check(world, dict(parse_qsl(urlsplit(str(body.get("url", ""))).query)))
    except consent.ConsentError as error:
        raise ControlError(f"{error.error}: {error.description}") from error
    if body.get("action") == "cancel":
        return {"redirect": consent.deny(ask)}
    person = BY_KEY.get(body.get("user", PEOPLE[0].key))
    if person is None:
        raise ControlError(f"no such user; there are: {', '.join(BY_KEY)}")
    tenants = [
        _find(world, name) for name in body.get("organisations", world.tenants_of(person)[:1])
    ]
    problem = consent.problem_with(world, ask, person, tenants)
    if problem:
        raise ControlError(problem)
    return {"redirect": consent.allow(world, ask, person, tenants)}


def _find(world: World, wanted: str) -> str:
    for tenant_id, organisation in world.organisations.items():
        if wanted in (tenant_id, organisation.name):
            return tenant_id
    raise ControlError(f"no organisation {wanted!r}", 404)


async def connections(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    return [asdict(connection) for connection in world.connections.live()]


async def connection_delete(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    id = request.match_info["id"]
    found = [connection for connection in world.connections.live() if connection.id == id]
    if not found:
        raise ControlError(f"no connection {id!r}", 404)
    world.connections.delete(found)
    return {"deleted": id}


async def tokens(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    live = [
        {
            "client_id": token.grant.client_id,
            "user": BY_ID[token.grant.user_id].key,
            "scopes": token.grant.scopes,
            "auth_event_id": token.grant.auth_event_id,
            "issued": token.issued,
            "first_used": token.first_used,
            "revoked": token.revoked,
        }
        for token in world.grants.tokens.values()
    ]
    return {
        "issued": dict(world.grants.issued),
        "history": list(world.grants.history),
        "refresh_tokens": live,
    }


async def tokens_revoke(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    client_id = body.get("client_id", world.apps.main_id)
    people = [BY_KEY[body["user"]]] if body.get("user") in BY_KEY else PEOPLE
    for person in people:
        world.grants.revoke_all(client_id, person.id)
        world.disconnect(client_id, person.id)
    return {"revoked": [person.key for person in people]}


def _subscription(world: World) -> dict[str, Any]:
    return {**asdict(world.outbox.subscription), "waiting": world.outbox.waiting}


async def subscription(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    if request.method == "POST":
        current = world.outbox.subscription
        await world.outbox.configure(
            str(body.get("url", current.url)),
            str(body.get("key", current.key)),
            list(body.get("categories", current.categories)),
        )
    return _subscription(world)


async def intent(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    if not world.outbox.subscription.url:
        raise ControlError("the subscription has no URL")
    await world.outbox.prove()
    return _subscription(world)


async def skip(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    world.outbox.take_numbers(_number(body, "count", 1, MOST_EVENTS))
    return _subscription(world)


async def deliveries(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    return list(world.outbox.deliveries.entries)


def _number(body: dict[str, Any], name: str, default: int, most: int) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ControlError(f"{name} must be a whole number from 1 to {most}")
    return value


async def events(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    count = _number(body, "count", 1, MOST_EVENTS)
    for _ in range(count):
        change = Change(
            str(body.get("category", "INVOICE")),
            str(body.get("type", "UPDATE")),
            str(body.get("resource_id") or uuid4()),
            world.clock(),
        )
        world.outbox.send_event(str(body.get("tenant_id", "")), change)
    return {"queued": count, "last_sequence": world.outbox.subscription.sequence}


async def send_burst(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    tenants = [_tenant(world, tenant) for tenant in body.get("tenant_ids", [])] or [
        tenant
        for tenant in world.organisations
        if world.connections.is_connected(world.apps.main_id, tenant)
    ]
    if not tenants or not world.outbox.subscription.url:
        raise ControlError("needs a subscription URL and a connected organisation (or tenant_ids)")
    report = await burst.send(
        world,
        count=_number(body, "count", 100, MOST_IN_BURST),
        concurrency=_number(body, "concurrency", 16, 1000),
        tenants=tenants,
        category=str(body.get("category", "INVOICE")),
    )
    return asdict(report)


async def faults(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    if request.method == "DELETE":
        id = request.match_info.get("id")
        world.faults.remove(int(id)) if id else world.faults.clear()
    if request.method == "POST":
        try:
            return asdict(world.faults.add(**body))
        except (TypeError, ValueError) as error:
            raise ControlError(str(error)) from error
    return world.faults.as_json()


async def counters(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    if request.method == "DELETE":
        world.counters.reset()
    return world.counters.as_json()


async def calls(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    return world.counters.recent_json()


async def clock(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    if body:
        world.clock.advance(_number(body, "advance_seconds", 0, 10 * 365 * 86400))
        world.outbox.wake()
    now: datetime = world.clock()
    return {
        "now": now.isoformat(timespec="milliseconds"),
        "shift_seconds": world.clock.shift_seconds,
    }


async def settings(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    for name, value in body.items():
        if name not in TUNABLE or isinstance(value, (str, bool)) or value is None or value < 0:
            raise ControlError(f"{name}: only numbers from 0 for {', '.join(TUNABLE)}")
        setattr(world.config, name, type(getattr(world.config, name))(value))
    world.outbox.wake()
    return {name: getattr(world.config, name) for name in TUNABLE}


async def reset(world: World, request: web.Request, body: dict[str, Any]) -> Any:
    world.faults.clear()
    world.counters.reset()
    world.limits.reset()
    world.grants.issued.clear()
    world.grants.history.clear()
    if body.get("connections"):
        for client_id in world.apps.by_id:
            for person in PEOPLE:
                world.grants.revoke_all(client_id, person.id)
                world.disconnect(client_id, person.id)
    return {"reset": True}


BASE = "/sandbox/api"
ROUTES = [
    web.get(f"{BASE}/health", endpoint(health)),
    web.get(f"{BASE}/state", endpoint(state)),
    web.get(f"{BASE}/organisations", endpoint(organisations)),
    web.route("*", BASE + "/organisations/{tenant}/xero/{path:.*}", endpoint(xero)),
    web.post(BASE + "/organisations/{tenant}/pay", endpoint(pay)),
    web.post(BASE + "/organisations/{tenant}/details", endpoint(details)),
    web.post(BASE + "/organisations/{tenant}/merge", endpoint(by_person(by_hand.merge_contacts))),
    web.post(BASE + "/organisations/{tenant}/credit", endpoint(by_person(by_hand.credit_invoice))),
    web.post(BASE + "/organisations/{tenant}/refund", endpoint(by_person(by_hand.refund))),
    web.get(f"{BASE}/apps", endpoint(apps)),
    web.post(BASE + "/apps/{client_id}", endpoint(app_change)),
    web.post(f"{BASE}/consent", endpoint(give_consent)),
    web.get(f"{BASE}/connections", endpoint(connections)),
    web.delete(BASE + "/connections/{id}", endpoint(connection_delete)),
    web.get(f"{BASE}/tokens", endpoint(tokens)),
    web.post(f"{BASE}/tokens/revoke", endpoint(tokens_revoke)),
    web.get(f"{BASE}/subscription", endpoint(subscription)),
    web.post(f"{BASE}/subscription", endpoint(subscription)),
    web.post(f"{BASE}/subscription/intent-to-receive", endpoint(intent)),
    web.post(f"{BASE}/subscription/skip", endpoint(skip)),
    web.get(f"{BASE}/deliveries", endpoint(deliveries)),
    web.post(f"{BASE}/events", endpoint(events)),
    web.post(f"{BASE}/burst", endpoint(send_burst)),
    web.get(f"{BASE}/faults", endpoint(faults)),
    web.post(f"{BASE}/faults", endpoint(faults)),
    web.delete(f"{BASE}/faults", endpoint(faults)),
    web.delete(BASE + r"/faults/{id:\d+}", endpoint(faults)),
    web.get(f"{BASE}/counters", endpoint(counters)),
    web.delete(f"{BASE}/counters", endpoint(counters)),
    web.get(f"{BASE}/calls", endpoint(calls)),
    web.get(f"{BASE}/clock", endpoint(clock)),
    web.post(f"{BASE}/clock", endpoint(clock)),
    web.get(f"{BASE}/settings", endpoint(settings)),
    web.post(f"{BASE}/settings", endpoint(settings)),
    web.post(f"{BASE}/reset", endpoint(reset)),
]
