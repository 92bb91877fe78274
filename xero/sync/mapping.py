"""Xero's records as rows of the local copy.

A record that cannot be a row raises Unusable and is left out, with a line in the log.
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

RecordRow = dict[str, Any]

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
    """A record that lacks what a row needs. The text says what."""


@dataclass(frozen=True, slots=True)
class RecordKind:
    """A kind of record: its address at Xero and its mapping to a row.

    `paged`: Xero pages it and takes If-Modified-Since; the others come whole in one answer.
    `by_ids`: several can be asked for by `IDs`.
    """

    name: str
    path: str
    collection: str
    model: type[models.Model]
    row: Callable[[Body], RecordRow]
    paged: bool
    by_ids: bool = False
    archived: bool = False  # `includeArchived` makes sense

    def map_bodies(self, bodies: list[Body]) -> tuple[list[RecordRow], list[str]]:
        """Return the rows, and the reasons why the other bodies are none."""
        rows: list[RecordRow] = []
        reasons: list[str] = []
        for body in bodies:
            try:
                rows.append(self.row(body))
            except Unusable as error:
                reasons.append(str(error))
        return rows, reasons


def map_invoice(body: Body) -> RecordRow:
    contact = read_object(body, "Contact")
    number, reference = read_text(body, "InvoiceNumber"), read_text(body, "Reference")
    return _map_common(body, "InvoiceID") | {
        "type": read_text(body, "Type", 20),
        "status": read_text(body, "Status", 20),
        "number": number,
        "number_key": fold_short(number),
        "number_tail": last_word(number),
        "reference": reference,
        "reference_key": fold_short(reference),
        "reference_tail": last_word(reference),
        "contact_xero_id": read_uuid(contact, "ContactID"),
        "contact_name": read_text(contact, "Name", 500),
        "date": read_day(body, "Date"),
        "due_date": read_day(body, "DueDate"),
        "currency": read_text(body, "CurrencyCode", 10),
        "sub_total": _read_sum(body, "SubTotal"),
        "total_tax": _read_sum(body, "TotalTax"),
        "total": _read_sum(body, "Total"),
        "amount_due": _read_sum(body, "AmountDue"),
        "amount_paid": _read_sum(body, "AmountPaid"),
        "amount_credited": _read_sum(body, "AmountCredited"),
        "sent": read_flag(body, "SentToContact"),
    }


def map_contact(body: Body) -> RecordRow:
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
    return _map_common(body, "ContactID") | {
        "name": name,
        "search_key": fold_text("\n".join(texts)),
        "email": email,
        "status": read_text(body, "ContactStatus", 20) or "ACTIVE",
        "is_customer": read_flag(body, "IsCustomer"),
        "is_supplier": read_flag(body, "IsSupplier"),
        "receivable": _read_sum(receivable, "Outstanding"),
        "payable": _read_sum(payable, "Outstanding"),
        "overdue": _read_sum(receivable, "Overdue"),
    }


def map_payment(body: Body) -> RecordRow:
    """Map a payment. A refund's `invoice_number` is its document's; only invoices and bills are
    linked.
    """
    record = parse_payment(body)
    document = record.document
    return _map_common(body, "PaymentID") | {
        "type": record.type,
        "status": record.status,
        "date": record.date,
        "amount": _read_sum(body, "Amount"),
        "currency": document.currency,
        "reference": record.reference,
        "reference_key": fold_short(record.reference),
        "reconciled": record.reconciled,
        "invoice_xero_id": document.xero_id if document.kind == INVOICE else None,
        "invoice_number": document.number,
        "invoice_number_key": fold_short(document.number),
        "invoice_number_tail": last_word(document.number),
        "contact_xero_id": document.contact.xero_id,
        "contact_name": document.contact.name,
        "account_xero_id": record.account_id,
        "account_code": record.account_code,
    }


def map_account(body: Body) -> RecordRow:
    code, name = read_text(body, "Code", 20), read_text(body, "Name")
    type_ = read_text(body, "Type", 30)
    return _map_common(body, "AccountID", undated=True) | {
        "code": code,
        "name": name,
        "search_key": fold_text(f"{code}\n{name}\n{read_text(body, 'BankAccountNumber')}"),
        "type": type_,
        "class_name": read_text(body, "Class", 20),
        "status": read_text(body, "Status", 20) or "ACTIVE",
        "tax_type": read_text(body, "TaxType", 50),
        "currency": read_text(body, "CurrencyCode", 10),
        "takes_payments": type_ == "BANK" or read_flag(body, "EnablePaymentsToAccount"),
    }


def map_item(body: Body) -> RecordRow:
    code, name = read_text(body, "Code", 100), read_text(body, "Name")
    sales, purchases = read_object(body, "SalesDetails"), read_object(body, "PurchaseDetails")
    return _map_common(body, "ItemID", undated=True) | {
        "code": code,
        "name": name,
        "search_key": fold_text(f"{code}\n{name}\n{read_text(body, 'Description', 1000)}"),
        "status": "ACTIVE",
        "is_sold": read_flag(body, "IsSold"),
        "is_purchased": read_flag(body, "IsPurchased"),
        "is_tracked": read_flag(body, "IsTrackedAsInventory"),
        "sale_price": _read_price(sales, "UnitPrice"),
        "purchase_price": _read_price(purchases, "UnitPrice"),
        "quantity": _read_price(body, "QuantityOnHand"),
    }


def map_tracking_category(body: Body) -> RecordRow:
    options = [option for option in read_objects(body, "Options") if read_text(option, "Name")]
    return _map_common(body, "TrackingCategoryID", undated=True) | {
        "name": read_text(body, "Name", 100),
        "status": read_text(body, "Status", 20) or "ACTIVE",
        "options": [
            {
                "name": read_text(option, "Name", 100),
                "status": read_text(option, "Status", 20) or "ACTIVE",
            }
            for option in options
        ],
    }


KINDS: dict[str, RecordKind] = {
    kind.name: kind
    for kind in (
        RecordKind(ACCOUNTS, "/Accounts", "Accounts", Account, map_account, paged=False),
        RecordKind(ITEMS, "/Items", "Items", Item, map_item, paged=False),
        RecordKind(
            TRACKING,
            "/TrackingCategories",
            "TrackingCategories",
            TrackingCategory,
            map_tracking_category,
            paged=False,
        ),
        RecordKind(
            CONTACTS,
            "/Contacts",
            "Contacts",
            Contact,
            map_contact,
            paged=True,
            by_ids=True,
            archived=True,
        ),
        RecordKind(
            INVOICES,
            "/Invoices",
            "Invoices",
            Invoice,
            map_invoice,
            paged=True,
            by_ids=True,
            archived=True,
        ),
        RecordKind(PAYMENTS, "/Payments", "Payments", Payment, map_payment, paged=True),
    )
}


def fold_text(text: str) -> str:
    """Return the text as searches compare it: in lower case, composed."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).lower()


