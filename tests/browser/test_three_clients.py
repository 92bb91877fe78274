"""One workflow for three clients: while one connection is broken the other two are served; mended,
it catches up.
"""

import re
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from taskjuice.demo.place import Place
from tests.browser.conftest import OpenBrowser
from tests.browser.walking import (
    add_client,
    connect_xero,
    found_agency,
    reconnect_xero,
    sign_up,
    until,
    xero,
)

pytestmark = [pytest.mark.browser, pytest.mark.processes]
AGENCY = "/fern-three/"
OTHERS = {"Kauri Builders": "kauri-builders", "Rata Records": "rata-records"}


def change_an_invoice(place: Place, tenant: str) -> str:
    """Inside Xero; its number."""
    where = 'Type=="ACCREC" AND Status=="AUTHORISED" AND Total>1000'
    address = f"organisations/{tenant}/xero/Invoices"
    wanted = urlencode({"where": where, "order": "Date DESC", "page": 1})
    invoice = xero(place, "GET", f"{address}?{wanted}")["Invoices"][0]
    change: dict[str, Any] = {"InvoiceID": invoice["InvoiceID"], "Reference": f"at {time.time()}"}
    xero(place, "POST", f"{address}/{invoice['InvoiceID']}", change)
    return str(invoice["InvoiceNumber"])


def connected_client(page: Page, name: str, slug: str) -> str:
    """A further client with its organisation connected; the tenant's id."""
    add_client(page, AGENCY, name, slug)
    page.goto(f"{AGENCY}{slug}/connections/new/")
    return connect_xero(page)


def states(page: Page) -> dict[str, int]:
    """How many activations the chips count, by state."""
    page.goto(f"{AGENCY}activations/")
    found = {}
    for chip in page.locator(".chips .chip").all():
        *words, count = chip.inner_text().split()
        found[" ".join(words)] = int(count)
    return found


def test_two_clients_are_served_while_the_third_waits_for_its_connection(
    product: Place, open_browser: OpenBrowser
) -> None:
    with open_browser() as watched:
        page = watched.page
        sign_up(page, product, "three@fern.example")
        found_agency(page, "Fern Three", "Tui Studio")
        tenants = [
            connect_xero(page),
            *(connected_client(page, name, slug) for name, slug in OTHERS.items()),
        ]
        assert len(set(tenants)) == 3
        page.goto(f"{AGENCY}workflows/new/?template=large-invoice")
        for box in page.locator("input[name=connections]").all():
            box.check()
        page.get_by_role("button", name="Publish").first.click()
        expect(page).to_have_url(re.compile(r"/workflows/\d+/$"))
        xero(product, "POST", "subscription", {"url": f"{product.base_url}/webhooks/xero/"})

        broken = tenants[2]
        xero(
            product, "POST", "settings", {"webhook_delay_ms": 1500}
        )  # its last event is still on its way
        for tenant in tenants:
            change_an_invoice(product, tenant)
        (gone,) = [one for one in xero(product, "GET", "connections") if one["tenant_id"] == broken]
        xero(product, "DELETE", f"connections/{gone['id']}")
        xero(product, "POST", "settings", {"webhook_delay_ms": 100})
        expected = {"Succeeded": 2, "Waiting": 1}
        until("two are served", lambda: expected.items() <= states(page).items())
        change_an_invoice(product, tenants[0])
        expected = {"Succeeded": 3, "Waiting": 1}
        until("the first goes on", lambda: expected.items() <= states(page).items())

        page.goto(f"{AGENCY}rata-records/connections/")
        page.locator("tbody th a").first.click()
        reconnect_xero(page, broken)
        expected = {"Succeeded": 4, "Waiting": 0}
        until("the third catches up", lambda: expected.items() <= states(page).items())
        assert watched.complaints == []
