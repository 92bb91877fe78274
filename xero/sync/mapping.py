"""Xero's records as rows of the local copy. Whatever cannot be a row raises Unusable and is left
out, with a word.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import models

from xero.models import Account, Contact, Invoice, Item, Payment, TrackingCategory
from xero.names import normalise_name
from xero.records import wire
from xero.records.documents import parse_payment
from xero.records.fields import (
    LARGEST,
    Body,
    read_day,
    read_flag,
    read_instant,
    read_object,
    read_objects,
    read_text,
    read_uuid,
    round_places,
)
from xero.records.payment_types import INVOICE

Row = dict[str, Any]

INVOICES, CONTACTS, PAYMENTS, ACCOUNTS, ITEMS = (
    "invoices",
    "contacts",
    "payments",
    "accounts",
    "items",
)
TRACKING = "tracking categories"
ZERO = Decimal(0)
LONGEST_KEY = 255
WORDS = re.compile(r"[^\W_]+")
NO_DAY = wire.EPOCH


class Unusable(Exception):
    """The record lacks what a row needs. The text says what."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: where Xero keeps it and how it becomes a row.

    `paged`: Xero pages it and takes If-Modified-Since; the others come whole in one answer.
    `by_ids`: several can be asked for by `IDs`.
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
    contact = read_object(body, "Contact")
    number, reference = read_text(body, "InvoiceNumber"), read_text(body, "Reference")
    return _common(body, "InvoiceID") | {
        "type": read_text(body, "Type", 20),
        "status": read_text(body, "Status", 20),
        "number": number,
        "number_key": short_key(number),
        "number_tail": tail(number),
        "reference": reference,
        "reference_key": short_key(reference),
        "reference_tail": tail(reference),
        "contact_xero_id": read_uuid(contact, "ContactID"),
        "contact_name": read_text(contact, "Name", 500),
        "date": read_day(body, "Date"),
        "due_date": read_day(body, "DueDate"),
        "currency": read_text(body, "CurrencyCode", 10),
        "sub_total": _amount(body, "SubTotal"),
        "total_tax": _amount(body, "TotalTax"),
        "total": _amount(body, "Total"),
        "amount_due": _amount(body, "AmountDue"),
        "amount_paid": _amount(body, "AmountPaid"),
        "amount_credited": _amount(body, "AmountCredited"),
        "sent": read_flag(body, "SentToContact"),
    }


def contact(body: Body) -> Row:
    balances = read_object(body, "Balances")
    receivable, payable = (
        read_object(balances, "AccountsReceivable"),
        read_object(balances, "AccountsPayable"),
    )
    name, email = read_text(body, "Name", 500), read_text(body, "EmailAddress")
    person = f"{read_text(body, 'FirstName')} {read_text(body, 'LastName')}"
    texts = (
        normalise_name(name),
        email,
        person,
        read_text(body, "ContactNumber"),
        read_text(body, "AccountNumber"),
    )
    return _common(body, "ContactID") | {
        "name": name,
        "search_key": key("\n".join(texts)),
        "email": email,
        "status": read_text(body, "ContactStatus", 20) or "ACTIVE",
        "is_customer": read_flag(body, "IsCustomer"),
        "is_supplier": read_flag(body, "IsSupplier"),
        "receivable": _amount(receivable, "Outstanding"),
        "payable": _amount(payable, "Outstanding"),
        "overdue": _amount(receivable, "Overdue"),
    }


def payment(body: Body) -> Row:
    """Of a refund, `invoice_number` is its document's number; only an invoice or bill is linked."""
    found = parse_payment(body)
    document = found.document
    return _common(body, "PaymentID") | {
        "type": found.type,
        "status": found.status,
        "date": found.date,
        "amount": _amount(body, "Amount"),
        "currency": document.currency,
        "reference": found.reference,
        "reference_key": short_key(found.reference),
        "reconciled": found.reconciled,
        "invoice_xero_id": document.xero_id if document.kind == INVOICE else None,
        "invoice_number": document.number,
        "invoice_number_key": short_key(document.number),
        "invoice_number_tail": tail(document.number),
        "contact_xero_id": document.contact.xero_id,
        "contact_name": document.contact.name,
        "account_xero_id": found.account_id,
        "account_code": found.account_code,
    }


