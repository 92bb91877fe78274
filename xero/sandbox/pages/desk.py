"""Pages as in Xero's developer portal, and those of the faults."""

from typing import Any

from aiohttp import web

from xero.sandbox.accounting import Change
from xero.sandbox.gateway.faults import ACCOUNTING, CALL_KINDS, WEBHOOK_KINDS
from xero.sandbox.pages.forms import text
from xero.sandbox.pages.render import page
from xero.sandbox.people import BY_ID, PEOPLE
from xero.sandbox.webhooks.subscription import CATEGORIES
from xero.sandbox.world import WORLD, World

SHOWN_DELIVERIES = 50
SHOWN_CALLS = 50
STATES = {
    "none": "No subscription",
    "intent_to_receive_required": "‘Intent to receive’ required",
    "ok": "OK",
    "retry": "Retry",
    "disabled": "Disabled",
}


def _webhooks_page(world: World, problem: str = "") -> web.Response:
    return page(
        "webhooks.html",
        status=400 if problem else 200,
        subscription=world.outbox.subscription,
        waiting=world.outbox.waiting,
        state=STATES[world.outbox.subscription.status],
        categories=CATEGORIES,
        organisations=world.organisations.values(),
        deliveries=list(reversed(world.outbox.deliveries.entries))[:SHOWN_DELIVERIES],
        problem=problem,
        world=world,
    )


async def webhooks(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    if request.method == "GET":
        return _webhooks_page(world)
    form = await request.post()
    problem = await _act_on_webhooks(world, text(form, "action"), form)
    if problem:
        return _webhooks_page(world, problem)
    raise web.HTTPSeeOther("/webhooks")


async def _act_on_webhooks(world: World, action: str, form: Any) -> str:
    outbox = world.outbox
    if action == "save":
        url = text(form, "url")
        if url and not url.startswith(("https://", "http://")):
            return "The delivery URL must start with https:// (or http:// on this machine)."
        categories = [
            category for category in form.getall("category", []) if category in CATEGORIES
        ]
        await outbox.configure(url, text(form, "key") or outbox.subscription.key, categories)
    elif action == "intent" and outbox.subscription.url:
        await outbox.prove()
    elif action == "skip":
        outbox.take_numbers(1)
    elif action == "event":
        return _send_event(world, text(form, "tenant"), text(form, "category"))
    return ""


def _send_event(world: World, tenant: str, category: str) -> str:
    organisation = world.organisations.get(tenant)
    if organisation is None or category not in CATEGORIES:
        return "Choose an organisation and a category."
    ledger = organisation.invoices if category == "INVOICE" else organisation.contacts
    world.outbox.send_event(tenant, Change(category, "UPDATE", list(ledger)[-1], world.clock()))
    return ""


async def faults(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    problem = ""
    if request.method == "POST":
        form = await request.post()
        problem = _act_on_faults(world, form)
        if not problem:
            raise web.HTTPSeeOther("/faults")
    return page(
        "faults.html",
        status=400 if problem else 200,
        faults=world.faults.active,
        call_kinds=CALL_KINDS,
        webhook_kinds=WEBHOOK_KINDS,
        kinds=CALL_KINDS | WEBHOOK_KINDS,
        organisations=world.organisations,
        default_path=ACCOUNTING,
        calls=list(reversed(world.counters.recent))[:SHOWN_CALLS],
        problem=problem,
        world=world,
    )


def _act_on_faults(world: World, form: Any) -> str:
    action = text(form, "action")
    if action == "clear":
        world.faults.clear()
    elif action.startswith("remove-") and action[7:].isdecimal():
        world.faults.remove(int(action[7:]))
    elif action == "add":
        count = text(form, "count")
        try:
            world.faults.add(
                kind=text(form, "kind"),
                remaining=None if not count else int(count),
                method=text(form, "method"),
                path=text(form, "path") or ACCOUNTING,
                tenant_id=text(form, "tenant"),
                seconds=float(text(form, "seconds") or 0),
                retry_after=text(form, "retry_after"),
            )
        except ValueError as error:
            return str(error)
    return ""


async def apps(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    problem = ""
    if request.method == "POST":
        problem = _act_on_apps(world, await request.post())
        if not problem:
            raise web.HTTPSeeOther("/apps")
    return page(
        "apps.html",
        status=400 if problem else 200,
        apps=world.apps.by_id.values(),
        grants=_grants(world),
        connections=world.connections.live(),
        people=BY_ID,
        issued=world.grants.issued,
        problem=problem,
        world=world,
    )


def _grants(world: World) -> list[dict[str, Any]]:
    """Return one row per app and user with a live refresh token."""
    live: dict[tuple[str, str], int] = {}
    for token in world.grants.tokens.values():
        if not token.revoked and token.first_used is None:
            key = (token.grant.client_id, token.grant.user_id)
            live[key] = live.get(key, 0) + 1
    return [
        {"client_id": client_id, "person": BY_ID[user_id], "tokens": count}
        for (client_id, user_id), count in live.items()
    ]


def _act_on_apps(world: World, form: Any) -> str:
    action = text(form, "action")
    client_id = text(form, "client_id")
    if action == "revoke":
        person = next((person for person in PEOPLE if person.key == text(form, "user")), None)
        if person:
            world.grants.revoke_all(client_id, person.id)
            world.disconnect(client_id, person.id)
    elif action == "disconnect":
        id = text(form, "connection")
        world.connections.delete([found for found in world.connections.live() if found.id == id])
    elif action == "save" and client_id in world.apps.by_id:
        uris = text(form, "redirect_uris").split()
        if any(not uri.startswith(("https://", "http://")) for uri in uris):
            return "A redirect URI starts with https:// or http://."
        world.apps.change(
            client_id,
            {
                "redirect_uris": uris,
                "scopes": text(form, "scopes"),
                "bulk_connect": bool(text(form, "bulk_connect")),
            },
        )
    return ""


ROUTES = [
    web.get("/webhooks", webhooks),
    web.post("/webhooks", webhooks),
    web.get("/faults", faults),
    web.post("/faults", faults),
    web.get("/apps", apps),
    web.post("/apps", apps),
]
