"""A person's own account and the frame, in a real browser under the real Content-Security-Policy."""

import re

import pytest
from playwright.sync_api import Page, expect

from taskjuice.demo.place import Place
from tests.browser.conftest import OpenBrowser
from tests.browser.walking import PASSWORD, found_agency, sign_up

pytestmark = [pytest.mark.browser, pytest.mark.processes]
# A key that lives in the browser, holds passkeys and always says yes.
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def plug_in_key(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})


def sign_out(page: Page) -> None:
    page.locator("summary[aria-label=You]").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile(r"/accounts/login/$"))


def test_passkey_signs_in_alone_and_as_second_step(
    product: Place, open_browser: OpenBrowser
) -> None:
    with open_browser() as watched:
        page = watched.page
        sign_up(page, product, "key@fern.example")
        found_agency(page, "Fern Keys", "Tui Studio")
        plug_in_key(page)

        page.goto("/accounts/2fa/webauthn/add/")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Confirm").click()
        page.get_by_label("Sign in with this key alone").check()
        page.get_by_role("button", name="Add the key").click()
        expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()

        sign_out(page)
        page.get_by_role("button", name="Sign in with a passkey").click()
        expect(page).to_have_url(re.compile(r"/fern-keys/$"))

        sign_out(page)
        page.get_by_label("E-mail address").fill("key@fern.example")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", name="Second step")).to_be_visible()
        page.get_by_role("button", name="Use a passkey or security key").click()
        expect(page).to_have_url(re.compile(r"/fern-keys/$"))
        assert watched.complaints == []


def test_frame_answers_as_one_types_and_remembers_the_theme(
    product: Place, open_browser: OpenBrowser
) -> None:
    with open_browser() as watched:
        page = watched.page
        sign_up(page, product, "types@fern.example")
        page.get_by_label("Your agency’s name").press_sequentially("Fern & Töchter")
        expect(page.get_by_label("Its address")).to_have_value("fern-tochter")
        expect(page.get_by_text("Available")).to_be_visible()
        page.get_by_label("Your first client").fill("Tui Studio")
        page.get_by_role("button", name="Continue").click()

        page.goto("/fern-tochter/")
        switcher = page.locator(".side .switcher")
        switcher.locator("summary").click()
        expect(switcher.get_by_role("link", name="Tui Studio")).to_be_visible()
        switcher.get_by_role("searchbox").fill("nobody")
        expect(switcher.get_by_text("No client is called that.")).to_be_visible()
        page.keyboard.press("Escape")
        expect(switcher.get_by_role("searchbox")).to_be_hidden()

        page.locator("summary[aria-label=You]").click()
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert watched.complaints == []


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without"])
def test_frame_fits_a_phone(product: Place, open_browser: OpenBrowser, javascript: bool) -> None:
    with open_browser(javascript=javascript, width=390) as watched:
        page = watched.page
        sign_up(page, product, f"phone-{javascript}@fern.example".lower())
        found_agency(page, f"Phone {javascript}", "Tui Studio")
        home = f"/phone-{javascript}/".lower()
        for path in (
            "",
            "clients/",
            "clients/new/",
            "settings/",
            "audit/",
            "tui-studio/",
            "tui-studio/settings/",
        ):
            page.goto(f"{home}{path}")
            width = page.locator("body").evaluate("body => body.scrollWidth") if javascript else 390
            assert (path, width) == (path, 390)
        page.locator(".topbar .compact > summary").click()
        page.locator(".topbar .rail").get_by_role("link", name="Clients").click()
        expect(page.get_by_role("heading", name="Clients")).to_be_visible()
        assert watched.complaints == []