def fold_short(text: str) -> str:
    """Return the key cut to its column: small letters may be more than capital ones (İ)."""
    return fold_text(text)[:LONGEST_KEY]


def last_word(text: str) -> str:
    """Return the last word of a number or reference without leading zeros: `42` for INV-0042.

    Empty where that is the whole text.
    """
    whole = fold_short(text)
    words = WORDS.findall(whole)
    last = (words[-1].lstrip("0") or words[-1]) if words else ""
    return "" if last == whole else last


def _map_common(body: Body, id_field: str, *, undated: bool = False) -> RecordRow:
    """Return the columns that all records share."""
    xero_id = read_uuid(body, id_field)
    if xero_id is None:
        raise Unusable(f"no {id_field}")
    updated = read_instant(body, "UpdatedDateUTC")
    if updated is None:
        if not undated or body.get("UpdatedDateUTC"):
            raise Unusable(f"{xero_id}: UpdatedDateUTC is not a date")
        updated = NO_DAY  # accounts and items may come undated: then any newer answer replaces them
    return {"xero_id": xero_id, "updated_utc": updated, "body": dict(body)}


def _read_price(body: Body, name: str) -> Decimal | None:
    return None if body.get(name) in (None, "") else _read_sum(body, name)


def _read_sum(body: Body, name: str) -> Decimal:
    """Return the amount, 0 where Xero sent none; the column keeps 4 decimals.

    Raises Unusable for an invalid amount, which a page would leave empty: these are added up.
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
