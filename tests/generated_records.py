"""Records as Xero might send them one day: every field known to us, any of them gone, empty, or of
another type.

`generate_records` draws them from a seed, so that a failure can be repeated.
"""

import random
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from typing import Any
from uuid import UUID

Record = dict[str, Any]

CONTACT_ID = "5c8ef2d1-6d2f-4a53-9d24-0d5b0b9a6f11"
INVOICE_ID = "a3c1b7f4-3a7e-4d0b-8a60-54d1f5bb0c22"
CHANGED = "/Date(1795167600000+0000)/"
ODD_VALUES: list[Any] = [
    None,
    "",
    " ",
    "12.50",
    "no number",
    "1e999999",
    Decimal("1E+30"),
    Decimal("-0.00"),
    -1,
    10**40,
    True,
    [],
    [None],
    ["text", 5],
    {},
    {"odd": {"deep": [1]}},
    "a\x00b",
    "\u202eright to left",
    "<img src=x onerror=alert(1)>",
    "x" * 5000,
    "/Date(99999999999999999)/",
    "/Date(-62135596800001)/",
    "0000-00-00T00:00:00",
    "00000000-0000-0000-0000-000000000000",
    "../../etc",
]
TRACKING = [
    {
        "Name": "Region",
        "Option": "North",
        "TrackingCategoryID": CONTACT_ID,
        "TrackingOptionID": INVOICE_ID,
    }
]
LINE = {
    "LineItemID": INVOICE_ID,
    "ItemCode": "PLANK",
    "Item": {"ItemID": INVOICE_ID, "Name": "Plank", "Code": "PLANK"},
    "Description": "Planks, planed",
    "Quantity": Decimal("3.0000"),
    "UnitAmount": Decimal("21.5000"),
    "DiscountRate": Decimal("5.00"),
    "DiscountAmount": Decimal("3.23"),
    "AccountCode": "200",
    "AccountID": INVOICE_ID,
    "TaxType": "OUTPUT2",
    "TaxAmount": Decimal("9.19"),
    "LineAmount": Decimal("61.27"),
    "Tracking": TRACKING,
}
APPLIED = {
    "Total": Decimal("20.00"),
    "AppliedAmount": Decimal("20.00"),
    "Date": CHANGED,
    "DateString": "2026-11-06T00:00:00",
}
PERSON = {
    "ContactID": CONTACT_ID,
    "Name": "Ferns & Sons",
    "ContactStatus": "ACTIVE",
    "EmailAddress": "a@ferns.example",
}
TEMPLATES: dict[str, Record] = {
    "invoices": {
        "Type": "ACCREC",
        "InvoiceID": INVOICE_ID,
        "InvoiceNumber": "INV-0815",
        "Reference": "PO 12",
        "Status": "AUTHORISED",
        "Contact": PERSON,
        "DateString": "2026-11-01T00:00:00",
        "Date": "/Date(1793491200000+0000)/",
        "DueDateString": "2026-11-20T00:00:00",
        "DueDate": "/Date(1795132800000+0000)/",
        "ExpectedPaymentDate": CHANGED,
        "FullyPaidOnDate": CHANGED,
        "LineAmountTypes": "Exclusive",
        "LineItems": [LINE, LINE],
        "SubTotal": Decimal("61.27"),
        "TotalTax": Decimal("9.19"),
        "TotalDiscount": Decimal("3.23"),
        "Total": Decimal("70.46"),
        "AmountDue": Decimal("20.46"),
        "AmountPaid": Decimal("30.00"),
        "AmountCredited": Decimal("20.00"),
        "CurrencyCode": "NZD",
        "CurrencyRate": Decimal("1.0000000000"),
        "BrandingThemeID": CONTACT_ID,
        "Url": "https://app.example/calls/1/",
        "SentToContact": True,
        "HasAttachments": True,
        "HasErrors": False,
        "IsDiscounted": True,
        "Payments": [
            {
                "PaymentID": INVOICE_ID,
                "Amount": Decimal("30.00"),
                "Date": CHANGED,
                "Reference": "card",
            }
        ],
        "CreditNotes": [APPLIED | {"CreditNoteID": CONTACT_ID, "CreditNoteNumber": "CN-4"}],
        "Prepayments": [APPLIED | {"PrepaymentID": CONTACT_ID}],
        "Overpayments": [APPLIED | {"OverpaymentID": CONTACT_ID}],
        "Warnings": [{"Message": "the account was taken off"}],
        "UpdatedDateUTC": CHANGED,
    },
    "contacts": PERSON
    | {
        "FirstName": "Fern",
        "LastName": "Sons",
        "ContactNumber": "C-9",
        "AccountNumber": "9",
        "TaxNumber": "12-345-678",
        "BankAccountDetails": "01-0001-0000001-00",
        "IsSupplier": True,
        "IsCustomer": True,
        "DefaultCurrency": "NZD",
        "Addresses": [
            {"AddressType": "POBOX", "AddressLine1": "PO Box 1", "City": "Napier", "Country": "NZ"}
        ],
        "Phones": [
            {
                "PhoneType": "MOBILE",
                "PhoneNumber": "555",
                "PhoneAreaCode": "21",
                "PhoneCountryCode": "64",
            }
        ],
        "ContactPersons": [
            {"FirstName": "Lee", "EmailAddress": "lee@ferns.example", "IncludeInEmails": True}
        ],
        "ContactGroups": [{"ContactGroupID": CONTACT_ID, "Name": "Trade"}],
        "PaymentTerms": {
            "Sales": {"Day": 20, "Type": "OFFOLLOWINGMONTH"},
            "Bills": {"Day": 7, "Type": "DAYSAFTERBILLDATE"},
        },
        "Balances": {
            "AccountsReceivable": {"Outstanding": Decimal("849.50"), "Overdue": Decimal("910.00")},
            "AccountsPayable": {"Outstanding": Decimal("0.00"), "Overdue": Decimal("0.00")},
        },
        "MergedToContactID": CONTACT_ID,
        "UpdatedDateUTC": CHANGED,
    },
    "payments": {
        "PaymentID": INVOICE_ID,
        "PaymentType": "ACCRECPAYMENT",
        "Status": "AUTHORISED",
        "Date": CHANGED,
        "Amount": Decimal("30.00"),
        "BankAmount": Decimal("30.00"),
        "CurrencyRate": Decimal("1.5"),
        "Reference": "card",
        "IsReconciled": True,
        "Account": {"AccountID": CONTACT_ID, "Code": "090", "Name": "Current account"},
        "Invoice": {
            "Type": "ACCREC",
            "InvoiceID": INVOICE_ID,
            "InvoiceNumber": "INV-0815",
            "CurrencyCode": "NZD",
            "Contact": PERSON,
        },
        "Prepayment": {"PrepaymentID": CONTACT_ID, "CurrencyCode": "USD", "Contact": PERSON},
        "UpdatedDateUTC": CHANGED,
    },
    "accounts": {
        "AccountID": CONTACT_ID,
        "Code": "200",
        "Name": "Sales",
        "Type": "REVENUE",
        "Class": "REVENUE",
        "Status": "ACTIVE",
        "TaxType": "OUTPUT2",
        "Description": "Income from sales",
        "BankAccountNumber": "01-0001",
        "BankAccountType": "BANK",
        "CurrencyCode": "NZD",
        "EnablePaymentsToAccount": True,
        "SystemAccount": "DEBTORS",
        "ReportingCode": "REV",
        "UpdatedDateUTC": CHANGED,
    },
    "items": {
        "ItemID": INVOICE_ID,
        "Code": "PLANK",
        "Name": "Plank",
        "Description": "A plank",
        "PurchaseDescription": "A plank, bought",
        "IsSold": True,
        "IsPurchased": True,
        "IsTrackedAsInventory": True,
        "InventoryAssetAccountCode": "630",
        "TotalCostPool": Decimal("100.00"),
        "QuantityOnHand": Decimal("12.5000"),
        "SalesDetails": {
            "UnitPrice": Decimal("21.5000"),
            "AccountCode": "200",
            "TaxType": "OUTPUT2",
        },
        "PurchaseDetails": {
            "UnitPrice": Decimal(11),
            "COGSAccountCode": "310",
            "TaxType": "INPUT2",
        },
        "UpdatedDateUTC": CHANGED,
    },
}
ID_FIELDS = {
    "invoices": "InvoiceID",
    "contacts": "ContactID",
    "payments": "PaymentID",
    "accounts": "AccountID",
    "items": "ItemID",
}
# Without these a record is left out when it is read, and said to be: there is no page of it.
KEPT = ("Type", "PaymentType", "UpdatedDateUTC")
STATUSES = {
    "invoices": ["DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"],
    "contacts": ["ACTIVE", "ARCHIVED", "GDPRREQUEST"],
    "payments": ["AUTHORISED", "DELETED"],
    "accounts": ["ACTIVE", "ARCHIVED"],
}
KINDS_OF_INVOICE = ["ACCREC", "ACCPAY"]
KINDS_OF_PAYMENT = "ACCRECPAYMENT ACCPAYPAYMENT ARCREDITPAYMENT APOVERPAYMENTPAYMENT ARPREPAYMENTPAYMENT NEWONE".split()


