"""The main job as a person clicks it, with JavaScript and without: sign up, connect, watch an activation end."""

import re
import time
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from taskjuice.demo.place import Place
from tests.browser.conftest import OpenBrowser
from tests.browser.walking import connect_xero, found_agency, sign_up, until, xero

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("browser")]


def publish_workflow(page: Page, home: str) -> None:
    page.goto(f"{home}workflows/new/")
    page.locator("a[href*='template=large-invoice']").click()
    page.locator("#id_name").fill("Watch large invoices")
    page.get_by_role("button", name="Publish").first.click()
    expect(page).to_have_url(re.compile(r"/workflows/\d+/$"))


def change_a_large_invoice(place: Place, tenant: str) -> str:
    """Returns its number."""
    where = 'Type=="ACCREC" AND Status=="AUTHORISED" AND Total>1000'
    address = f"organisations/{tenant}/xero/Invoices"
    wanted = urlencode({"where": where, "order": "Date DESC", "page": 1})  # older ones may be locked
    invoice = xero(place, "GET", f"{address}?{wanted}")["Invoices"][0]
    change = {"InvoiceID": invoice["InvoiceID"], "Reference": f"at {time.time()}"}
    xero(place, "POST", f"{address}/{invoice['InvoiceID']}", change)
    return str(invoice["InvoiceNumber"])


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without"])
def test_main_job_from_sign_up_to_a_finished_activation(
    product: Place, open_browser: OpenBrowser, javascript: bool
) -> None:
    who = "scripted" if javascript else "plain"
    with open_browser(javascript=javascript) as watched:
        page = watched.page
        sign_up(page, product, f"{who}@fern.example")
        found_agency(page, f"Fern {who}", "Tui Studio")
        home = f"/fern-{who}/tui-studio/"
        tenant = connect_xero(page)
        publish_workflow(page, home)
        xero(product, "POST", "subscription", {"url": f"{product.base_url}/webhooks/xero/"})
        number = change_a_large_invoice(product, tenant)

        page.goto(f"{home}activations/")
        row = page.get_by_role("row").filter(has_text=number)
        until("the activation is listed", lambda: row.count() or (page.reload() and False))
        expect(row).to_have_count(1)
        until("it succeeded", lambda: "Succeeded" in row.inner_text() or (page.reload() and False))
        row.get_by_role("link").first.click()

        expect(page.get_by_role("heading", name=number)).to_be_visible()
        assert watched.complaints == []
