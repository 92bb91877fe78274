"""Invoices, bills and payments of Xero, typed: with xero/records/master_data.py the one reader of
raw bodies.

Pages, forms, files, steps and writers read these. Texts are empty where Xero sent none; other
fields that may be absent are None, and their types say so.
"""

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from xero.records.fields import (
    Body,
    read_amount,
    read_day,
    read_flag,
    read_instant,
    read_object,
    read_objects,
    read_text,
    read_uuid,
)
from xero.records.payment_types import (
    CREDIT_NOTE,
    INVOICE,
    OVERPAYMENT,
    PREPAYMENT,
    TYPES_BY_DOCUMENT,
    describe_type,
)

LONGEST_TEXT = 4000  # of a line's description
LONGEST_NAME = 500
# The URL of a document that we wrote leads to its call here (xero/actions/invoices.py): this is the
# call's key.
CALL_IN_URL = re.compile(r"/calls/([0-9a-f-]{36})/$")
# Lists of a record that say what it was credited by: the kind, and how Xero calls its id and
# number.
CREDITS = (
    ("CreditNotes", CREDIT_NOTE, "CreditNoteID", "CreditNoteNumber"),
    ("Overpayments", OVERPAYMENT, "OverpaymentID", "OverpaymentNumber"),
    ("Prepayments", PREPAYMENT, "PrepaymentID", "PrepaymentNumber"),
)


@dataclass(frozen=True, slots=True)
class TrackingRecord:
    name: str
    option: str


@dataclass(frozen=True, slots=True)
class LineRecord:
    """A line of an invoice or bill. A draft's may lack everything but its description."""

    line_id: UUID | None
    item_code: str
    description: str
    quantity: Decimal | None
    unit_amount: Decimal | None
    discount_rate: Decimal | None
    discount_amount: Decimal | None
    account_code: str
    tax_type: str
    tax_amount: Decimal | None
    line_amount: Decimal | None
    tracking: tuple[TrackingRecord, ...]


@dataclass(frozen=True, slots=True)
class ContactReference:
    xero_id: UUID | None
    name: str


@dataclass(frozen=True, slots=True)
class PaymentReference:
    """A payment as listed on its document."""

    xero_id: UUID | None
    date: dt.date | None
    amount: Decimal | None
    reference: str


@dataclass(frozen=True, slots=True)
class CreditRecord:
    """A credit set off against an invoice. `kind`: credit-note, overpayment or prepayment."""

    kind: str
    xero_id: UUID | None
    number: str
    date: dt.date | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class InvoiceRecord:
    """A sales invoice (ACCREC) or bill (ACCPAY)."""

    xero_id: UUID | None
    type: str
    status: str
    number: str
    reference: str
    contact: ContactReference
    date: dt.date | None
    due_date: dt.date | None
    fully_paid_on: dt.date | None
    currency: str
    currency_rate: Decimal | None
    line_amount_types: str
    sub_total: Decimal | None
    total_tax: Decimal | None
    total: Decimal | None
    amount_due: Decimal | None
    amount_paid: Decimal | None
    amount_credited: Decimal | None
    sent: bool
    url: str
    updated: dt.datetime | None
    lines: tuple[LineRecord, ...]
    payments: tuple[PaymentReference, ...]
    credits: tuple[CreditRecord, ...]

    @property
    def name(self) -> str:
        """Return the document's number, or the contact's name where it has none."""
        return self.number or self.contact.name


def parse_invoice(body: Body) -> InvoiceRecord:
    return InvoiceRecord(
        xero_id=read_uuid(body, "InvoiceID"),
        type=read_text(body, "Type", 20),
        status=read_text(body, "Status", 20),
        number=read_text(body, "InvoiceNumber"),
        reference=read_text(body, "Reference"),
        contact=parse_contact_reference(body),
        date=read_day(body, "Date"),
        due_date=read_day(body, "DueDate"),
        fully_paid_on=read_day(body, "FullyPaidOnDate"),
        currency=read_text(body, "CurrencyCode", 10),
        currency_rate=read_amount(body, "CurrencyRate"),
        line_amount_types=read_text(body, "LineAmountTypes", 20),
        sub_total=read_amount(body, "SubTotal"),
        total_tax=read_amount(body, "TotalTax"),
        total=read_amount(body, "Total"),
        amount_due=read_amount(body, "AmountDue"),
        amount_paid=read_amount(body, "AmountPaid"),
        amount_credited=read_amount(body, "AmountCredited"),
        sent=read_flag(body, "SentToContact"),
        url=read_text(body, "Url", 2000),
        updated=read_instant(body, "UpdatedDateUTC"),
        lines=tuple(parse_line(line) for line in read_objects(body, "LineItems")),
        payments=tuple(parse_payment_reference(one) for one in read_objects(body, "Payments")),
        credits=parse_credits(body),
    )


