"""`/api.xro/2.0/*`: token, scope, organisation, limits, faults and idempotency, then the ledger."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

from aiohttp import web

from xero.sandbox.accounting import Request, Response
from xero.sandbox.gateway import disturb, problems
from xero.sandbox.gateway.faults import ODDITIES, Fault
from xero.sandbox.gateway.limits import Meter, Refusal
from xero.sandbox.gateway.replays import METHODS, ReplayError
from xero.sandbox.identity import scopes
from xero.sandbox.identity.keys import Access, BadTokenError
from xero.sandbox.people import BY_ID
from xero.sandbox.world import WORLD, World

PREFIX = "/api.xro/2.0"
LIMIT_KINDS = {"limit_minute": "minute", "limit_day": "day", "limit_concurrent": "concurrent"}


def authenticate(world: World, authorisation: str) -> Access | web.Response:
    """Return the access of the bearer token, or the 401 that Xero gives."""
    kind, _, token = authorisation.partition(" ")
    if kind.lower() != "bearer" or not token:
        return problems.unauthorised()
    try:
        access = world.keys.read(token.strip())
    except BadTokenError:
        return problems.unauthorised()
    if access.expires <= world.clock.timestamp():
        return problems.token_expired(datetime.fromtimestamp(access.expires, UTC))
    return access


async def accounting(request: web.Request) -> web.StreamResponse:
    world = request.app[WORLD]
    answer = await _answer(world, request)
    path = request.path[len(PREFIX) :]
    tenant = request.headers.get("xero-tenant-id", "").lower()
    key = request.headers.get("Idempotency-Key", "")
    endpoint = path.split("/", 2)[1] if "/" in path else ""
    world.counters.count(
        world.clock.timestamp(),
        tenant,
        request.method,
        request.path_qs,
        endpoint,
        answer.status,
        key,
    )
    if not answer.prepared:
        answer.headers["X-Correlation-Id"] = str(uuid4())
    return answer


async def _answer(world: World, request: web.Request) -> web.StreamResponse:
    access = authenticate(world, request.headers.get("Authorization", ""))
    if isinstance(access, web.Response):
        return access
    path = request.path[len(PREFIX) :]
    accepted = scopes.accepted(request.method, path)
    if accepted is not None and not accepted & access.scopes:
        return problems.scope_missing()
    tenant = request.headers.get("xero-tenant-id", "").lower()
    if not world.connections.allows(access.client_id, access.user_id, tenant):
        return problems.not_connected()
    if request.method not in {"GET", "HEAD"} and not BY_ID[access.user_id].may_write:
        return problems.not_connected()
    return await _limited(world, request, access, tenant)


async def _limited(
    world: World, request: web.Request, access: Access, tenant: str
) -> web.StreamResponse:
    meter = world.limits.meter(access.client_id, tenant)
    fault = world.faults.take(request.method, request.path, tenant) if world.faults.active else None
    refusal = world.limits.enter(access.client_id, meter)
    if refusal is not None:
        return problems.too_many(refusal, world.limits.headers(access.client_id, meter))
    try:
        refused = _refused_by(fault, world, access, meter)
        if refused is not None:
            return refused
        return await _disturbed(world, request, access, tenant, fault, meter)
    finally:
        world.limits.leave(meter)


def _refused_by(
    fault: Fault | None, world: World, access: Access, meter: Meter
) -> web.Response | None:
    if fault is None:
        return None
    if fault.kind == "token_expired":
        return problems.token_expired(world.clock())
    if fault.kind == "disconnected":
        return problems.not_connected()
    if fault.kind not in LIMIT_KINDS:
        return None
    refusal = _pretended(fault, meter, world.clock.timestamp())
    headers = dict(world.limits.headers(access.client_id, meter))
    exhausted = {"minute": "X-MinLimit-Remaining", "day": "X-DayLimit-Remaining"}.get(
        refusal.problem
    )
    left = {**headers, exhausted: "0"} if exhausted else headers
    return problems.too_many(refusal, left, fault.retry_after)


def _pretended(fault: Fault, meter: Meter, now: float) -> Refusal:
    name = LIMIT_KINDS[fault.kind]
    if name == "concurrent":
        return Refusal(name, None)
    window = meter.minute if name == "minute" else meter.day
    return Refusal(name, int(fault.seconds) or window.seconds_left(now))


async def _disturbed(
    world: World,
    request: web.Request,
    access: Access,
    tenant: str,
    fault: Fault | None,
    meter: Meter,
) -> web.StreamResponse:
    limit_headers = world.limits.headers(access.client_id, meter)
    instead = await disturb.before(fault, request)
    if instead is not None:
        instead.headers.update(limit_headers)
        return instead
    executed = await _idempotent(world, request, access, tenant, fault)
    executed.headers.update(limit_headers)
    return await disturb.after(fault, request, executed)


async def _idempotent(
    world: World, request: web.Request, access: Access, tenant: str, fault: Fault | None
) -> web.Response:
    call = await _call(request, fault.kind if fault and fault.kind in ODDITIES else "")
    key = call.headers.get("idempotency-key", "") if request.method in METHODS else ""
    if not key:
        return _as_web(await _execute(world, access, tenant, call))
    try:
        known = world.replays.begin(access.client_id, key, request.path_qs, tenant, call)
    except ReplayError as error:
        return problems.problem(error.status, error.detail)
    if known is not None:
        return _as_web(known)
    try:
        answer = await _execute(world, access, tenant, call)
    except BaseException:
        world.replays.abandon(access.client_id, key)
        raise
    if fault and fault.kind == "error_500_remembered":
        answer = _failed(answer)
    world.replays.finish(access.client_id, key, answer)
    return _as_web(answer)


def _failed(answer: Response) -> Response:
    error = disturb.server_error()
    return Response(
        500, {"content-type": "application/json"}, (error.text or "").encode(), answer.changes
    )


async def _call(request: web.Request, oddity: str) -> Request:
    query: dict[str, str] = {}
    for name, value in request.query.items():
        query.setdefault(name, value)  # of a repeated parameter Xero takes one (Xero-OpenAPI#534)
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = await request.read() if request.body_exists else b""
    return Request(request.method, request.path[len(PREFIX) :], query, headers, body, oddity)


async def _execute(world: World, access: Access, tenant: str, call: Request) -> Response:
    if world.config.latency_ms:
        await asyncio.sleep(world.config.latency_ms / 1000)
    answer = world.books.handle(tenant, access.client_id, call)
    if answer.changes:
        world.outbox.record(tenant, answer.changes)
    return answer


def _as_web(answer: Response) -> web.Response:
    return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
