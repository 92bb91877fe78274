"""Xero's records as rows of the local copy. Whatever cannot be a row raises Unusable and is left out, with a word."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.db import models

from xero import wire
from xero.models import Account, Contact, Invoice, Item, Payment, TrackingCategory

Body = Mapping[str, Any]
Row = dict[str, Any]

INVOICES, CONTACTS, PAYMENTS, ACCOUNTS, ITEMS = "invoices", "contacts", "payments", "accounts", "items"
TRACKING = "tracking categories"
ZERO = Decimal(0)
LARGEST = Decimal(10) ** 15
WORDS = re.compile(r"[^\W_]+")
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
NO_DAY = wire.EPOCH


class Unusable(Exception):
    """The record lacks what a row needs. The text says what."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: where Xero keeps it and how it becomes a row.

    `paged`: Xero pages it and takes If-Modified-Since; the others come whole in one answer. `by_ids`: several can be
    asked for by `IDs`.
    """

    name: str
    path: str
    collection: str
    model: type[models.Model]
    row: Callable[[Body], Row]
    paged: bool
    by_ids: bool = False
    archived: bool = False  # `includeArchived` makes sense

    def rows(self, bodies: list[Body]) -> tuple[list[Row], list[str]]:
        """The rows, and why others are none."""
        found: list[Row] = []
        refused: list[str] = []
        for body in bodies:
            try:
                found.append(self.row(body))
            except Unusable as error:
                refused.append(str(error))
        return found, refused


def invoice(body: Body) -> Row:
    contact = _object(body, "Contact")
    number, reference = _text(body, "InvoiceNumber"), _text(body, "Reference")
    return _common(body, "InvoiceID") | {
        "type": _text(body, "Type", 20),
        "status": _text(body, "Status", 20),
        "number": number,
        "number_key": key(number),
        "number_tail": tail(number),
        "reference": reference,
        "reference_key": key(reference),
        "reference_tail": tail(reference),
        "contact_xero_id": _uuid(contact, "ContactID"),
        "contact_name": _text(contact, "Name", 500),
        "date": _day(body, "Date"),
        "due_date": _day(body, "DueDate"),
        "currency": _text(body, "CurrencyCode", 10),
        "sub_total": _amount(body, "SubTotal"),
        "total_tax": _amount(body, "TotalTax"),
        "total": _amount(body, "Total"),
        "amount_due": _amount(body, "AmountDue"),
        "amount_paid": _amount(body, "AmountPaid"),
        "amount_credited": _amount(body, "AmountCredited"),
        "sent": body.get("SentToContact") is True,
    }


def contact(body: Body) -> Row:
    balances = _object(body, "Balances")
    receivable, payable = _object(balances, "AccountsReceivable"), _object(balances, "AccountsPayable")
    name, email = _text(body, "Name", 500), _text(body, "EmailAddress")
    person = f"{_text(body, 'FirstName')} {_text(body, 'LastName')}"
    texts = (name, email, person, _text(body, "ContactNumber"), _text(body, "AccountNumber"))
    return _common(body, "ContactID") | {
        "name": name,
        "search_key": key("\n".join(texts)),
        "email": email,
        "status": _text(body, "ContactStatus", 20) or "ACTIVE",
        "is_customer": body.get("IsCustomer") is True,
        "is_supplier": body.get("IsSupplier") is True,
        "receivable": _amount(receivable, "Outstanding"),
        "payable": _amount(payable, "Outstanding"),
        "overdue": _amount(receivable, "Overdue"),
    }


def payment(body: Body) -> Row:
    """The document paid is an invoice or, for refunds, a credit note or another kind."""
    document = _object(body, "Invoice") or _object(body, "CreditNote")
    contact, account = _object(document, "Contact"), _object(body, "Account")
    number, reference = _text(document, "InvoiceNumber"), _text(body, "Reference")
    return _common(body, "PaymentID") | {
        "type": _text(body, "PaymentType", 30),
        "status": _text(body, "Status", 20),
        "date": _day(body, "Date"),
        "amount": _amount(body, "Amount"),
        "currency": _text(document, "CurrencyCode", 10),
        "reference": reference,
        "reference_key": key(reference),
        "reconciled": body.get("IsReconciled") is True,
        "invoice_xero_id": _uuid(document, "InvoiceID"),
        "invoice_number": number,
        "invoice_number_key": key(number),
        "invoice_number_tail": tail(number),
        "contact_xero_id": _uuid(contact, "ContactID"),
        "contact_name": _text(contact, "Name", 500),
        "account_xero_id": _uuid(account, "AccountID"),
        "account_code": _text(account, "Code", 20),
    }


def account(body: Body) -> Row:
    code, name = _text(body, "Code", 20), _text(body, "Name")
    type_ = _text(body, "Type", 30)
    return _common(body, "AccountID", undated=True) | {
        "code": code,
        "name": name,
        "search_key": key(f"{code}\n{name}\n{_text(body, 'BankAccountNumber')}"),
        "type": type_,
        "class_name": _text(body, "Class", 20),
        "status": _text(body, "Status", 20) or "ACTIVE",
        "tax_type": _text(body, "TaxType", 50),
        "currency": _text(body, "CurrencyCode", 10),
        "takes_payments": type_ == "BANK" or body.get("EnablePaymentsToAccount") is True,
    }


def item(body: Body) -> Row:
    code, name = _text(body, "Code", 100), _text(body, "Name")
    sales, purchases = _object(body, "SalesDetails"), _object(body, "PurchaseDetails")
    return _common(body, "ItemID", undated=True) | {
        "code": code,
        "name": name,
        "search_key": key(f"{code}\n{name}\n{_text(body, 'Description', 1000)}"),
        "status": "ACTIVE",
        "is_sold": body.get("IsSold") is True,
        "is_purchased": body.get("IsPurchased") is True,
        "is_tracked": body.get("IsTrackedAsInventory") is True,
        "sale_price": _amount(sales, "UnitPrice") if "UnitPrice" in sales else None,
        "purchase_price": _amount(purchases, "UnitPrice") if "UnitPrice" in purchases else None,
        "quantity": _amount(body, "QuantityOnHand") if "QuantityOnHand" in body else None,
    }


def tracking_category(body: Body) -> Row:
    options = [one for one in body.get("Options") or [] if isinstance(one, dict) and _text(one, "Name")]
    return _common(body, "TrackingCategoryID", undated=True) | {
        "name": _text(body, "Name", 100),
        "status": _text(body, "Status", 20) or "ACTIVE",
        "options": [
            {"name": _text(one, "Name", 100), "status": _text(one, "Status", 20) or "ACTIVE"}
            for one in options
        ],
    }


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(ACCOUNTS, "/Accounts", "Accounts", Account, account, paged=False),
        Kind(ITEMS, "/Items", "Items", Item, item, paged=False),
        Kind(
            TRACKING,
            "/TrackingCategories",
            "TrackingCategories",
            TrackingCategory,
            tracking_category,
            paged=False,
        ),
        Kind(CONTACTS, "/Contacts", "Contacts", Contact, contact, paged=True, by_ids=True, archived=True),
        Kind(INVOICES, "/Invoices", "Invoices", Invoice, invoice, paged=True, by_ids=True, archived=True),
        Kind(PAYMENTS, "/Payments", "Payments", Payment, payment, paged=True),
    )
}


def key(text: str) -> str:
    """How texts are compared in a search: small letters, composed."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).lower()