def parse_line(body: Body) -> LineRecord:
    return LineRecord(
        line_id=read_uuid(body, "LineItemID"),
        item_code=read_text(body, "ItemCode", 100),
        description=read_text(body, "Description", LONGEST_TEXT),
        quantity=read_amount(body, "Quantity"),
        unit_amount=read_amount(body, "UnitAmount"),
        discount_rate=read_amount(body, "DiscountRate"),
        discount_amount=read_amount(body, "DiscountAmount"),
        account_code=read_text(body, "AccountCode", 20),
        tax_type=read_text(body, "TaxType", 50),
        tax_amount=read_amount(body, "TaxAmount"),
        line_amount=read_amount(body, "LineAmount"),
        tracking=tuple(
            TrackingRecord(read_text(one, "Name", 100), read_text(one, "Option", 100))
            for one in read_objects(body, "Tracking")
        ),
    )


def parse_contact_reference(body: Body) -> ContactReference:
    """Return the contact of a document."""
    contact = read_object(body, "Contact")
    return ContactReference(
        read_uuid(contact, "ContactID"), read_text(contact, "Name", LONGEST_NAME)
    )


def parse_payment_reference(body: Body) -> PaymentReference:
    return PaymentReference(
        xero_id=read_uuid(body, "PaymentID"),
        date=read_day(body, "Date"),
        amount=read_amount(body, "Amount"),
        reference=read_text(body, "Reference"),
    )


def parse_credits(body: Body) -> tuple[CreditRecord, ...]:
    """Return what was set off against an invoice, oldest first; what has no day comes last."""
    found = [
        CreditRecord(
            kind=kind,
            xero_id=read_uuid(one, id_field),
            number=read_text(one, number_field),
            date=read_day(one, "Date"),
            amount=read_amount(one, "AppliedAmount"),
        )
        for name, kind, id_field, number_field in CREDITS
        for one in read_objects(body, name)
    ]
    return tuple(sorted(found, key=lambda credit: credit.date or dt.date.max))


@dataclass(frozen=True, slots=True)
class PaidDocument:
    """The document that a payment is for.

    `kind`: invoice, credit-note, overpayment, prepayment; empty where Xero names none. `number` and
    `currency` are the document's; for an invoice or bill, `type` says which.
    """

    kind: str
    type: str
    xero_id: UUID | None
    number: str
    currency: str
    contact: ContactReference


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    xero_id: UUID | None
    type: str
    status: str
    date: dt.date | None
    amount: Decimal | None
    reference: str
    currency_rate: Decimal | None
    reconciled: bool
    account_id: UUID | None
    account_code: str
    document: PaidDocument


def parse_payment(body: Body) -> PaymentRecord:
    account, document = read_object(body, "Account"), parse_paid_document(body)
    return PaymentRecord(
        xero_id=read_uuid(body, "PaymentID"),
        type=read_text(body, "PaymentType", 30) or TYPES_BY_DOCUMENT.get(document.type, ""),
        status=read_text(body, "Status", 20),
        date=read_day(body, "Date"),
        amount=read_amount(body, "Amount"),
        reference=read_text(body, "Reference"),
        currency_rate=read_amount(body, "CurrencyRate"),
        reconciled=read_flag(body, "IsReconciled"),
        account_id=read_uuid(account, "AccountID"),
        account_code=read_text(account, "Code", 20),
        document=document,
    )


# Where a payment carries its document, and how its id and number are called there.
PAID_DOCUMENTS = (
    ("Overpayment", OVERPAYMENT, "OverpaymentID", "OverpaymentNumber"),
    ("Prepayment", PREPAYMENT, "PrepaymentID", "PrepaymentNumber"),
    ("CreditNote", CREDIT_NOTE, "CreditNoteID", "CreditNoteNumber"),
)


def parse_paid_document(body: Body) -> PaidDocument:
    """Return what a payment is for, wherever Xero put it: refunded documents stand under `Invoice`
    too (facts 10).
    """
    for name, kind, id_field, number_field in PAID_DOCUMENTS:
        if found := read_object(body, name):
            return _paid_document(
                found, kind, read_uuid(found, id_field), read_text(found, number_field)
            )
    kind = describe_type(read_text(body, "PaymentType", 30)).document
    if found := read_object(body, "Invoice"):
        type = TYPES_BY_DOCUMENT.get(read_text(found, "Type", 20), "")
        kind = describe_type(type).document or kind or INVOICE
        return _paid_document(
            found, kind, read_uuid(found, "InvoiceID"), read_text(found, "InvoiceNumber")
        )
    if number := read_text(body, "CreditNoteNumber"):
        return _paid_document({}, CREDIT_NOTE, None, number)
    return _paid_document({}, kind, None, read_text(body, "InvoiceNumber"))


def _paid_document(document: Body, kind: str, xero_id: UUID | None, number: str) -> PaidDocument:
    type, currency = read_text(document, "Type", 20), read_text(document, "CurrencyCode", 10)
    return PaidDocument(kind, type, xero_id, number, currency, parse_contact_reference(document))
