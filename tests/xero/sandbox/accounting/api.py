"""A client of the books that holds every request it is allowed and every answer it gets against
Xero's OpenAPI file.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import simplejson

from tests.xero.sandbox.openapi import FOLDER, check_request, check_response
from xero.sandbox.accounting import Books, Change, Organisation, Request

SPEC = "accounting.yaml"
# without the file only test_openapi.py can say so; these tests still test the rules
CHECKED = (FOLDER / SPEC).exists() or os.environ.get("TASKJUICE_REQUIRE_SHARED") == "1"
JSON = {"accept": "application/json", "content-type": "application/json"}


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any  # parsed JSON with Decimals, or text
    changes: tuple[Change, ...]

    @property
    def messages(self) -> list[str]:
        """Of every refused element, in order."""
        elements = self.body.get("Elements") or next(
            value for value in self.body.values() if isinstance(value, list)
        )
        return [error["Message"] for one in elements for error in one.get("ValidationErrors", [])]

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """What webhooks would say: category, type, id."""
        return [(change.category, change.type, change.resource_id) for change in self.changes]


class Api:
    def __init__(self, books: Books, tenant_id: str, actor: str = "app-1") -> None:
        self.books = books
        self.tenant_id = tenant_id
        self.actor = actor

    @property
    def organisation(self) -> Organisation:
        return self.books.organisations[self.tenant_id]

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: dict[str, str] | None = None,
        **headers: str,
    ) -> Answer:
        sent = (
            b""
            if body is None
            else body
            if isinstance(body, bytes)
            else json.dumps(body, default=str).encode()
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.books.handle(
            self.tenant_id, self.actor, Request(method, path, query or {}, {**JSON, **named}, sent)
        )
        if not response.headers["content-type"].startswith("application/json"):
            return Answer(response.status, response.body.decode(), response.changes)
        parsed = simplejson.loads(response.body, use_decimal=True)
        if CHECKED and response.status in {200, 400}:
            check_response(SPEC, method, path, response.status, parsed)
        if CHECKED and response.status == 200 and isinstance(body, dict):
            check_request(SPEC, method, path, body)
        return Answer(response.status, parsed, response.changes)

    def list(
        self, path: str, query: dict[str, str] | None = None, **headers: str
    ) -> list[dict[str, Any]]:
        answer = self.call("GET", path, None, query, **headers)
        assert answer.status == 200, answer.body
        return next(value for key, value in answer.body.items() if isinstance(value, list))

    def one(self, path: str, **query: str) -> dict[str, Any]:
        found = self.list(path, query)
        assert len(found) == 1
        return found[0]

    def write(self, method: str, path: str, body: Any, **query: str) -> dict[str, Any]:
        """The one record that was written."""
        answer = self.call(method, path, body, query)
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = next(
            value for value in answer.body.values() if isinstance(value, list)
        )
        assert len(found) == 1
        return found[0]

    def customer(self) -> dict[str, Any]:
        """An active contact of the base currency with no open documents of its own making."""
        return self.write(
            "PUT", "/Contacts", {"Name": f"Customer {len(self.organisation.contacts)}"}
        )

    def invoice(self, **fields: Any) -> dict[str, Any]:
        """An approved invoice of 100.00 and 15 % GST, or whatever `fields` say."""
        return self.write("PUT", "/Invoices", invoice(**fields))

    def pay(self, document: dict[str, Any], amount: str, day: str = "2026-11-20") -> dict[str, Any]:
        body = payment(document["InvoiceID"], amount, day)
        return self.write("PUT", "/Payments", body)


def invoice(**fields: Any) -> dict[str, Any]:
    """A body for PUT /Invoices; a field that is None is left out."""
    body = {
        "Type": "ACCREC",
        "Contact": {"Name": "Kauri Tea Rooms"},
        "LineItems": [line()],
        "Date": "2026-11-01",
        "DueDate": "2026-11-21",
        "Status": "AUTHORISED",
    } | fields
    return {name: value for name, value in body.items() if value is not None}


def line(**fields: Any) -> dict[str, Any]:
    body = {"Description": "Tea", "Quantity": 1, "UnitAmount": 100, "AccountCode": "200"} | fields
    return {name: value for name, value in body.items() if value is not None}


def payment(invoice_id: str, amount: str, day: str = "2026-11-20") -> dict[str, Any]:
    return {
        "Invoice": {"InvoiceID": invoice_id},
        "Account": {"Code": "090"},
        "Date": day,
        "Amount": float(amount),
    }
