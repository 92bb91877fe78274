"""Sample outputs for the builder, shaped like Xero's answers and shortened."""

from decimal import Decimal

from connections.integrations import Data

CONTACT: Data = {
    "ContactID": "5c2d0ab1-91c1-4c9e-8f2b-77d0cf6f6c01",
    "Name": "Ridgeway University",
    "ContactStatus": "ACTIVE",
    "EmailAddress": "accounts@ridgeway.example",
    "FirstName": "Rae",
    "LastName": "Ridgeway",
    "AccountNumber": "RU-17",
    "Phones": [
        {
            "PhoneType": "DEFAULT",
            "PhoneNumber": "555 0199",
            "PhoneAreaCode": "",
            "PhoneCountryCode": "",
        }
    ],
    "Addresses": [
        {
            "AddressType": "STREET",
            "AddressLine1": "1 College Road",
            "City": "Oxford",
            "PostalCode": "OX1 1AA",
        }
    ],
    "IsCustomer": True,
    "IsSupplier": False,
}
INVOICE: Data = {
    "InvoiceID": "d3b1c1f4-6d0e-4a53-9f0c-2f7d5f1b2a10",
    "InvoiceNumber": "INV-0042",
    "Type": "ACCREC",
    "Status": "AUTHORISED",
    "Reference": "Autumn term",
    "Contact": {"ContactID": CONTACT["ContactID"], "Name": "Ridgeway University"},
    "DateString": "2026-11-02T00:00:00",
    "DueDateString": "2026-11-30T00:00:00",
    "CurrencyCode": "GBP",
    "LineAmountTypes": "Exclusive",
    "SubTotal": Decimal("1000.00"),
    "TotalTax": Decimal("200.00"),
    "Total": Decimal("1200.00"),
    "AmountDue": Decimal("1200.00"),
    "AmountPaid": Decimal("0.00"),
    "Date": "/Date(1793577600000+0000)/",
    "DueDate": "/Date(1795996800000+0000)/",
    "LineItems": [
        {
            "LineItemID": "8a0c1d5e-2f6b-4f3a-9d57-3a1b0c9e7f44",
            "Description": "Consulting",
            "Quantity": Decimal(1),
            "UnitAmount": Decimal("1000.00"),
            "AccountCode": "200",
            "TaxType": "OUTPUT2",
            "TaxAmount": Decimal("200.00"),
            "LineAmount": Decimal("1000.00"),
        }
    ],
    "Payments": [
        {
            "PaymentID": "6f1d4c58-0f4f-4a0c-9a57-1f7d4b0c8a11",
            "Date": "/Date(1795996800000+0000)/",
            "Amount": Decimal("1200.00"),
        }
    ],
    "FullyPaidOnDate": "/Date(1795996800000+0000)/",
}
PAYMENT: Data = {
    "PaymentID": "6f1d4c58-0f4f-4a0c-9a57-1f7d4b0c8a11",
    "Date": "/Date(1763856000000+0000)/",
    "Amount": Decimal("1200.00"),
    "Reference": "Bank transfer",
    "Status": "AUTHORISED",
    "PaymentType": "ACCRECPAYMENT",
    "Account": {"AccountID": "7d05a53d-613d-4eb2-a2fc-dcb6adb80b80", "Code": "090"},
    "Invoice": {"InvoiceID": INVOICE["InvoiceID"], "InvoiceNumber": "INV-0042"},
}
ACCOUNT: Data = {
    "AccountID": "7d05a53d-613d-4eb2-a2fc-dcb6adb80b80",
    "Code": "090",
    "Name": "Business Bank Account",
    "Type": "BANK",
    "Class": "ASSET",
    "Status": "ACTIVE",
    "TaxType": "NONE",
    "EnablePaymentsToAccount": False,
}
ITEM: Data = {
    "ItemID": "c7b4a2f0-2f7b-4b1e-8a43-5f0a8ee3c2d1",
    "Code": "BOOK",
    "Name": "Handbook",
    "Description": "Handbook, second edition",
    "IsSold": True,
    "IsPurchased": True,
    "SalesDetails": {"UnitPrice": Decimal("25.00"), "AccountCode": "200", "TaxType": "OUTPUT2"},
}


def build_page_sample(name: str, record: Data) -> Data:
    """Return the sample output of a list: records under Xero's name, their count and the page
    numbers.
    """
    return {name: [record], "Count": 1, "Page": 1, "PageCount": 3, "ItemCount": 213}


# What Xero never leaves out of them (facts 4.6: whatever is empty is left out). A list of an output
# may be empty, so that only lines are sure to be there.
ALWAYS_IN_INVOICE = frozenset(
    "InvoiceID Type Status Contact Contact.ContactID Contact.Name Date DateString LineAmountTypes"
    " CurrencyCode SubTotal TotalTax Total AmountDue AmountPaid UpdatedDateUTC"
    " LineItems LineItems[] LineItems[].LineItemID"
    " Payments Payments[].PaymentID Payments[].Date Payments[].Amount".split()
)
ALWAYS_IN_CONTACT = frozenset(
    "ContactID Name ContactStatus IsCustomer IsSupplier Phones Addresses UpdatedDateUTC".split()
)
ALWAYS_IN_PAYMENT = frozenset(
    "PaymentID Date Amount Status PaymentType UpdatedDateUTC Invoice Invoice.InvoiceID Account"
    " Account.AccountID".split()
)
ALWAYS_IN_ACCOUNT = frozenset("AccountID Name Type Class Status".split())
ALWAYS_IN_ITEM = frozenset("ItemID Code".split())


def list_guaranteed_paths(
    name: str, record: frozenset[str], *, paged: bool = True
) -> frozenset[str]:
    """Return the paths that a list's output always has, from those that each record always has."""
    around = {name, "Count"} | ({"Page", "PageCount", "ItemCount"} if paged else set())
    return frozenset(around | {f"{name}[].{part}" for part in record})
