"""The main job as a person clicks it, with JavaScript and without: sign up, connect, watch an activation end."""

import email
import email.policy
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from playwright.sync_api import Page, expect

from taskjuice.demo.place import Place
from tests.browser.conftest import Watched

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.xdist_group("browser")]
PASSWORD = "harbour lantern orbit mango"
OpenBrowser = Callable[..., AbstractContextManager[Watched]]


def until(what: str, look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.1)
    return found


def link_in_mail(place: Place, address: str, part: str) -> str:
    """The first link with `part` in a mail to this address."""

    def look() -> str | None:
        for path in sorted(place.mail.glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True):
            if found := _link(path, address, part):
                return found
        return None

    return str(until(f"a mail with {part} is there", look))


def _link(path: Path, address: str, part: str) -> str | None:
    """A file may hold several mails, each ended by a line of dashes."""
    for text in re.split(r"(?m)^-{70,}\n", path.read_text()):
        mail = email.message_from_string(text, policy=email.policy.default)
        body = mail.get_body(("plain",)) if address in str(mail["To"]) else None
        found = re.search(rf"http://\S*{part}\S*", body.get_content()) if body else None
        if found:
            return found[0]
    return None


def xero(place: Place, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The sandbox's control API: what a person does inside Xero."""
    answer = requests.request(method, f"{place.sandbox_url}/sandbox/api/{path}", json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


def sign_up(page: Page, place: Place, address: str) -> None:
    page.goto("/accounts/signup/")
    page.get_by_label("Your name").fill("Fern Fantail")
    page.locator("input[type=email]").fill(address)
    page.locator("input[type=password]").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.goto(link_in_mail(place, address, "confirm-email"))
    page.locator("form button[type=submit].primary").click()


def found_agency(page: Page, agency: str, client: str) -> None:
    expect(page).to_have_url(re.compile(r"/welcome/$"))
    page.get_by_label("Your agency’s name").fill(agency)
    page.get_by_label("Your first client").fill(client)
    page.get_by_role("button", name="Continue").click()
    expect(page).to_have_url(re.compile(r"/connections/(new/)?$"))


def connect_xero(page: Page) -> str:
    """Consent at the sandbox, then the organisation picked, ticked already as the only one. Its tenant id."""
    if page.url.endswith("/connections/"):
        page.get_by_role("main").get_by_role("link", name="Connect").first.click()
    page.get_by_role("button", name="Connect Xero").click()
    page.get_by_role("button", name="Mere").click()
    page.locator("label.choice").filter(has_not_text="already connected").first.click()
    page.get_by_role("button", name="Allow access").click()
    expect(page.get_by_role("heading", name="Choose organisations")).to_be_visible()
    tenant_id = page.locator("input[name=tenants]").get_attribute("value")
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page).to_have_url(re.compile(r"/connections/\d+/$"))
    return str(tenant_id)


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
