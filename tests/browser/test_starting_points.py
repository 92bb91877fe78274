"""Starting points, from the webhook to what they are for: published in a browser, set off by
changes inside Xero.

One agency publishes them all, then everything happens at once; each test looks for what came of its
workflow.
"""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from taskjuice.demo.place import Place
from tests.browser.walking import connect_xero, found_agency, letters, sign_up, text_of, until, xero

pytestmark = [pytest.mark.browser, pytest.mark.processes]
OWNER, PAYER, HOME = "points@fern.example", "payer@customer.example", "/fern-points/tui-studio/"
MOMENTS = 60.0  # a change is read some seconds after its webhook
CARD = "CARD 4242"


class Receiver(HTTPServer):
    """Notes the JSON that is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Noting)
        self.noted: list[Any] = []


class Noting(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        self.server.noted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
        """Tests are quiet."""


@dataclass
class Scene:
    """The published workflows, by key of their starting point, and what was changed in Xero."""

    place: Place
    page: Page
    tenant: str
    workflows: dict[str, str]
    records: dict[str, Any]

    def ledger(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return xero(self.place, method, f"organisations/{self.tenant}/xero/{path}", body)

    def activation(self, key: str, subject: str) -> Page:
        """The page of the one activation that this workflow ended well for this record."""
        listed = f"{HOME}activations/?workflow={self.workflows[key]}&state=succeeded"
        row = self.page.get_by_role("row").filter(has_text=subject)

        def is_listed() -> bool:
            self.page.goto(listed)
            return bool(row.count())

        until(f"{key} has run for {subject}", is_listed, MOMENTS)
        expect(row).to_have_count(1)
        row.get_by_role("link").first.click()
        return self.page

    def letter(self, address: str, subject: str) -> str:
        """The text of the one letter with this subject."""
        found = until(
            f"{address} is written to: {subject}",
            lambda: [one for one in letters(self.place, address) if one["Subject"] == subject],
            MOMENTS,
        )
        assert len(found) == 1
        return text_of(found[0])


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Somebody else's system on this machine, which HTTP steps may call."""
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTP_STEP_PRIVATE_HOSTS", f"localhost:{server.server_port}")
        yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def scene(receiver: Receiver, product: Place, chromium: Browser) -> Iterator[Scene]:
    context = chromium.new_context(
        base_url=product.base_url, viewport={"width": 1280, "height": 900}
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    sign_up(page, product, OWNER)
    found_agency(page, "Fern Points", "Tui Studio")
    scene = Scene(product, page, connect_xero(page), {}, {})
    until_ledger_is_read(page)
    for key in (
        "paid",
        "thank-payer",
        "large-bill",
        "record-payment",
        "part-payment",
        "large-invoice",
        "new-contact",
    ):
        scene.workflows[key] = publish(page, key)
    scene.workflows["copy-contacts"] = publish(
        page, "copy-contacts", f"http://localhost:{receiver.server_port}/"
    )
    xero(product, "POST", "subscription", {"url": f"{product.base_url}/webhooks/xero/"})
    change_things(scene)
    yield scene
    context.close()


def until_ledger_is_read(page: Page) -> None:
    def is_read() -> bool:
        page.goto(f"{HOME}items/")
        return "As of" in page.locator("#freshness").inner_text()

    until("the ledger is read", is_read, MOMENTS)


def publish(page: Page, key: str, address: str = "") -> str:
    """With what only a person knows filled in; the workflow's id."""
    page.goto(f"{HOME}workflows/new/?template={key}")
    if key == "record-payment":
        page.get_by_label("Account’s code").or_(page.get_by_label("Account's code")).fill("090")
    if address:
        page.get_by_label("Address", exact=True).fill(address)
    page.get_by_role("button", name="Publish").first.click()
    expect(page).to_have_url(re.compile(r"/workflows/\d+/$"))
    return page.url.rstrip("/").rpartition("/")[2]


def change_things(scene: Scene) -> None:
    """What people do inside Xero."""
    where = 'Type=="ACCREC" AND Status=="AUTHORISED" AND AmountDue>100'
    wanted = urlencode({"where": where, "order": "Date DESC", "page": 1})
    active = {
        one["ContactID"] for one in scene.ledger("GET", "Contacts?pageSize=1000&page=1")["Contacts"]
    }
    invoices = scene.ledger("GET", f"Invoices?{wanted}")["Invoices"]
    paid, part, *_ = [one for one in invoices if one["Contact"]["ContactID"] in active]
    contact = paid["Contact"]["ContactID"]
    scene.ledger("POST", f"Contacts/{contact}", {"EmailAddress": PAYER})
    pay = f"organisations/{scene.tenant}/pay"
    xero(scene.place, "POST", pay, {"invoice_id": paid["InvoiceID"]})
    xero(scene.place, "POST", pay, {"invoice_id": part["InvoiceID"], "amount": "10.00"})
    name = f"Kererū {uuid4().hex[:6]}"
    made = scene.ledger("PUT", "Contacts", {"Contacts": [{"Name": name}]})["Contacts"][0]
    bill = document("ACCPAY", name, "6000.00", InvoiceNumber=f"B-{uuid4().hex[:6]}")
    card = document("ACCREC", name, "115.00", Reference=CARD)
    bill, card = scene.ledger("PUT", "Invoices", {"Invoices": [bill, card]})["Invoices"]
    scene.records = {"paid": paid, "part": part, "contact": made, "bill": bill, "card": card}


def document(kind: str, contact: str, amount: str, **more: str) -> dict[str, Any]:
    line = {
        "Description": "Work",
        "Quantity": 1,
        "UnitAmount": amount,
        "AccountCode": "200",
        "TaxType": "NONE",
    }
    dates = {
        "Date": "2026-11-02",
        "DueDate": "2026-11-30",
        "Status": "AUTHORISED",
        "LineAmountTypes": "NoTax",
    }
    return {"Type": kind, "Contact": {"Name": contact}, "LineItems": [line], **dates, **more}


def test_paid_invoice_is_told_to_its_bookkeeper(scene: Scene) -> None:
    paid = scene.records["paid"]
    text = scene.letter(OWNER, f"{paid['InvoiceNumber']} is paid")
    assert f"{paid['Contact']['Name']} has paid {paid['InvoiceNumber']}" in text
    page = scene.activation("paid", paid["InvoiceNumber"])
    expect(page.get_by_role("heading", name=paid["InvoiceNumber"])).to_contain_text("Succeeded")


def test_payer_is_thanked(scene: Scene) -> None:
    number = scene.records["paid"]["InvoiceNumber"]
    assert f"Thank you: {number} is paid in full." in scene.letter(
        PAYER, f"Thank you for paying {number}"
    )
    scene.activation("thank-payer", number)


def test_large_bill_is_told(scene: Scene) -> None:
    bill = scene.records["bill"]
    text = scene.letter(OWNER, f"Large bill: 6000.00 NZD to {bill['Contact']['Name']}")
    assert f"approved the bill {bill['InvoiceNumber']}" in text
    scene.activation("large-bill", bill["InvoiceNumber"])


def test_payment_by_card_is_recorded_once(scene: Scene) -> None:
    card = scene.records["card"]
    scene.activation("record-payment", card["InvoiceNumber"])
    (now,) = scene.ledger("GET", f"Invoices/{card['InvoiceID']}")["Invoices"]
    assert (now["Status"], now["AmountDue"]) == ("PAID", 0)
    assert [(payment["Amount"], payment["Reference"]) for payment in now["Payments"]] == [
        (115.0, CARD)
    ]


def test_new_contact_is_copied_to_another_system(scene: Scene, receiver: Receiver) -> None:
    contact = scene.records["contact"]
    until("the contact is copied", lambda: receiver.noted, MOMENTS)
    assert [(one["id"], one["name"]) for one in receiver.noted] == [
        (contact["ContactID"], contact["Name"])
    ]


def test_part_payment_is_noted(scene: Scene) -> None:
    part = scene.records["part"]
    page = scene.activation("part-payment", part["InvoiceNumber"])
    page.locator("#step-2 summary").first.click()
    expect(page.locator("#step-2 .pairs").last).to_contain_text("paid")
    expect(page.locator("#step-2 .pairs").last).to_contain_text("10")


def test_large_invoice_is_noted(scene: Scene) -> None:
    page = scene.activation("large-invoice", scene.records["bill"]["InvoiceNumber"])
    page.locator("#step-3 summary").first.click()
    expect(page.locator("#step-3")).to_contain_text("6000.00 NZD")


def test_new_contact_is_noted(scene: Scene) -> None:
    contact = scene.records["contact"]["ContactID"]
    listed = f"{HOME}activations/?workflow={scene.workflows['new-contact']}&state=succeeded"

    def is_listed() -> int:
        scene.page.goto(listed)
        return scene.page.locator("tbody tr").count()

    until("the new contact is noted", is_listed, MOMENTS)
    scene.page.locator("tbody tr th a").first.click()
    scene.page.locator("#step-1 summary").first.click()
    expect(scene.page.locator("#step-1")).to_contain_text(contact)
