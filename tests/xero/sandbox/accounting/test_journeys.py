"""Long random sequences of requests, good and bad: whatever is asked, the books stay consistent."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from tests.xero.sandbox.accounting.api import JSON, Api, Clock
from xero.sandbox.accounting import Books, Organisation, Request

NUMBERS = [
    0,
    1,
    -1,
    0.01,
    0.005,
    1e-7,
    33.333,
    100,
    999999999999,
    1e12,
    1e19,
    2.675,
    "12.50",
    "1e5",
    1e-27,
    3,
]
DATES = [
    "2026-11-01",
    "2026-03-31",
    "2025-01-01",
    "2026-12-01",
    "/Date(0)/",
    "0001-01-01",
    "9999-12-31",
]
STATUSES = ["DRAFT", "SUBMITTED", "AUTHORISED", "AUTHORISED", "DELETED", "VOIDED", "PAID"]
PAGES = ("/Invoices", "/Contacts", "/Payments")


class Traveller:
    """Makes requests that are sensible, odd or wrong, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def some(self, fields: dict[str, tuple[float, Callable[[], Any]]]) -> dict[str, Any]:
        """Each field with its own chance."""
        return {
            name: make() for name, (chance, make) in fields.items() if self.random.random() < chance
        }

    def of(self, *choices: Any) -> Callable[[], Any]:
        return lambda: self.random.choice(choices)

    def line(self) -> dict[str, Any]:
        number = self.of(*NUMBERS)
        return self.some(
            {
                "Description": (0.9, self.of("Tea", "", "x" * 4001)),
                "Quantity": (0.5, number),
                "UnitAmount": (0.8, number),
                "LineAmount": (0.15, number),
                "AccountCode": (0.8, self.of("200", "400", "999", "090", "498", "610", "")),
                "TaxType": (0.2, self.of("OUTPUT2", "INPUT2", "NONE", "X")),
                "TaxAmount": (0.1, number),
                "DiscountRate": (0.1, self.of(0, 10, 101, -1, 33.33)),
                "DiscountAmount": (0.1, number),
                "ItemCode": (0.1, self.of("LUNCH", "SERVICE", "nope")),
            }
        )

    def contact(self, organisation: Organisation) -> dict[str, Any]:
        return self.some(
            {
                "ContactID": (0.5, self.of(*organisation.contacts)),
                "Name": (
                    0.7,
                    self.of("Ann", "Bob", "C <x>", " lead", "", f"N{self.random.randrange(300)}"),
                ),
                "EmailAddress": (0.1, self.of("a@b.co", "bad", "")),
                "ContactNumber": (0.1, self.of("C1", "C2")),
                "ContactStatus": (0.05, self.of("ACTIVE", "ARCHIVED")),
                "DefaultCurrency": (0.05, self.of("USD", "XTS", "")),
                "Addresses": (0.1, self.of([{"AddressType": "POBOX", "City": "Nelson"}, {}])),
            }
        )

    def invoice(self, organisation: Organisation) -> dict[str, Any]:
        lines = [self.line() for _ in range(self.random.choice((0, 1, 1, 2)))]
        return self.some(
            {
                "Type": (0.9, self.of("ACCREC", "ACCPAY")),
                "Contact": (0.8, lambda: self.contact(organisation)),
                "LineItems": (0.8, lambda: lines),
                "Date": (0.5, self.of(*DATES)),
                "DueDate": (0.8, self.of(*DATES)),
                "Status": (0.7, self.of(*STATUSES)),
                "LineAmountTypes": (0.3, self.of("Exclusive", "Inclusive", "NoTax")),
                "InvoiceNumber": (
                    0.2,
                    self.of("X", "inv-9", "INV-0001", "", "INV-99999999999999999999999"),
                ),
                "CurrencyCode": (0.15, self.of("USD", "XTS", "", "JPY")),
                "CurrencyRate": (0.1, self.of(*NUMBERS)),
                "SentToContact": (0.2, self.of(True, False)),
            }
        )

    def payment(self, organisation: Organisation) -> dict[str, Any]:
        open_ones = [
            id for id, one in organisation.invoices.items() if one["Status"] == "AUTHORISED"
        ]
        return self.some(
            {
                "Invoice": (
                    0.95,
                    lambda: {
                        "InvoiceID": self.random.choice(open_ones or list(organisation.invoices))
                    },
                ),
                "Account": (
                    0.95,
                    lambda: {"Code": self.random.choice(["090", "090", "092", "881", "200"])},
                ),
                "Date": (0.95, self.of(*DATES)),
                "Amount": (0.95, self.of(*NUMBERS)),
                "CurrencyRate": (0.1, self.of(*NUMBERS)),
            }
        )

    def request(self, organisation: Organisation) -> tuple[str, str, dict[str, Any]]:
        way = self.random.random()
        if way < 0.3:
            return "PUT", "/Invoices", {"Invoices": [self.invoice(organisation) for _ in range(2)]}
        if way < 0.4:
            return "POST", "/Invoices", self.invoice(organisation)
        if way < 0.6:
            body = self.invoice(organisation)
            kept = (
                body
                if self.random.random() < 0.5
                else {k: body[k] for k in body.keys() & {"Status", "DueDate"}}
            )
            return "POST", f"/Invoices/{self.random.choice(list(organisation.invoices))}", kept
        if way < 0.7:
            return self.random.choice(["PUT", "POST"]), "/Contacts", self.contact(organisation)
        if way < 0.95:
            return "PUT", "/Payments", {"Payments": [self.payment(organisation) for _ in range(2)]}
        return (
            "POST",
            f"/Payments/{self.random.choice(list(organisation.payments))}",
            {"Status": "DELETED"},
        )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_books_stay_consistent_whatever_is_asked(books: Books, clock: Clock, seed: int) -> None:
    traveller = Traveller(seed)
    statuses: Counter[int] = Counter()
    for _ in range(500):
        tenant_id = traveller.random.choice(list(books.organisations))
        clock.advance(timedelta(milliseconds=traveller.random.choice([0, 1, 700, 5000])))
        method, path, body = traveller.request(books.organisations[tenant_id])
        query = {"summarizeErrors": traveller.random.choice(["true", "false"])}
        request = Request(method, path, query, JSON, json.dumps(body).encode())
        statuses[books.handle(tenant_id, "app-1", request).status] += 1
        if traveller.random.random() < 0.05:  # fills the caches in the middle of it
            for page in PAGES:
                books.handle(tenant_id, "", Request("GET", page, {"page": "1"}, JSON, b""))
    assert set(statuses) == {200, 400}
    assert min(statuses.values()) > 100
    for organisation in books.organisations.values():
        check_amounts(organisation)
        check_uniqueness(organisation)
        check_views(books, organisation)
    check_storage(books, clock)