def generate_records(kind: str, count: int, *, seed: int) -> Iterator[Record]:
    """Yield `count` records of a kind, each with an id of its own, by which it is stored and found."""
    draw = random.Random(f"{kind} {seed}")
    for _ in range(count):
        record = deepcopy(TEMPLATES[kind])
        if kind in STATUSES:
            record["ContactStatus" if kind == "contacts" else "Status"] = draw.choice(
                STATUSES[kind]
            )
        if kind == "invoices":
            record["Type"] = draw.choice(KINDS_OF_INVOICE)
        if kind == "payments":
            record["PaymentType"] = draw.choice(KINDS_OF_PAYMENT)
        disturbed = _disturb(record, draw, share=draw.choice([0.02, 0.1, 0.4]))
        kept = {name: record[name] for name in KEPT if name in record}
        yield disturbed | kept | {ID_FIELDS[kind]: str(UUID(int=draw.getrandbits(128)))}


def _disturb(value: Any, draw: random.Random, *, share: float) -> Any:
    """Return the value with about `share` of its fields gone and half as many replaced by something
    odd.
    """
    match value:
        case dict():
            kept = {key: each for key, each in value.items() if draw.random() >= share}
            return {
                key: draw.choice(ODD_VALUES)
                if draw.random() < share / 2
                else _disturb(each, draw, share=share)
                for key, each in kept.items()
            }
        case list():
            return [_disturb(each, draw, share=share) for each in value]
    return value
