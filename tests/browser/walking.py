"""What several journeys have in common: signing up, connecting, and what happens inside Xero
meanwhile.
"""

import email
import email.policy
import re
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page, expect

from taskjuice.demo.place import Place

PASSWORD = "harbour lantern orbit mango"
PATIENCE = 20.0  # seconds


def until(what: str, look: Callable[[], Any], patience: float = PATIENCE) -> Any:
    deadline = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.1)
    return found


def letters(place: Place, address: str) -> Iterator[EmailMessage]:
    """What was sent to this address, newest file first. A file may hold several, each ended by a
    line of dashes.
    """
    for path in sorted(
        place.mail.glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True
    ):
        for text in re.split(r"(?m)^-{70,}\n", Path(path).read_text()):
            letter = email.message_from_string(
                text, _class=EmailMessage, policy=email.policy.default
            )
            if address in str(letter["To"]):
                yield letter


def text_of(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    return str(body.get_content()) if body else ""


def link_in_mail(place: Place, address: str, part: str) -> str:
    """The first link with `part` in a mail to this address."""

    def look() -> str | None:
        found = (
            re.search(rf"http://\S*{part}\S*", text_of(letter))
            for letter in letters(place, address)
        )
        return next((match[0] for match in found if match), None)

    return str(until(f"a mail with {part} is there", look))


def xero(place: Place, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The sandbox's control API: what a person does inside Xero."""
    answer = requests.request(
        method, f"{place.sandbox_url}/sandbox/api/{path}", json=body, timeout=20
    )
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
    """Consent at the sandbox, then the organisation picked, ticked already as the only one. Its
    tenant id.
    """
    if page.url.endswith("/connections/"):
        page.get_by_role("main").get_by_role(
            "link", name=re.compile("^Connect( Xero)?$")
        ).first.click()
    page.get_by_role("button", name="Connect Xero").click()
    page.get_by_role("button", name="Mere").click()
    page.locator("label.choice").filter(has_not_text="already connected").first.click()
    page.get_by_role("button", name="Allow access").click()
    expect(page.get_by_role("heading", name="Choose organisations")).to_be_visible()
    tenant_id = page.locator("input[name=tenants]").get_attribute("value")
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page).to_have_url(re.compile(r"/connections/\d+/$"))
    return str(tenant_id)


def add_client(page: Page, agency: str, name: str, slug: str) -> None:
    """A further client of the agency at this path, without a connection."""
    page.goto(f"{agency}clients/new/")
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=slug]").fill(slug)
    page.get_by_role("main").locator("button[type=submit].primary").click()


def reconnect_xero(page: Page, tenant: str) -> None:
    """From a page that offers it, by a consent to the same organisation."""
    page.get_by_role("button", name="Reconnect").first.click()
    if page.get_by_role("button", name="Mere").count():
        page.get_by_role("button", name="Mere").click()
    page.locator(f"label.choice:has(input[value='{tenant}'])").click()
    page.get_by_role("button", name="Allow access").click()
    expect(page).to_have_url(re.compile(r"/connections/\d+/$"))
