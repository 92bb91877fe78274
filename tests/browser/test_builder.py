"""The builder as somebody new uses it: a workflow from an empty page, with JavaScript, without, and
by keyboard.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from taskjuice.demo.place import Place
from tests.browser.conftest import OpenBrowser
from tests.browser.walking import connect_xero, found_agency, sign_up

pytestmark = [pytest.mark.browser, pytest.mark.processes]


def begin(page: Page, place: Place, who: str) -> str:
    """Signed up and connected; the client's address."""
    sign_up(page, place, f"{who}@builder.example")
    found_agency(page, f"Builder {who}", "Tui Studio")
    connect_xero(page)
    return f"/builder-{who}/tui-studio/"


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without"])
def test_paid_invoice_to_e_mail_is_built_from_nothing(
    product: Place, open_browser: OpenBrowser, javascript: bool
) -> None:
    who = "scripted" if javascript else "plain"
    with open_browser(javascript=javascript) as watched:
        page = watched.page
        home = begin(page, product, who)
        page.goto(f"{home}workflows/new/")
        page.get_by_label("Name", exact=True).fill("Tell the owner")
        page.get_by_label("What happens").select_option(label="An invoice or bill is paid")
        if not javascript:
            page.get_by_role("button", name="Show its settings").click()
        expect(page.get_by_label("Only if its total is over")).to_be_visible()
        page.get_by_label("For", exact=True).select_option(label="sales invoices")
        page.get_by_role("button", name="Send an e-mail").click()
        expect(page.locator(".step-card h2").last).to_contain_text("Send an e-mail")
        page.get_by_role(
            "button", name="Publish"
        ).first.click()  # too early: it says what is missing, and where
        page.locator("#problems a").first.click()
        expect(page.locator(".step-card.has-problems")).to_have_count(1)
        page.get_by_label("To", exact=True).fill("owner@builder.example")
        page.get_by_label("Subject", exact=True).fill("{{ trigger.number }} is paid")
        page.get_by_label("Text", exact=True).fill("By {{ trigger.contact }}.")
        page.get_by_role("button", name="Publish").first.click()
        expect(page).to_have_url(re.compile(r"/workflows/\d+/$"))
        expect(page.get_by_role("heading", name="Tell the owner")).to_contain_text("Published")
        assert watched.complaints == []


def test_steps_are_put_in_between_moved_copied_and_compared(
    product: Place, open_browser: OpenBrowser
) -> None:
    with open_browser() as watched:
        page = watched.page
        home = begin(page, product, "steps")
        page.goto(f"{home}workflows/new/?template=large-invoice")
        page.get_by_role("button", name="Publish").first.click()
        expect(page).to_have_url(re.compile(r"/workflows/\d+/$"))
        page.get_by_role("link", name="Edit").click()
        page.get_by_role("button", name="Add a step behind this one").first.press("Enter")
        expect(page.locator("#add-card input[name=at]")).to_have_count(1)
        page.get_by_role("button", name=re.compile("^List contacts")).press("Enter")
        expect(page.locator(".step-card h2")).to_contain_text(
            ["Starts when", "Get an invoice", "List contacts", "Stop unless", "Set values"]
        )
        page.get_by_role("button", name="Move this step down").nth(1).press("Enter")
        expect(page.locator(".step-card h2")).to_contain_text(
            ["Starts when", "Get an invoice", "Stop unless", "List contacts", "Set values"]
        )
        expect(page.locator("#cost")).to_contain_text(
            "About 2 Xero calls per event; batched: 1.025"
        )
        page.get_by_role("button", name="Save the draft").click()
        expect(page.get_by_text("Saved. Nothing runs before it is published.")).to_be_visible()
        page.get_by_role("link", name="Note large invoices").first.click()
        page.get_by_role("link", name="Compare").click()
        expect(page.get_by_role("heading", name="From v1 to v2")).to_be_visible()
        expect(page.locator(".changes li")).to_have_count(1)
        expect(page.locator(".changes li")).to_contain_text("Step 3, List contacts")
        assert watched.complaints == []
