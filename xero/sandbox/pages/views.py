"""The sandbox's pages of organisations and their ledgers. Those of webhooks, faults and apps are in
`desk`.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiDictProxy

from xero.sandbox.pages import bookkeeping, desk
from xero.sandbox.pages.bookkeeping import RefusedError
from xero.sandbox.pages.forms import FormError, contact_from, invoice_from, text
from xero.sandbox.pages.render import page
from xero.sandbox.world import WORLD, World

View = Callable[[web.Request, World, str], Awaitable[web.StreamResponse]]
Form = MultiDictProxy[Any]
PAGE_SIZE = 50
LEDGERS = {
    "invoices": "Invoices",
    "contacts": "Contacts",
    "payments": "Payments",
    "accounts": "Accounts",
    "items": "Items",
}
UNPAGED = {"accounts", "items"}
STATUSES = ("DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED")


def of_organisation(view: View) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Pass the organisation that the URL names to the view, or answer 404."""

    @wraps(view)
    async def handler(request: web.Request) -> web.StreamResponse:
        world = request.app[WORLD]
        tenant = request.match_info["tenant"]
        if tenant not in world.organisations:
            return page(
                "message.html", status=404, title="Not found", text="There is no such organisation."
            )
        try:
            return await view(request, world, tenant)
        except RefusedError as error:
            title = "Not found" if error.status == 404 else "Xero refused this"
            return page("message.html", status=error.status, title=title, text=str(error))

    return handler