def tail(text: str) -> str:
    """The last word of a number or reference without leading zeros: `42` of INV-0042. Empty where it is all."""
    whole = key(text)
    words = WORDS.findall(whole)
    last = (words[-1].lstrip("0") or words[-1]) if words else ""
    return "" if last == whole else last


def _common(body: Body, id_field: str, *, undated: bool = False) -> Row:
    """Accounts and items may come without a date of change: then any newer answer wins over the older one."""
    xero_id = _uuid(body, id_field)
    if xero_id is None:
        raise Unusable(f"no {id_field}")
    changed = body.get("UpdatedDateUTC")
    if changed is None and undated:
        return {"xero_id": xero_id, "updated_utc": NO_DAY, "body": dict(body)}
    return {"xero_id": xero_id, "updated_utc": _instant(body, xero_id), "body": dict(body)}


def _instant(body: Body, xero_id: UUID) -> datetime:
    try:
        return wire.instant(str(body.get("UpdatedDateUTC")))
    except ValueError as error:
        raise Unusable(f"{xero_id}: UpdatedDateUTC is not a date") from error


def _text(body: Body, name: str, longest: int = 255) -> str:
    value = body.get(name)
    if value is None:
        return ""
    text = str(value)
    return text[:longest] if text.isascii() and "\0" not in text else UNSTORABLE.sub("\ufffd", text)[:longest]


def _uuid(body: Body, name: str) -> UUID | None:
    try:
        return UUID(str(body[name]))
    except (KeyError, ValueError):
        return None


def _day(body: Body, name: str) -> date | None:
    """From `DateString` where Xero sends one, else from `Date`."""
    for field in (f"{name}String", name):
        text = body.get(field)
        if isinstance(text, str):
            try:
                return date.fromisoformat(text[:10]) if text.endswith("T00:00:00") else wire.day(text)
            except ValueError:
                continue
    return None


def _amount(body: Body, name: str) -> Decimal:
    """What Xero sent; nothing is 0. The column keeps 4 decimals."""
    value = body.get(name)
    if value is None:
        return ZERO
    try:
        amount = value if type(value) is Decimal else Decimal(str(value))
        fits = -LARGEST < amount < LARGEST
    except InvalidOperation as error:  # NaN cannot be compared
        raise Unusable(f"{name} is not a number") from error
    if not fits:
        raise Unusable(f"{name} is out of range")
    return amount


def _object(body: Body, name: str) -> Body:
    value = body.get(name)
    return value if isinstance(value, dict) else {}
