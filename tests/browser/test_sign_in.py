"""Sign in with Xero, against the sandbox, in a real browser: it opens one's own account and nobody
else's.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from taskjuice.demo.place import Place
from tests.browser.conftest import OpenBrowser
from tests.browser.test_account import sign_out
from tests.browser.walking import PASSWORD, link_in_mail, sign_up

pytestmark = [pytest.mark.browser, pytest.mark.processes]


def through_xero(page: Page, who: str) -> None:
    """Consent at the sandbox as this person; no organisation is asked for."""
    page.get_by_role("button", name=who).click()
    expect(page.get_by_text("wants to know who you are")).to_be_visible()
    expect(page.locator("input[name=tenant]")).to_have_count(0)
    page.get_by_role("button", name="Allow access").click()


def test_newcomer_signs_up_with_xero_after_their_address_is_verified(
    product: Place, open_browser: OpenBrowser
) -> None:
    with open_browser() as watched:
        page = watched.page
        page.goto("/accounts/login/")
        page.get_by_role("button", name="Sign in with Xero").click()
        through_xero(page, "Oliver")
        expect(page.get_by_role("heading", name="Look into your mailbox")).to_be_visible()
        page.goto(link_in_mail(product, "oliver", "confirm-email"))
        page.locator("form button[type=submit].primary").click()
        expect(page).to_have_url(re.compile(r"/welcome/$"))

        page.goto("/me/")
        sign_out(page)
        page.get_by_role("button", name="Sign in with Xero").click()
        through_xero(page, "Oliver")
        expect(page).to_have_url(re.compile(r"/welcome/$"))
        assert watched.complaints == []


def test_account_is_linked_by_its_owner_and_never_by_an_address(
    product: Place, open_browser: OpenBrowser
) -> None:
    with open_browser() as watched:
        page = watched.page
        sign_up(page, product, "mere@fern.example")
        page.goto("/accounts/3rdparty/")
        page.get_by_role("button", name="Link Xero").click()
        through_xero(page, "Mere")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_text("Your Xero login is linked.")).to_be_visible()

        sign_out(page)
        page.get_by_role("button", name="Sign in with Xero").click()
        through_xero(page, "Mere")
        expect(page).to_have_url(re.compile(r"/welcome/$"))
        page.goto("/me/")
        expect(page.get_by_text("mere@fern.example").first).to_be_attached()
        assert watched.complaints == []


def test_who_cancels_at_xero_is_told_so(product: Place, open_browser: OpenBrowser) -> None:
    with open_browser() as watched:
        page = watched.page
        page.goto("/accounts/login/")
        page.get_by_role("button", name="Sign in with Xero").click()
        page.get_by_role("button", name="Priya").click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("heading", name="Not signed in")).to_be_visible()
