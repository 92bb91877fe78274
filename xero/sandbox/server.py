"""The aiohttp application: routes, background work, start and stop."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from aiohttp import web

from xero.sandbox.config import Config
from xero.sandbox.gateway.views import PREFIX, accounting
from xero.sandbox.identity.views import ROUTES as IDENTITY_ROUTES
from xero.sandbox.pages.control import ROUTES as CONTROL_ROUTES
from xero.sandbox.pages.render import FOLDER
from xero.sandbox.pages.views import ROUTES as PAGE_ROUTES
from xero.sandbox.pages.views import own_pages_only
from xero.sandbox.world import WORLD, World

LARGEST_BODY = 16 * 1024**2  # beyond Xero's own limit, which the ledger's answer explains
FLUSH_SECONDS = 2
log = logging.getLogger("xero.sandbox")


async def _flush(world: World) -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        world.flush()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("background work ended", exc_info=error)


async def _background(app: web.Application) -> AsyncIterator[None]:
    world = app[WORLD]
    work = [world.outbox.run(), _flush(world)]
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    for task in tasks:
        task.add_done_callback(_report)
    yield
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    await world.sender.close()
    world.flush()
    world.storage.close()


def application(config: Config) -> web.Application:
    app = web.Application(client_max_size=LARGEST_BODY, middlewares=[own_pages_only])
    app[WORLD] = World(config)
    app.add_routes(IDENTITY_ROUTES)
    app.add_routes([web.route("*", PREFIX + "/{path:.*}", accounting)])
    app.add_routes(CONTROL_ROUTES)
    app.add_routes(PAGE_ROUTES)
    app.router.add_static("/static", FOLDER / "static")
    app.cleanup_ctx.append(_background)
    return app


def serve(config: Config) -> None:
    """Serve until SIGINT or SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    access_log = logging.getLogger("aiohttp.access") if config.access_log else None
    app = application(config)
    log.info("Xero sandbox (not Xero) at http://%s:%s/", config.host, config.port)
    web.run_app(
        app,
        host=config.host,
        port=config.port,
        access_log=access_log,
        print=None,
        shutdown_timeout=1,
    )