def check_amounts(organisation: Organisation) -> None:
    paid: dict[str, Decimal] = {}
    for payment in organisation.payments.values():
        if payment["Status"] != "DELETED":
            paid[payment["InvoiceID"]] = (
                paid.get(payment["InvoiceID"], Decimal(0)) + payment["Amount"]
            )
    for one in organisation.invoices.values():
        assert one["AmountPaid"] == paid.get(one["InvoiceID"], 0)
        if one["Status"] in {"VOIDED", "DELETED"}:
            assert (one["AmountPaid"], one["AmountDue"]) == (0, 0)
            continue
        assert one["AmountDue"] == one["Total"] - one["AmountPaid"]
        assert one["Total"] == one["SubTotal"] + one["TotalTax"]
        if one["Status"] in {"AUTHORISED", "PAID"}:
            assert (one["Status"] == "PAID") == (one["AmountDue"] == 0)
            assert 0 <= one["AmountPaid"] <= one["Total"]


def check_uniqueness(organisation: Organisation) -> None:
    numbers = [
        one["InvoiceNumber"].lower()
        for one in organisation.invoices.values()
        if one["Type"] == "ACCREC" and one["Status"] != "DELETED"
    ]
    names = [
        one["Name"].lower()
        for one in organisation.contacts.values()
        if one["ContactStatus"] == "ACTIVE"
    ]
    assert Counter(numbers).most_common(1)[0][1] == Counter(names).most_common(1)[0][1] == 1


def check_views(books: Books, organisation: Organisation) -> None:
    """What is answered from the caches is what is answered without them, and in the default order."""
    api = Api(books, organisation.tenant_id)
    whole = {"page": "1", "pageSize": "1000"}
    cached = [api.list(page, whole) for page in PAGES]
    organisation.forget_bytes()
    assert [api.list(page, whole) for page in PAGES] == cached
    for kind, timeline in organisation.timelines.items():
        documents = organisation.documents(kind)
        assert timeline.ids(None) == sorted(
            documents, key=lambda id: (documents[id]["UpdatedDateUTC"], id)
        )


def check_storage(books: Books, clock: Clock) -> None:
    again = Books(books.storage, clock)
    for tenant_id, organisation in books.organisations.items():
        for kind in ("invoice", "contact", "payment"):
            assert dict(again.organisations[tenant_id].documents(kind)) == dict(
                organisation.documents(kind)
            )