async def home(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    connected = {
        tenant: [
            connection for connection in world.connections.live() if connection.tenant_id == tenant
        ]
        for tenant in world.organisations
    }
    return page(
        "home.html", organisations=world.organisations.values(), connected=connected, world=world
    )


def _list_url(request: web.Request, ledger: str, number: int) -> str:
    query = {"order": "Code" if ledger in UNPAGED else "UpdatedDateUTC DESC"}
    if ledger not in UNPAGED:
        query |= {"page": str(number), "pageSize": str(PAGE_SIZE)}
    if ledger == "invoices" and request.query.get("status") in STATUSES:
        query["Statuses"] = request.query["status"]
    if ledger == "invoices" and request.query.get("type") in ("ACCREC", "ACCPAY"):
        query["where"] = f'Type=="{request.query["type"]}"'
    if ledger in ("invoices", "contacts") and request.query.get("q"):
        query["searchTerm"] = request.query["q"]
    if ledger == "contacts":
        query["includeArchived"] = "true"
    return f"/{LEDGERS[ledger]}?{urlencode(query)}"


@of_organisation
async def ledger(request: web.Request, world: World, tenant: str) -> web.Response:
    name = request.match_info.get("ledger", "invoices")
    asked = request.query.get("page", "1")
    number = int(asked) if asked.isdecimal() and int(asked) else 1
    answer = bookkeeping.call(world, tenant, "GET", _list_url(request, name, number))
    return page(
        f"ledger_{name}.html",
        organisation=world.organisations[tenant],
        ledger=name,
        rows=answer[LEDGERS[name]],
        pagination=answer.get("pagination"),
        number=number,
        query=request.query,
        statuses=STATUSES,
        others=urlencode({key: value for key, value in request.query.items() if key != "page"}),
        world=world,
    )


def _invoice_page(
    world: World, tenant: str, invoice: dict[str, Any], problem: str = "", done: str = ""
) -> web.Response:
    query = "/Contacts?page=1&pageSize=1000&order=Name"
    return page(
        "invoice.html",
        status=400 if problem else 200,
        organisation=world.organisations[tenant],
        invoice=invoice,
        contacts=bookkeeping.call(world, tenant, "GET", query)["Contacts"],
        accounts=bookkeeping.accounts(world, tenant),
        payable=bookkeeping.payable_accounts(world, tenant),
        today=world.clock().date().isoformat(),
        problem=problem,
        done=done,
        world=world,
    )


@of_organisation
async def invoice_new(request: web.Request, world: World, tenant: str) -> web.StreamResponse:
    if request.method == "GET":
        return _invoice_page(world, tenant, {"Type": request.query.get("type", "ACCREC")})
    invoice = invoice_from(await request.post(), {})
    try:
        answer = bookkeeping.call(world, tenant, "PUT", "/Invoices", {"Invoices": [invoice]})
    except RefusedError as error:
        return _invoice_page(world, tenant, invoice, str(error))
    raise _to_invoice(tenant, answer["Invoices"][0]["InvoiceID"], "created")


def _to_invoice(tenant: str, id: str, done: str) -> web.HTTPSeeOther:
    return web.HTTPSeeOther(f"/organisations/{tenant}/invoices/{id}?done={done}")


@of_organisation
async def invoice(request: web.Request, world: World, tenant: str) -> web.StreamResponse:
    id = request.match_info["id"]
    current = bookkeeping.document(world, tenant, "Invoices", id)
    if request.method == "GET":
        return _invoice_page(world, tenant, current, done=request.query.get("done", ""))
    form = await request.post()
    try:
        done = _act_on_invoice(world, tenant, current, form)
    except (RefusedError, FormError) as error:
        return _invoice_page(world, tenant, current, str(error))
    raise _to_invoice(tenant, id, done)


def _act_on_invoice(world: World, tenant: str, current: dict[str, Any], form: Form) -> str:
    """Do what the pressed button says, and return the word for it."""
    id = current["InvoiceID"]
    action = text(form, "action")
    if action == "pay":
        amount = text(form, "amount")
        bookkeeping.pay(
            world, tenant, id, amount or None, text(form, "account"), text(form, "date")
        )
        return "paid"
    if action in ("SUBMITTED", "AUTHORISED", "VOIDED", "DELETED"):
        bookkeeping.set_status(world, tenant, id, action)
        return action.lower()
    bookkeeping.call(world, tenant, "POST", f"/Invoices/{id}", invoice_from(form, current))
    return "saved"


@of_organisation
async def contact(request: web.Request, world: World, tenant: str) -> web.StreamResponse:
    """Show a contact. A new one has the id "new"."""
    id = request.match_info["id"]
    current = {} if id == "new" else bookkeeping.document(world, tenant, "Contacts", id)
    problem = ""
    if request.method == "POST":
        changed = contact_from(await request.post())
        url = "/Contacts" if id == "new" else f"/Contacts/{id}"
        try:
            saved = bookkeeping.call(world, tenant, "PUT" if id == "new" else "POST", url, changed)
            raise web.HTTPSeeOther(
                f"/organisations/{tenant}/contacts/{saved['Contacts'][0]['ContactID']}?done=saved"
            )
        except RefusedError as error:
            problem, current = str(error), {**current, **changed}
    return page(
        "contact.html",
        status=400 if problem else 200,
        organisation=world.organisations[tenant],
        contact=current,
        id=id,
        problem=problem,
        done=request.query.get("done", ""),
        world=world,
    )


@web.middleware
async def own_pages_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse forms of other sites, which must not change the sandbox behind a person's back."""
    origin = request.headers.get("Origin")
    is_form = request.method == "POST" and not request.path.startswith(("/api.xro/", "/connect/"))
    if is_form and origin not in (None, f"{request.scheme}://{request.host}"):
        raise web.HTTPForbidden(text="This form was not on a page of the sandbox.")
    return await handler(request)


_LEDGER = "/organisations/{tenant}/{ledger:" + "|".join(LEDGERS) + "}"
ROUTES = [
    web.get("/", home),
    web.get("/organisations/{tenant}", ledger),
    web.get(_LEDGER, ledger),
    web.get("/organisations/{tenant}/invoices/new", invoice_new),
    web.post("/organisations/{tenant}/invoices/new", invoice_new),
    web.get("/organisations/{tenant}/invoices/{id}", invoice),
    web.post("/organisations/{tenant}/invoices/{id}", invoice),
    web.get("/organisations/{tenant}/contacts/{id}", contact),
    web.post("/organisations/{tenant}/contacts/{id}", contact),
    *desk.ROUTES,
]
