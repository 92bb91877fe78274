"""The main job as a person clicks it, with JavaScript and without: sign up, connect, watch an
activation end.

And two people at one draft, whose workflow then asks somebody.
"""

import re
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from taskjuice.demo.place import Place
from tests.browser.conftest import OpenBrowser
from tests.browser.walking import connect_xero, found_agency, sign_up, until, xero

pytestmark = [pytest.mark.browser, pytest.mark.processes]


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
    wanted = urlencode(
        {"where": where, "order": "Date DESC", "page": 1}
    )  # older ones may be locked
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


def test_second_editor_is_told_and_what_is_asked_is_approved_and_declined(
    product: Place, open_browser: OpenBrowser
) -> None:
    with open_browser() as mine, open_browser() as theirs:
        page, other = mine.page, theirs.page
        sign_up(page, product, "asks@fern.example")
        found_agency(page, "Fern Asks", "Tui Studio")
        connect_xero(page)
        home = "/fern-asks/tui-studio/"
        page.goto(f"{home}workflows/new/")
        page.get_by_label("Name", exact=True).fill("Ask first")
        page.get_by_label("What happens").select_option(label="By hand only")
        page.get_by_role("button", name="Ask a person").click()
        page.get_by_label("What is to be decided").fill("Go on?")
        page.get_by_role("button", name="Save the draft").click()
        expect(page.get_by_text("Saved. Nothing runs before it is published.")).to_be_visible()

        cookies: Any = page.context.cookies()
        other.context.add_cookies(cookies)  # the same person on another machine
        other.goto(page.url)
        other.get_by_label("What is to be decided").fill("Pay {{ trigger.client }}?")
        page.get_by_label("What helps to decide").fill("Nobody’s, soon")
        page.get_by_role("button", name="Save the draft").click()
        expect(page.get_by_text("Saved. Nothing runs before it is published.")).to_be_visible()
        other.get_by_role("button", name="Publish").click()
        expect(other.get_by_role("alert")).to_contain_text(
            "Fern Fantail changed this workflow while you were editing"
        )
        expect(other.get_by_label("What is to be decided")).to_have_value(
            "Pay {{ trigger.client }}?"
        )
        other.get_by_role("button", name="Save mine in its place").click()
        expect(other.get_by_text("Saved. Nothing runs before it is published.")).to_be_visible()
        other.get_by_role("button", name="Publish").click()
        expect(other).to_have_url(re.compile(r"/workflows/\d+/$"))
        workflow = other.url

        for decision, end in (("Approve", "Succeeded"), ("Decline", "Stopped")):
            page.goto(workflow)
            page.get_by_label("For", exact=True).select_option(index=1)
            page.get_by_role("button", name="Show what it would do").click()
            expect(page.get_by_text("A task for your team")).to_be_visible()
            page.get_by_role("button", name="Run it now").click()
            expect(page.get_by_role("heading", name="Pay Tui Studio?")).to_be_visible()
            page.get_by_label("Comment").fill(f"{decision} it")
            page.get_by_role("button", name=decision).click()
            expect(page.get_by_role("heading", level=1)).to_contain_text(end)
        page.goto(f"{home}tasks/")
        expect(page.locator("tbody tr")).to_contain_text(["Declined", "Approved"])
        assert (mine.complaints, theirs.complaints) == ([], [])
