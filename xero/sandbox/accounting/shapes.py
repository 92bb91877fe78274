"""The fields that a written object may have: read strictly; unknown ones are ignored, as Xero does.

A value of the wrong kind refuses the whole request (ErrorNumber 14); what breaks a rule is for the
rules to say.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from xero.sandbox.accounting.errors import PostDataInvalid
from xero.sandbox.accounting.wire import read_date

Read = Callable[[Any, str], Any]
Document = dict[str, Any]


def _bad(value: Any, kind: str, path: str) -> PostDataInvalid:
    given = f"{type(value).__name__} to {kind}: {str(value)[:100]}"
    return PostDataInvalid(
        f"JSON for post data was invalid,Could not convert {given}. Path '{path}'."
    )


def text(value: Any, path: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise _bad(value, "String", path)
    return str(value)


def number(value: Any, path: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise _bad(value, "Decimal", path)
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise _bad(value, "Decimal", path) from None
    # .NET's decimal ends near 7.9e28; its fraction at 28 digits
    if (
        not amount.is_finite()
        or abs(amount) >= Decimal("1e20")
        or (amount and amount.adjusted() < -28)
    ):
        raise _bad(value, "Decimal", path)
    return amount


def whole(value: Any, path: str) -> int:
    amount = number(value, path)
    if amount != amount.to_integral_value() or abs(amount) > 1_000_000:
        raise _bad(value, "Int32", path)
    return int(amount)


def flag(value: Any, path: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise _bad(value, "Boolean", path)


def day(value: Any, path: str) -> str:
    found = read_date(value) if isinstance(value, str) else None
    if found is None:
        raise _bad(value, "DateTime", path)
    return found


def guid(value: Any, path: str) -> str:
    try:
        return str(UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise _bad(value, "Guid", path) from None


def one_of(*names: str) -> Read:
    def read(value: Any, path: str) -> str:
        if isinstance(value, str) and value.upper() in by_upper:
            return by_upper[value.upper()]
        raise _bad(value, "one of " + ", ".join(names), path)

    by_upper = {name.upper(): name for name in names}
    return read


def many(shape: Mapping[str, Read]) -> Read:
    def read(value: Any, path: str) -> list[Document]:
        if not isinstance(value, list):
            raise _bad(value, "List", path)
        return [read_object(shape, item, f"{path}[{place}]") for place, item in enumerate(value)]

    read.items = shape  # type: ignore[attr-defined]  # the XML reader asks which fields are lists
    return read


def one(shape: Mapping[str, Read]) -> Read:
    def read(value: Any, path: str) -> Document:
        return read_object(shape, value, path)

    read.fields = shape  # type: ignore[attr-defined]
    return read


def read_object(shape: Mapping[str, Read], value: Any, path: str) -> Document:
    """Return the known fields of `value` under their proper names.

    Xero ignores case here, and null is the same as absent.
    """
    if not isinstance(value, dict):
        raise _bad(value, "Object", path)
    names = {name.lower(): name for name in shape}
    out: Document = {}
    for key, raw in value.items():
        name = names.get(str(key).lower())
        if name is not None and raw is not None:
            out[name] = shape[name](raw, f"{path}.{name}")
    return out


PERSON: Mapping[str, Read] = {
    "FirstName": text,
    "LastName": text,
    "EmailAddress": text,
    "IncludeInEmails": flag,
}
ADDRESS: Mapping[str, Read] = {
    "AddressType": one_of("POBOX", "STREET"),
    **{f"AddressLine{line}": text for line in (1, 2, 3, 4)},
    **dict.fromkeys(("City", "Region", "PostalCode", "Country", "AttentionTo"), text),
}
PHONE: Mapping[str, Read] = {
    "PhoneType": one_of("DEFAULT", "DDI", "MOBILE", "FAX", "OFFICE"),
    **dict.fromkeys(("PhoneNumber", "PhoneAreaCode", "PhoneCountryCode"), text),
}
TERM: Mapping[str, Read] = {
    "Day": whole,
    "Type": one_of("DAYSAFTERBILLDATE", "DAYSAFTERBILLMONTH", "OFCURRENTMONTH", "OFFOLLOWINGMONTH"),
}
LINE_AMOUNT_TYPE = one_of("INCLUSIVE", "EXCLUSIVE", "NONE")
CONTACT: Mapping[str, Read] = {
    "ContactID": guid,
    "ContactStatus": one_of("ACTIVE", "ARCHIVED", "GDPRREQUEST"),
    **dict.fromkeys(
        (
            "ContactNumber", "AccountNumber", "Name", "FirstName", "LastName", "CompanyNumber", "EmailAddress",
            "BankAccountDetails", "TaxNumber", "AccountsReceivableTaxType", "AccountsPayableTaxType", "DefaultCurrency",
            "XeroNetworkKey", "SalesDefaultAccountCode", "PurchasesDefaultAccountCode",
        ),
        text,
    ),
    "ContactPersons": many(PERSON),
    "Addresses": many(ADDRESS),
    "Phones": many(PHONE),
    "PaymentTerms": one({"Bills": one(TERM), "Sales": one(TERM)}),
    "SalesDefaultLineAmountType": LINE_AMOUNT_TYPE,
    "PurchasesDefaultLineAmountType": LINE_AMOUNT_TYPE,
}  # fmt: skip
TRACKING: Mapping[str, Read] = {
    "TrackingCategoryID": guid,
    "TrackingOptionID": guid,
    "Name": text,
    "Option": text,
}
LINE: Mapping[str, Read] = {
    "LineItemID": guid,
    **dict.fromkeys(("Description", "ItemCode", "AccountCode", "TaxType"), text),
    **dict.fromkeys(
        ("Quantity", "UnitAmount", "LineAmount", "TaxAmount", "DiscountRate", "DiscountAmount"),
        number,
    ),
    "AccountID": guid,
    "Tracking": many(TRACKING),
}
INVOICE: Mapping[str, Read] = {
    "InvoiceID": guid,
    "Type": one_of(
        "ACCPAY", "ACCPAYCREDIT", "APOVERPAYMENT", "APPREPAYMENT",
        "ACCREC", "ACCRECCREDIT", "AROVERPAYMENT", "ARPREPAYMENT",
    ),
    "Contact": one(CONTACT),
    "LineItems": many(LINE),
    **dict.fromkeys(("Date", "DueDate", "ExpectedPaymentDate", "PlannedPaymentDate"), day),
    "LineAmountTypes": one_of("Exclusive", "Inclusive", "NoTax"),
    **dict.fromkeys(("InvoiceNumber", "Reference", "Url", "CurrencyCode"), text),
    "BrandingThemeID": guid,
    "CurrencyRate": number,
    "Status": one_of("DRAFT", "SUBMITTED", "DELETED", "AUTHORISED", "PAID", "VOIDED"),
    "SentToContact": flag,
}  # fmt: skip
PAYMENT: Mapping[str, Read] = {
    "PaymentID": guid,
    "Invoice": one({"InvoiceID": guid, "InvoiceNumber": text}),
    "CreditNote": one({"CreditNoteID": guid, "CreditNoteNumber": text}),
    "Prepayment": one({"PrepaymentID": guid}),
    "Overpayment": one({"OverpaymentID": guid}),
    "Account": one({"AccountID": guid, "Code": text}),
    "Date": day,
    **dict.fromkeys(("Amount", "CurrencyRate", "BankAmount"), number),
    "Reference": text,
    "IsReconciled": flag,
    "Status": one_of("AUTHORISED", "DELETED"),
}
