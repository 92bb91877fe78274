"""What steps ask of Xero, done by a real worker: reads are shared, and a document's dates and lines
are passed on.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest

from taskjuice.demo.browsing import Page
from taskjuice.demo.journey import Journey
from taskjuice.demo.running import Running
from taskjuice.demo.stages import Stages

pytestmark = pytest.mark.processes

T = TypeVar("T")
PATIENCE = 120.0
MADE_FOR, SUPPLIER = 80, "Rata Holdings Limited"
LOOK_UPS = {
    "trigger": {"key": "xero/contact-event", "settings": {"change": "CREATE"}},
    "steps": [
        {
            "name": "contact",
            "action": "xero/get-contact",
            "input": {"contact_id": "{{ trigger.resource_id }}"},
        },
        {
            "name": "accounts",
            "action": "xero/list-accounts",
            "input": {"codes": "{{ steps.contact.Name | size }}"},
        },
        {
            "name": "items",
            "action": "xero/list-items",
            "input": {"search": "{{ steps.contact.Name }}"},
        },
        {
            "name": "said",
            "action": "core/note",
            "input": {"text": "Looked up {{ steps.contact.Name }}"},
        },
    ],
}
LINE = {"description": "Handling", "quantity": "1", "unit_amount": "12.50", "account_code": "429"}
BILL = {"type": "ACCPAY", "contact_name": SUPPLIER, "status": "DRAFT"}


def when(*rows: tuple[str, str, str]) -> dict[str, Any]:
    names = ("field", "operator", "value")
    return {"match": "all", "rows": [dict(zip(names, row, strict=True)) for row in rows]}


READ = {
    "name": "invoice",
    "action": "xero/get-invoice",
    "input": {"invoice_id": "{{ trigger.resource_id }}"},
}
COPIES = {
    "trigger": {"key": "xero/invoice-event", "settings": {"change": "any"}},
    "steps": [
        READ,
        {
            "name": "paid",
            "action": "core/filter",
            "input": {
                "condition": when(("{{ steps.invoice.FullyPaidOnDate }}", "is-not-empty", ""))
            },
        },
        {
            "name": "copy",
            "action": "xero/create-invoice",
            "input": BILL
            | {
                "line_amount_types": "{{ steps.invoice.LineAmountTypes }}",
                "lines": "{{ steps.invoice.LineItems }}",
            },
        },
        {
            "name": "dated",
            "action": "xero/create-invoice",
            "input": BILL | {"date": "{{ steps.invoice.Payments[0].Date }}", "lines": [LINE]},
        },
        {
            "name": "late",
            "action": "core/set-values",
            "only_if": when(("{{ steps.invoice.FullyPaidOnDate }}", "before", "2999-01-01")),
            "input": {
                "values": [{"name": "text", "value": "{{ steps.invoice.Date | date: '%d %b %Y' }}"}]
            },
        },
        {
            "name": "absent",
            "action": "core/set-values",
            "input": {
                "values": [
                    {
                        "name": "text",
                        "value": "{{ steps.invoice.LineItems[0].AccountCode }} {{ steps.invoice.DueDateString }}",
                    }
                ]
            },
        },
        {
            "name": "said",
            "action": "core/note",
            "input": {"text": "{{ steps.late.text }}, {{ steps.absent.text }}"},
        },
    ],
}
ABSENT = {
    "trigger": {"key": "xero/invoice-event", "settings": {"change": "CREATE"}},
    "steps": [
        READ,
        {
            "name": "said",
            "action": "core/note",
            "input": {"text": "Due {{ steps.invoice.DueDateString | default: 'never' }}"},
        },
        {
            "name": "absent",
            "action": "core/note",
            "input": {"text": "{{ steps.invoice.LineItems[0].AccountCode }}"},
        },
    ],
}


class Desk:
    """Somebody at their browser, and inside Xero."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.journey = Journey(running.place, Stages())
        self.journey.sign_in()
        self.visitor, self.home = self.journey.visitor, self.journey.home
        self.tenant = self.journey._tenant()

    def xero(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self.journey._xero(method, f"organisations/{self.tenant}/xero/{path}", body)

    def publish(self, name: str, content: dict[str, Any]) -> Page:
        """Import the file, tick the organisation, publish; the workflow's page."""
        page = self.visitor.open(f"{self.home}workflows/import/")
        form = page.form(having="csrfmiddlewaretoken", action="/import/")
        document = json.dumps({"taskjuice": "workflow", "format": 1, "name": name} | content)
        answer = self.visitor.session.post(
            form.action,
            data=[field for field in form.fields if field[0] != "file"],
            files={"file": ("w.json", document.encode(), "application/json")},
            headers={"Referer": page.url},
            timeout=30,
        )
        page = self.visitor._page(answer)
        form = page.form(having="stamp")
        ticked = form.choices["connections"][0]
        page = self.visitor.submit(page, form, ("do", "publish"), connections=ticked)
        assert re.search(r"/workflows/\d+/$", page.url), page.text[-3000:]
        return page

    def ended(self, workflow: Page, count: int, state: str = "succeeded") -> list[str]:
        """Links of its activations, once so many have come to this end."""
        number = re.search(r"/workflows/(\d+)/$", workflow.url)
        assert number is not None

        def found() -> list[str] | None:
            links: list[str] = []
            path = f"{self.home}activations/?workflow={number[1]}&state={state}"
            while path and len(links) < count:
                page = self.visitor.open(path)
                links += [link for link in page.links if re.search(r"/activations/\d+/$", link)]
                older = [link for link in page.links if "before=" in link]
                path = older[0] if older else ""
            return links if len(set(links)) >= count else None

        return self.until(f"{count} activations of {workflow.url} are {state}", found)

    def until(self, what: str, look: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + PATIENCE
        while (found := look()) is None:
            assert time.monotonic() < deadline, f"waited in vain until {what}"
            time.sleep(0.2)
        return found


def test_look_ups_of_many_activations_cost_a_few_calls(running: Running) -> None:
    running.wait_until_ready()
    running.beside(lambda: look_up_many(Desk(running)))


def look_up_many(desk: Desk) -> None:
    workflow = desk.publish("Look up new contacts", LOOK_UPS)
    desk.journey._xero("DELETE", "counters")
    contacts = [{"Name": f"Newcomer {number:03}"} for number in range(MADE_FOR)]
    desk.xero("PUT", "Contacts", {"Contacts": contacts})
    desk.ended(workflow, MADE_FOR)
    calls = Counter(kind(entry) for entry in desk.journey._xero("GET", "calls"))
    assert 2 <= calls["contacts of steps"] <= 8  # forty contacts a call; once they cost a call each
    assert 1 <= calls["accounts"] <= 8
    assert 1 <= calls["items"] <= 8


def kind(entry: dict[str, Any]) -> str:
    url = entry["url"]
    if (
        "/Contacts?" in url and "IDs=" in url and "pageSize" not in url
    ):  # the copy's own reads give a page's size
        return "contacts of steps"
    return "accounts" if "/Accounts" in url else "items" if "/Items" in url else "other"


def test_paid_bill_is_copied_with_its_dates_and_lines(running: Running) -> None:
    running.wait_until_ready()
    running.beside(lambda: copy_paid(Desk(running)))


def copy_paid(desk: Desk) -> None:
    workflow = desk.publish("Copy what is paid", COPIES)
    bill, sale = (unpaid(desk, type) for type in ("ACCPAY", "ACCREC"))
    pay(desk, bill)
    (link,) = desk.ended(workflow, 1)
    dated, copy = bills_of(desk)
    assert [said(line) for line in copy["LineItems"]] == [said(line) for line in bill["LineItems"]]
    assert (copy["LineAmountTypes"], copy["Total"]) == (bill["LineAmountTypes"], bill["Total"])
    assert dated["DateString"] == bill["DateString"]
    assert (dated["LineItems"][0]["UnitAmount"], dated["LineItems"][0]["AccountCode"]) == (
        12.5,
        "429",
    )
    day = date.fromisoformat(bill["DateString"][:10])
    code, due = bill["LineItems"][0]["AccountCode"], bill["DueDateString"]
    assert f"{day:%d %b %Y}, {code} {due}" in desk.visitor.open(link).text
    pay(desk, sale)  # its accounts and tax rates are those of sales
    (link,) = desk.ended(workflow, 1, "failed")
    assert (
        f"The TaxType code {sale['LineItems'][0]['TaxType']} does not exist"
        in desk.visitor.open(link).text
    )


def unpaid(desk: Desk, type: str) -> dict[str, Any]:
    """The newest approved document of that type that nothing was paid of."""
    where = f'Type=="{type}" AND Status=="AUTHORISED" AND AmountPaid==0'
    query = urlencode({"where": where, "order": "Date DESC", "page": 1})
    listed = desk.xero("GET", f"Invoices?{query}")["Invoices"]
    found: dict[str, Any] = next(
        one for one in listed if one["CurrencyCode"] == "NZD" and one["Contact"]["Name"] != SUPPLIER
    )
    return found


def pay(desk: Desk, document: dict[str, Any]) -> None:
    accounts = desk.xero("GET", "Accounts")["Accounts"]
    bank = next(
        one
        for one in accounts
        if one["Type"] == "BANK" and one["Status"] == "ACTIVE" and one["CurrencyCode"] == "NZD"
    )
    payment = {
        "Invoice": {"InvoiceID": document["InvoiceID"]},
        "Account": {"AccountID": bank["AccountID"]},
        "Date": document["DateString"][:10],
        "Amount": document["AmountDue"],
    }
    desk.xero("PUT", "Payments", payment)


def bills_of(desk: Desk) -> list[dict[str, Any]]:
    """The supplier's, the smallest first."""
    where = urlencode({"where": f'Contact.Name=="{SUPPLIER}"', "page": 1})
    found: list[dict[str, Any]] = desk.xero("GET", f"Invoices?{where}")["Invoices"]
    return sorted(found, key=lambda one: Decimal(str(one["Total"])))


def test_what_xero_leaves_out_has_a_substitute_or_is_named(running: Running) -> None:
    running.wait_until_ready()
    running.beside(lambda: read_bare_draft(Desk(running)))


def read_bare_draft(desk: Desk) -> None:
    workflow = desk.publish("Read what is not there", ABSENT)
    contact = desk.xero("GET", "Contacts?page=1")["Contacts"][0]
    draft = {"Type": "ACCREC", "Contact": {"ContactID": contact["ContactID"]}}
    desk.xero("PUT", "Invoices", draft | {"LineItems": [{"Description": "To be priced"}]})
    (link,) = desk.ended(workflow, 1, "failed")
    text = desk.visitor.open(link).text
    assert "Due never" in text
    assert "steps.invoice.LineItems[0].AccountCode" in text


def said(line: dict[str, Any]) -> dict[str, Any]:
    names = ("Description", "Quantity", "UnitAmount", "AccountCode", "TaxType", "LineAmount")
    return {name: line.get(name) for name in names}