def account(body: Body) -> Row:
    code, name = read_text(body, "Code", 20), read_text(body, "Name")
    type_ = read_text(body, "Type", 30)
    return _common(body, "AccountID", undated=True) | {
        "code": code,
        "name": name,
        "search_key": key(f"{code}\n{name}\n{read_text(body, 'BankAccountNumber')}"),
        "type": type_,
        "class_name": read_text(body, "Class", 20),
        "status": read_text(body, "Status", 20) or "ACTIVE",
        "tax_type": read_text(body, "TaxType", 50),
        "currency": read_text(body, "CurrencyCode", 10),
        "takes_payments": type_ == "BANK" or read_flag(body, "EnablePaymentsToAccount"),
    }


def item(body: Body) -> Row:
    code, name = read_text(body, "Code", 100), read_text(body, "Name")
    sales, purchases = read_object(body, "SalesDetails"), read_object(body, "PurchaseDetails")
    return _common(body, "ItemID", undated=True) | {
        "code": code,
        "name": name,
        "search_key": key(f"{code}\n{name}\n{read_text(body, 'Description', 1000)}"),
        "status": "ACTIVE",
        "is_sold": read_flag(body, "IsSold"),
        "is_purchased": read_flag(body, "IsPurchased"),
        "is_tracked": read_flag(body, "IsTrackedAsInventory"),
        "sale_price": _price(sales, "UnitPrice"),
        "purchase_price": _price(purchases, "UnitPrice"),
        "quantity": _price(body, "QuantityOnHand"),
    }


def tracking_category(body: Body) -> Row:
    options = [one for one in read_objects(body, "Options") if read_text(one, "Name")]
    return _common(body, "TrackingCategoryID", undated=True) | {
        "name": read_text(body, "Name", 100),
        "status": read_text(body, "Status", 20) or "ACTIVE",
        "options": [
            {
                "name": read_text(one, "Name", 100),
                "status": read_text(one, "Status", 20) or "ACTIVE",
            }
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
        Kind(
            CONTACTS,
            "/Contacts",
            "Contacts",
            Contact,
            contact,
            paged=True,
            by_ids=True,
            archived=True,
        ),
        Kind(
            INVOICES,
            "/Invoices",
            "Invoices",
            Invoice,
            invoice,
            paged=True,
            by_ids=True,
            archived=True,
        ),
        Kind(PAYMENTS, "/Payments", "Payments", Payment, payment, paged=True),
    )
}


def key(text: str) -> str:
    """How texts are compared in a search: small letters, composed."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).lower()


def short_key(text: str) -> str:
    """Return the key cut to its column: small letters may be more than capital ones (İ)."""
    return key(text)[:LONGEST_KEY]


def tail(text: str) -> str:
    """The last word of a number or reference without leading zeros: `42` of INV-0042. Empty where
    it is all.
    """
    whole = short_key(text)
    words = WORDS.findall(whole)
    last = (words[-1].lstrip("0") or words[-1]) if words else ""
    return "" if last == whole else last


def _common(body: Body, id_field: str, *, undated: bool = False) -> Row:
    """Accounts and items may come without a date of change: then any newer answer wins over the
    older one.
    """
    xero_id = read_uuid(body, id_field)
    if xero_id is None:
        raise Unusable(f"no {id_field}")
    updated = read_instant(body, "UpdatedDateUTC")
    if updated is None:
        if not undated or body.get("UpdatedDateUTC"):
            raise Unusable(f"{xero_id}: UpdatedDateUTC is not a date")
        updated = NO_DAY
    return {"xero_id": xero_id, "updated_utc": updated, "body": dict(body)}


def _price(body: Body, name: str) -> Decimal | None:
    return None if body.get(name) in (None, "") else _amount(body, name)


def _amount(body: Body, name: str) -> Decimal:
    """What Xero sent; nothing is 0. Strict, unlike a page: these are added up. The column keeps 4
    decimals.
    """
    value = body.get(name)
    if value is None or value == "":
        return ZERO
    try:
        amount = value if type(value) is Decimal else Decimal(str(value))
        fits = -LARGEST < amount < LARGEST
    except InvalidOperation as error:  # NaN cannot be compared
        raise Unusable(f"{name} is not a number") from error
    if not fits:
        raise Unusable(f"{name} is out of range")
    return round_places(amount)
