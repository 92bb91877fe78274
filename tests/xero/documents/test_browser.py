"""The invoice form as a person fills it in, in a real browser."""

import os
import re
import shutil
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from playwright.sync_api import Page, Route, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from connections.models import Call, Connection
from tests.browser.conftest import CHROMIUM, QUIET
from tests.sandbox_process import SandboxProcess
from tests.xero.books import read_all
from tests.xero.linked import link
from xero.models import Contact, Item
from xero.sync import schedule as sync_schedule

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
]
NEW = "/northwind/harbour-cafe/invoices/new/"


@pytest.fixture
def page(
    live_server: LiveServer,
    as_member: Client,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Page]:
    path = shutil.which("chromium") or CHROMIUM
    if not shutil.which(path):
        if os.environ.get("TASKJUICE_REQUIRE_BROWSER"):
            pytest.fail("Chromium is not installed, and this run may not do without it.")
        pytest.skip("Chromium is not installed; `make test` installs it where it may.")
    monkeypatch.setenv(
        "DJANGO_ALLOW_ASYNC_UNSAFE", "1"
    )  # Playwright's event loop runs in this thread too
    cookie = as_member.cookies[settings.SESSION_COOKIE_NAME].value
    before = set(threading.enumerate())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        context = browser.new_context(
            base_url=live_server.url, viewport={"width": 1280, "height": 900}
        )
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
        )
        context.set_default_timeout(15_000)
        yield context.new_page()
        connections.close_all()  # the loop has its own
        browser.close()
    for thread in (
        set(threading.enumerate()) - before
    ):  # the server's, each with a connection to the database
        thread.join(10)


def test_invoice_is_filled_in_previewed_and_approved(page: Page, connection: Connection) -> None:
    contact = Contact.objects.filter(connection=connection, status="ACTIVE").latest("name")
    item = Item.objects.filter(connection=connection, is_sold=True, sale_price__gt=0).earliest(
        "code"
    )
    page.goto(NEW)
    rates = page.get_by_label("Tax rate of line 1").locator("option")
    expect(rates.filter(has_text="15% GST on Income")).to_have_count(1)
    page.get_by_label("To", exact=True).press_sequentially(contact.name[:12])
    expect(page.locator(f'#contacts option[value="{contact.name}"]')).to_have_count(1)
    page.get_by_label("To", exact=True).fill(contact.name)
    page.get_by_label("Item of line 1").fill(item.code)
    page.get_by_label("Item of line 1").press("Tab")
    expect(page.get_by_label("Unit price of line 1")).to_have_value(f"{item.sale_price:.2f}")
    expect(page.locator("#amount-0")).to_have_text(f"{item.sale_price:,.2f}")
    page.get_by_role("button", name="Add five").click()
    expect(page.get_by_label("Description of line 4")).to_be_focused()
    page.get_by_role("button", name="Remove line 8").click()
    expect(page.locator(".desk-lines tbody tr")).to_have_count(7)
    page.get_by_label("Description of line 2").fill("Travel")
    page.get_by_label("Quantity of line 2").fill("3")
    page.get_by_label("Account of line 2").select_option("200")
    page.get_by_label("Unit price of line 2").press_sequentially("33.335")
    expect(page.locator("#amount-1")).to_have_text("100.01")
    expect(page.locator("#sums")).to_contain_text("15% GST on Income")
    total = page.locator("#sums dd.grand").inner_text()
    page.get_by_role("button", name="Approve", exact=True).dblclick()
    expect(page).to_have_url(re.compile(r"/invoices/[0-9a-f-]{36}/$"))
    expect(page.locator(".figure .value").first).to_have_text(total)
    assert Call.objects.count() == 1


def test_what_is_typed_while_an_item_fills_its_line_stays(
    page: Page, connection: Connection
) -> None:
    item = Item.objects.filter(connection=connection, is_sold=True, sale_price__gt=0).earliest(
        "code"
    )
    page.goto(NEW)
    expect(page.locator("#lines[hx-trigger]")).to_have_count(0)  # the tax rates are there
    held: list[Route] = []
    page.route(re.compile("part=lines"), lambda route: held.append(route))  # noqa: PLW0108 - it looks at its signature
    page.get_by_label("Item of line 1").fill(item.code)
    page.get_by_label("Item of line 1").press("Tab")
    page.get_by_label("Unit price of line 1").fill("5")
    page.get_by_label("Description of line 2").fill("Travel")
    expect(page.get_by_label("Description of line 2")).to_be_focused()
    for route in held:
        route.continue_()
    expect(page.get_by_label("Description of line 1")).to_have_value(item.body["Description"])
    expect(page.get_by_label("Unit price of line 1")).to_have_value("5")
    expect(page.get_by_label("Description of line 2")).to_have_value("Travel")
    expect(page.get_by_label("Description of line 2")).to_be_focused()
    expect(page.locator("#amount-0")).to_have_text("5.00")


def test_choosing_another_organisation_keeps_what_was_typed(
    page: Page, connection: Connection, sandbox: SandboxProcess
) -> None:
    other = link(sandbox, connection.workspace, 1)
    sync_schedule.start_reading(other)
    read_all(other)
    page.goto(f"{NEW}?organisation={connection.pk}")
    page.get_by_label("Reference").fill("Autumn")
    page.get_by_label("Description of line 1").fill("Travel")
    page.get_by_label("Organisation", exact=True).select_option(str(other.pk))
    expect(page.get_by_text(f"A sale of {other.name}.")).to_be_visible()
    expect(page.get_by_label("Reference")).to_have_value("Autumn")
    expect(page.get_by_label("Description of line 1")).to_have_value("Travel")
    expect(page.locator("form#desk")).to_have_count(1)
