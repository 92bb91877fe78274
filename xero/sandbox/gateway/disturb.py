"""Execution of a fault on a request, before or after the call is executed."""

import asyncio
import socket
import struct
import time

from aiohttp import web

from xero.sandbox.gateway.faults import Fault

HTML = "<!doctype html><html><head><title>Xero</title></head><body><h1>We'll be back soon</h1></body></html>"
UNAVAILABLE = "The Xero API is temporarily unavailable"
SILENCE_SECONDS = 120
LATE_SECONDS = 10
DRIPS = 20


async def before(fault: Fault | None, request: web.Request) -> web.Response | None:
    """Return the answer that replaces the call, or None if it is to be executed."""
    kind = fault.kind if fault else ""
    if fault:
        await request.read()  # else the caller notices while it is still sending
    if fault and kind == "slow":
        await asyncio.sleep(fault.seconds or LATE_SECONDS)
    elif kind == "error_500_before":
        return server_error()
    elif kind == "error_503_before":
        return _unavailable()
    elif kind == "html":
        return web.Response(text=HTML, content_type="text/html")
    elif kind == "reset_before":
        return _reset(request)
    return None


async def after(
    fault: Fault | None, request: web.Request, answer: web.StreamResponse
) -> web.StreamResponse:
    """Return what goes out instead of, or as, the answer of the executed call."""
    kind = fault.kind if fault else ""
    if kind in {"error_500_after", "error_500_remembered"}:
        return server_error()
    if kind == "error_503_after":
        return _unavailable()
    if kind == "reset_after":
        return _reset(request)
    if fault and kind == "timeout_after":
        await _silence(request, fault.seconds or SILENCE_SECONDS)
        return _reset(request)
    if fault and kind in {"slow_body", "half_body"} and isinstance(answer, web.Response):
        return await _drip(request, answer, fault)
    return answer


def server_error() -> web.Response:
    return web.json_response(
        {"ErrorNumber": 500, "Type": "Error", "Message": "An error occurred in Xero."}, status=500
    )


def _unavailable() -> web.Response:
    return web.Response(status=503, text=UNAVAILABLE)


def _reset(request: web.Request) -> web.Response:
    """Close with RST: SO_LINGER with no time drops what is unsent."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)


async def _silence(request: web.Request, seconds: float) -> None:
    """Wait until the time is over or the caller has disconnected."""
    end = time.monotonic() + seconds
    # polled: a transport tells nobody that it closed
    while (  # noqa: ASYNC110
        time.monotonic() < end
        and request.transport is not None
        and not request.transport.is_closing()
    ):
        await asyncio.sleep(0.05)


async def _drip(request: web.Request, answer: web.Response, fault: Fault) -> web.StreamResponse:
    body = answer.body if isinstance(answer.body, bytes) else b""
    stream = web.StreamResponse(status=answer.status, headers=answer.headers)
    stream.content_length = len(body)
    await stream.prepare(request)
    if fault.kind == "half_body":
        await stream.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return stream
    size = max(1, len(body) // DRIPS)
    for start in range(0, len(body), size):
        await stream.write(body[start : start + size])
        await asyncio.sleep((fault.seconds or LATE_SECONDS) / DRIPS)
    return stream
