"""Contacts, accounts, items, tracking categories, tax rates and organisations of Xero, typed.

As in xero/records/documents.py: texts are empty and everything else is None where Xero sent nothing
of use.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from xero.records.fields import (
    Body,
    read_amount,
    read_day,
    read_flag,
    read_object,
    read_objects,
    read_text,
    read_uuid,
)

LONGEST_NAME = 500
LONGEST_TEXT = 4000
MOST_DAYS = 9999  # as many digits as a typed due date takes
DAYS_AFTER_ISSUE = "DAYSAFTERBILLDATE"


@dataclass(frozen=True, slots=True)
class PhoneRecord:
    kind: str
    number: str  # with its country and area codes


@dataclass(frozen=True, slots=True)
class AddressRecord:
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ContactRecord:
    """A customer or supplier. `merged_into`: the contact that this one was merged into at Xero."""

    xero_id: UUID | None
    name: str
    status: str
    first_name: str
    last_name: str
    email: str
    contact_number: str
    account_number: str
    tax_number: str
    currency: str
    phones: tuple[PhoneRecord, ...]
    addresses: tuple[AddressRecord, ...]
    is_customer: bool
    is_supplier: bool
    receivable: Decimal | None
    payable: Decimal | None
    overdue: Decimal | None
    merged_into: UUID | None

    @property
    def person(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


def parse_contact(body: Body) -> ContactRecord:
    balances = read_object(body, "Balances")
    receivable = read_object(balances, "AccountsReceivable")
    payable = read_object(balances, "AccountsPayable")
    phones = (parse_phone(phone) for phone in read_objects(body, "Phones"))
    addresses = (parse_address(address) for address in read_objects(body, "Addresses"))
    return ContactRecord(
        xero_id=read_uuid(body, "ContactID"),
        name=read_text(body, "Name", LONGEST_NAME),
        status=read_text(body, "ContactStatus", 20) or "ACTIVE",
        first_name=read_text(body, "FirstName"),
        last_name=read_text(body, "LastName"),
        email=read_text(body, "EmailAddress"),
        contact_number=read_text(body, "ContactNumber"),
        account_number=read_text(body, "AccountNumber"),
        tax_number=read_text(body, "TaxNumber"),
        currency=read_text(body, "DefaultCurrency", 10),
        phones=tuple(phone for phone in phones if phone.number),
        addresses=tuple(address for address in addresses if address.text),
        is_customer=read_flag(body, "IsCustomer"),
        is_supplier=read_flag(body, "IsSupplier"),
        receivable=read_amount(receivable, "Outstanding"),
        payable=read_amount(payable, "Outstanding"),
        overdue=read_amount(receivable, "Overdue"),
        merged_into=read_uuid(body, "MergedToContactID"),
    )


def parse_phone(body: Body) -> PhoneRecord:
    """Return the phone; its number is empty where only codes were sent."""
    number = read_text(body, "PhoneNumber", 50)
    parts = (read_text(body, "PhoneCountryCode", 20), read_text(body, "PhoneAreaCode", 20), number)
    return PhoneRecord(
        read_text(body, "PhoneType", 20), " ".join(filter(None, parts)) if number else ""
    )


def parse_address(body: Body) -> AddressRecord:
    """Return the address on one line; empty where no field of it is filled in."""
    fields = (
        "AddressLine1",
        "AddressLine2",
        "AddressLine3",
        "AddressLine4",
        "City",
        "Region",
        "PostalCode",
    )
    parts = (read_text(body, name, LONGEST_NAME) for name in (*fields, "Country"))
    return AddressRecord(read_text(body, "AddressType", 20), " ".join(filter(None, parts)))


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """An account of the chart. `code` may be empty, mostly for bank accounts."""

    xero_id: UUID | None
    code: str
    name: str
    type: str
    class_name: str
    status: str
    tax_type: str
    currency: str
    description: str
    bank_account_number: str
    system_account: str
    takes_payments: bool


def parse_account(body: Body) -> AccountRecord:
    type = read_text(body, "Type", 30)
    return AccountRecord(
        xero_id=read_uuid(body, "AccountID"),
        code=read_text(body, "Code", 20),
        name=read_text(body, "Name"),
        type=type,
        class_name=read_text(body, "Class", 20),
        status=read_text(body, "Status", 20) or "ACTIVE",
        tax_type=read_text(body, "TaxType", 50),
        currency=read_text(body, "CurrencyCode", 10),
        description=read_text(body, "Description", LONGEST_TEXT),
        bank_account_number=read_text(body, "BankAccountNumber"),
        system_account=read_text(body, "SystemAccount", 50),
        takes_payments=type == "BANK" or read_flag(body, "EnablePaymentsToAccount"),
    )


@dataclass(frozen=True, slots=True)
class ItemPrices:
    """The defaults that an item gives a line, for sales or for purchases.

    A tracked item's purchases are booked to stock: they have a `cost_account_code` instead of an
    `account_code`.
    """

    unit_price: Decimal | None
    account_code: str
    cost_account_code: str
    tax_type: str
    description: str


@dataclass(frozen=True, slots=True)
class ItemRecord:
    xero_id: UUID | None
    code: str
    name: str
    is_sold: bool
    is_purchased: bool
    is_tracked: bool
    sales: ItemPrices
    purchases: ItemPrices
    stock_account_code: str
    quantity: Decimal | None
    cost: Decimal | None

    def prices(self, *, sale: bool) -> ItemPrices:
        return self.sales if sale else self.purchases


def parse_item(body: Body) -> ItemRecord:
    return ItemRecord(
        xero_id=read_uuid(body, "ItemID"),
        code=read_text(body, "Code", 100),
        name=read_text(body, "Name"),
        is_sold=read_flag(body, "IsSold"),
        is_purchased=read_flag(body, "IsPurchased"),
        is_tracked=read_flag(body, "IsTrackedAsInventory"),
        sales=_item_prices(body, "SalesDetails", "Description"),
        purchases=_item_prices(body, "PurchaseDetails", "PurchaseDescription"),
        stock_account_code=read_text(body, "InventoryAssetAccountCode", 20),
        quantity=read_amount(body, "QuantityOnHand"),
        cost=read_amount(body, "TotalCostPool"),
    )


def _item_prices(body: Body, name: str, description: str) -> ItemPrices:
    details = read_object(body, name)
    return ItemPrices(
        unit_price=read_amount(details, "UnitPrice"),
        account_code=read_text(details, "AccountCode", 20),
        cost_account_code=read_text(details, "COGSAccountCode", 20),
        tax_type=read_text(details, "TaxType", 50),
        description=read_text(body, description, LONGEST_TEXT),
    )


@dataclass(frozen=True, slots=True)
class TaxRateRecord:
    """A tax rate. `rate` in per cent; None where Xero does not give it."""

    type: str
    name: str
    status: str
    rate: Decimal | None
    reported_as: str


def parse_tax_rate(body: Body) -> TaxRateRecord:
    rate = read_amount(body, "EffectiveRate")
    type = read_text(body, "TaxType", 50)
    return TaxRateRecord(
        type=type,
        name=read_text(body, "Name", 100) or type,
        status=read_text(body, "Status", 20) or "ACTIVE",
        rate=read_amount(body, "DisplayTaxRate") if rate is None else rate,
        reported_as=read_text(body, "ReportTaxType", 50),
    )


@dataclass(frozen=True, slots=True)
class OrganisationRecord:
    """An organisation. Nothing dated up to its lock dates can be changed.

    `sale_days`, `bill_days`: its terms of payment in days after the issue date; None for other
    terms.
    """

    name: str
    legal_name: str
    country: str
    currency: str
    time_zone: str
    short_code: str
    is_demo: bool
    period_lock_date: date | None
    year_end_lock_date: date | None
    sale_days: int | None
    bill_days: int | None


def parse_organisation(body: Body) -> OrganisationRecord:
    terms = read_object(body, "PaymentTerms")
    return OrganisationRecord(
        name=read_text(body, "Name"),
        legal_name=read_text(body, "LegalName"),
        country=read_text(body, "CountryCode", 10),
        currency=read_text(body, "BaseCurrency", 10),
        time_zone=read_text(body, "Timezone", 100),
        short_code=read_text(body, "ShortCode", 20),
        is_demo=read_flag(body, "IsDemoCompany"),
        period_lock_date=read_day(body, "PeriodLockDate"),
        year_end_lock_date=read_day(body, "EndOfYearLockDate"),
        sale_days=_days_after_issue(read_object(terms, "Sales")),
        bill_days=_days_after_issue(read_object(terms, "Bills")),
    )


def _days_after_issue(terms: Body) -> int | None:
    days = read_amount(terms, "Day")
    if days is None or read_text(terms, "Type", 30) != DAYS_AFTER_ISSUE:
        return None
    return int(days) if days == int(days) and 0 <= days <= MOST_DAYS else None
