"""An agency from its first day: two clients, colleagues, a lost connection mended, what is owed,
the audit.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from taskjuice.demo.place import Place
from tests.browser.conftest import OpenBrowser, Watched
from tests.browser.walking import (
    PASSWORD,
    add_client,
    connect_xero,
    found_agency,
    link_in_mail,
    reconnect_xero,
    sign_up,
    until,
    xero,
)

pytestmark = [pytest.mark.browser, pytest.mark.processes]
AGENCY = "/fern-whole/"
STAFFED, LINKED = f"{AGENCY}tui-studio/", f"{AGENCY}rata-records/"
HARBOUR, PENNINE = "Harbour & Vine Catering Limited", "Pennine Cycle Works Ltd"
OWNER, CLIENT, COLLEAGUE, READER = (
    "whole@fern.example",
    "rata@client.example",
    "colleague@fern.example",
    "tui@client.example",
)

ZONE_TAKEN = "Client’s time zone changed"  # from the first organisation's
BY_LINK = f"{CLIENT} (connect link)"
HISTORY = [
    (OWNER, "Agency created", "Fern Whole"),
    (OWNER, "Client created", "Tui Studio"),
    (OWNER, "Consent given", "Mere Tamihana"),
    (OWNER, "Organisation connected", HARBOUR),
    (OWNER, ZONE_TAKEN, "Tui Studio"),
    (OWNER, "Connection works", HARBOUR),
    (OWNER, "Client created", "Rata Records"),
    (OWNER, "Connect link sent", CLIENT),
    (BY_LINK, "Consent given", "Mere Tamihana"),
    (BY_LINK, "Organisation connected", PENNINE),
    (BY_LINK, ZONE_TAKEN, "Rata Records"),
    (BY_LINK, "Connection works", PENNINE),
    (OWNER, "Member invited", COLLEAGUE),
    (COLLEAGUE, "Member joined", COLLEAGUE),
    (OWNER, "Client user invited", READER),
    (READER, "Client user joined", READER),
    ("TaskJuice", "Connection broken", HARBOUR),
    (OWNER, "Consent given", "Mere Tamihana"),
    (OWNER, "Organisation connected", HARBOUR),
    (OWNER, "Connection works", HARBOUR),
]


@contextmanager
def calm(open_browser: OpenBrowser) -> Iterator[Page]:
    """A browser profile of its own, whose console has nothing to say."""
    watched: Watched
    with open_browser() as watched:
        yield watched.page
        assert watched.complaints == []


def send_link(page: Page) -> None:
    page.goto(f"{LINKED}connections/links/new/")
    page.get_by_label("E-mail address").fill(CLIENT)
    page.get_by_role("button", name="Send, or make a link to copy").click()
    expect(page.get_by_text("Letter sent")).to_be_visible()


def connect_by_link(page: Page, address: str) -> str:
    """The client's side, without an account; the organisation's name."""
    page.goto(address)
    page.get_by_role("button", name="Start at Xero").click()
    page.get_by_role("button", name="Mere").click()
    page.locator("label.choice").filter(has_not_text="already connected").first.click()
    page.get_by_role("button", name="Allow access").click()
    expect(page.get_by_role("heading", name="Choose organisations")).to_be_visible()
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    return page.locator(".problem.good strong").first.inner_text().strip()


def invite(page: Page, team: str, address: str) -> None:
    page.goto(team)
    page.locator("input[type=email]").fill(address)
    page.get_by_role("button", name="Send the invitation").click()
    expect(
        page.get_by_role("row").filter(has_text=address).get_by_text("Sent", exact=True)
    ).to_be_visible()


def join(page: Page, place: Place, address: str) -> None:
    """By the invitation's letter, with a new account; its address needs no second letter."""
    page.goto(link_in_mail(place, address, "/invitations/"))
    page.get_by_role("button", name="Create an account").click()
    page.get_by_label("Your name").fill(address.partition("@")[0].capitalize())
    page.locator("input[type=password]").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("button", name="Accept the invitation").click()
    expect(page).to_have_url(re.compile(AGENCY))


def statuses(page: Page, *addresses: str) -> list[int]:
    return [page.request.get(address).status for address in addresses]


def owed(page: Page) -> set[str]:
    """The clients to whom something is owed; each currency has a table of its own."""
    page.goto(f"{AGENCY}receivables/")
    clients = set(page.locator("tbody th").all_inner_texts())
    for address in [
        one.get_attribute("href") for one in page.get_by_label("Currency").get_by_role("link").all()
    ]:
        page.goto(f"{AGENCY}receivables/{address}")
        clients.update(page.locator("tbody th").all_inner_texts())
    return clients


def recorded(page: Page) -> list[tuple[str, str, str]]:
    """Who, what and its subject, oldest first."""
    rows = page.locator("tbody tr").all()
    cells = [row.locator("td, th").all_inner_texts() for row in rows]
    return [
        (who.strip(), what.strip(), subject.splitlines()[0])
        for _, who, what, subject, *_ in reversed(cells)
    ]


def test_agency_from_sign_up_to_its_audit(product: Place, open_browser: OpenBrowser) -> None:
    with calm(open_browser) as owner:
        sign_up(owner, product, OWNER)
        found_agency(owner, "Fern Whole", "Tui Studio")
        tenant = connect_xero(owner)
        connection = owner.url
        add_client(owner, AGENCY, "Rata Records", "rata-records")
        send_link(owner)
        link = owner.url
        with calm(open_browser) as client:
            name = connect_by_link(client, link_in_mail(product, CLIENT, "/link/"))
        owner.goto(link)
        expect(owner.get_by_role("main").get_by_role("link", name=name)).to_be_visible()

        invite(owner, f"{AGENCY}team/", COLLEAGUE)
        with calm(open_browser) as colleague:
            join(colleague, product, COLLEAGUE)
            colleague.goto(f"{AGENCY}clients/")
            expect(colleague.get_by_role("main")).to_contain_text("Tui Studio")
            expect(colleague.get_by_role("main")).to_contain_text("Rata Records")

        invite(owner, f"{STAFFED}team/", READER)
        with calm(open_browser) as reader:
            join(reader, product, READER)
            reader.goto(f"{STAFFED}invoices/")
            expect(reader.get_by_role("heading", name="Invoices")).to_be_visible()
            refused = (AGENCY, f"{AGENCY}receivables/", LINKED, f"{LINKED}invoices/")
            assert statuses(reader, *refused) == [404, 404, 404, 404]

        (gone,) = [one for one in xero(product, "GET", "connections") if one["tenant_id"] == tenant]
        xero(product, "DELETE", f"connections/{gone['id']}")
        owner.goto(connection)
        owner.get_by_role("button", name="Test now").click()
        expect(owner.get_by_role("main")).to_contain_text("Disconnected in Xero.")
        owner.goto(f"{AGENCY}clients/")
        expect(owner.get_by_role("alert")).to_contain_text("A connection needs to be reauthorised")
        owner.get_by_role("link", name="Reauthorise").click()
        reconnect_xero(owner, tenant)
        expect(owner.get_by_role("alert")).to_have_count(0)

        until("both clients' books are read", lambda: owed(owner) == {"Tui Studio", "Rata Records"})
        owner.goto(f"{AGENCY}audit/")
        assert recorded(owner) == HISTORY
