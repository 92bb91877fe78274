"""Changes that a person makes inside Xero: outside the API's limits, with the webhooks that they
cause.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import simplejson

from xero.sandbox.accounting import Request
from xero.sandbox.accounting.work import BY_HAND
from xero.sandbox.world import World

JSON = {"accept": "application/json", "content-type": "application/json"}


class RefusedError(Exception):
    """A refusal in Xero's own words; `status` and `body` are those of the API."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__("; ".join(messages(body)) or f"Xero answered {status}")
        self.status = status
        self.body = body


def messages(body: Any) -> list[str]:
    """Return the validation messages of an error body, or its own message."""
    if not isinstance(body, Mapping):
        return []
    elements = body.get("Elements") or []
    found = [
        error["Message"] for element in elements for error in element.get("ValidationErrors") or []
    ]
    return found or [str(body[name]) for name in ("Message", "Detail") if body.get(name)]


def call(world: World, tenant_id: str, method: str, url: str, body: Any = None) -> Any:
    """Return the parsed answer to `url` ("/Invoices?page=1"), numbers as Decimals.

    Raises RefusedError unless the status is 200.
    """
    parts = urlsplit(url)
    raw = b"" if body is None else simplejson.dumps(body, use_decimal=True).encode()
    request = Request(method, parts.path, dict(parse_qsl(parts.query)), JSON, raw)
    answer = world.books.handle(tenant_id, BY_HAND, request)
    if answer.changes:
        world.outbox.record(tenant_id, answer.changes)
    is_json = answer.headers["content-type"].startswith("application/json")
    parsed = simplejson.loads(answer.body, use_decimal=True) if is_json else answer.body.decode()
    if answer.status != 200:
        raise RefusedError(answer.status, parsed)
    return parsed


def document(world: World, tenant_id: str, collection: str, id: str) -> dict[str, Any]:
    """Return one invoice, contact, payment, account or item as the API shows it."""
    found: dict[str, Any] = call(world, tenant_id, "GET", f"/{collection}/{id}")[collection][0]
    return found


def pay(
    world: World,
    tenant_id: str,
    invoice_id: str,
    amount: Any = None,
    account_id: str = "",
    date: str = "",
) -> Any:
    """Pay `amount` (default: all that is due) from `account_id` (default: the first bank account)
    today.
    """
    invoice = document(world, tenant_id, "Invoices", invoice_id)
    payment = {
        "Invoice": {"InvoiceID": invoice_id},
        "Account": {"AccountID": account_id or payable_accounts(world, tenant_id)[0]["AccountID"]},
        "Date": date or world.clock().date().isoformat(),
        "Amount": invoice["AmountDue"] if amount is None else amount,
    }
    return call(world, tenant_id, "POST", "/Payments", payment)


def set_status(world: World, tenant_id: str, invoice_id: str, status: str) -> Any:
    body = {"InvoiceID": invoice_id, "Status": status}
    return call(world, tenant_id, "POST", f"/Invoices/{invoice_id}", body)


def accounts(world: World, tenant_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call(world, tenant_id, "GET", "/Accounts?order=Code")["Accounts"]
    return [account for account in found if account["Status"] == "ACTIVE"]


def payable_accounts(world: World, tenant_id: str) -> list[dict[str, Any]]:
    """Return the accounts that a payment may be booked to: banks first, accounts without a code
    last.
    """
    active = accounts(world, tenant_id)
    banks = [account for account in active if account["Type"] == "BANK"]
    banks.sort(key=lambda account: "Code" not in account)
    others = [
        account
        for account in active
        if account["Type"] != "BANK" and account.get("EnablePaymentsToAccount")
    ]
    return banks + others
