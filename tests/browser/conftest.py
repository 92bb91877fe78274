"""A real Chromium against real processes."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from taskjuice.demo.place import Place
from tests.live import furnish, live

CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-dev-shm-usage"
).split()


@pytest.fixture(scope="module")  # not longer: Playwright's event loop and the ORM do not mix
def product(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[Place]:
    with live(furnish(tmp_path_factory.mktemp("live"), prepared)) as place:
        yield place


@pytest.fixture(scope="module")  # not longer: Playwright's event loop and the ORM do not mix
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or CHROMIUM
    if not shutil.which(path):
        if os.environ.get("TASKJUICE_REQUIRE_BROWSER"):
            pytest.fail("Chromium is not installed, and this run may not do without it.")
        pytest.skip("Chromium is not installed; `make test` installs it where it may.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and what its console complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


OpenBrowser = Callable[..., AbstractContextManager[Watched]]


@pytest.fixture
def open_browser(chromium: Browser, product: Place):  # type: ignore[no-untyped-def]  # a context manager's factory
    @contextmanager
    def opened(*, javascript: bool = True, width: int = 1280) -> Iterator[Watched]:
        context: BrowserContext = chromium.new_context(
            base_url=product.base_url,
            java_script_enabled=javascript,
            viewport={"width": width, "height": 900},
        )
        context.set_default_timeout(15_000)
        watched = Watched(context.new_page())
        watched.page.on("console", watched.note)
        watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        yield watched
        context.close()

    return opened
