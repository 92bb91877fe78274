"""The choices of the forms, read from the local copy of an organisation: contacts, accounts, items
and what an item fills in.
"""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from connections.models import Connection
from xero.fields import TrackingField
from xero.ledger import search
from xero.ledger.queries import BILL, SALE
from xero.models import Account, Contact, Invoice, Item, Ledger, Tally, TrackingCategory
from xero.sync.mapping import fold_text

OFFERED_CONTACTS = 20
OFFERED_ITEMS = 500
# The order of the account classes in a select, the likeliest first.
CLASSES_OF_SALES = ("REVENUE", "ASSET", "LIABILITY", "EQUITY", "EXPENSE")
CLASSES_OF_BILLS = ("EXPENSE", "ASSET", "LIABILITY", "EQUITY", "REVENUE")
CLASS_NAMES = {
    "ASSET": "Assets",
    "EQUITY": "Equity",
    "EXPENSE": "Expenses",
    "LIABILITY": "Liabilities",
    "REVENUE": "Revenue",
}

# System accounts that only Xero itself posts to.
SYSTEM_ACCOUNTS = {
    "DEBTORS",
    "CREDITORS",
    "BANKCURRENCYGAIN",
    "REALISEDCURRENCYGAIN",
    "UNREALISEDCURRENCYGAIN",
    "RETAINEDEARNINGS",
}

Choice = tuple[str, str]


def list_contacts(connection: Connection, term: str = "") -> "QuerySet[Contact]":
    """Return active contacts whose name or e-mail address contains the term, by name."""
    contacts = Contact.objects.filter(connection=connection, status="ACTIVE").defer("body")
    if term := _normalise_term(" ".join(term.split())):
        contacts = contacts.filter(search_key__contains=term)
    return contacts.order_by("name", "id")[:OFFERED_CONTACTS]


def list_line_accounts(connection: Connection, type: str) -> list[tuple[str, list[Choice]]]:
    """Return the accounts that a line can be booked to, grouped by class.

    Bank accounts and control accounts are missing: only Xero itself posts lines to them.
    """
    accounts = (
        Account.objects.filter(connection=connection, status="ACTIVE")
        .exclude(type="BANK")
        .exclude(code="")
    )
    groups: dict[str, list[Choice]] = {}
    for account in accounts.order_by("code"):
        if account.record.system_account not in SYSTEM_ACCOUNTS:
            choice = (account.code, f"{account.code} {account.name}")
            groups.setdefault(account.class_name, []).append(choice)
    order = CLASSES_OF_SALES if type == SALE else CLASSES_OF_BILLS
    names = [*order, *sorted(groups.keys() - set(order))]
    return [
        (CLASS_NAMES.get(name, name or "Other"), groups[name]) for name in names if name in groups
    ]


def list_payment_accounts(connection: Connection) -> list[Choice]:
    """Return bank accounts and those enabled for payments: the only ones that Xero accepts."""
    accounts = Account.objects.filter(connection=connection, status="ACTIVE", takes_payments=True)
    return [
        (
            str(account.xero_id),
            f"{account} ({account.currency})" if account.currency else str(account),
        )
        for account in accounts.order_by("-type", "code", "name").defer("body")
    ]


def list_account_codes(connection: Connection) -> set[str]:
    """Return the codes of all accounts, archived ones too: Xero decides which can be used."""
    return set(Account.objects.filter(connection=connection).values_list("code", flat=True)) - {""}


def map_account_taxes(connection: Connection) -> dict[str, str]:
    """Return the default tax type of each account by its code."""
    return dict(
        Account.objects.filter(connection=connection)
        .exclude(code="")
        .values_list("code", "tax_type")
    )


def list_tracking(connection: Connection) -> list[tuple[str, list[str]]]:
    """Return the active categories by name, each with its active options."""
    categories = TrackingCategory.objects.filter(connection=connection, status="ACTIVE").order_by(
        "name", "pk"
    )
    return [
        (name, sorted(option["name"] for option in options if option["status"] == "ACTIVE"))
        for name, options in categories.values_list("name", "options")[: TrackingField.MOST]
    ]


def has_account(connection: Connection, xero_id: UUID) -> bool:
    return Account.objects.filter(connection=connection, xero_id=xero_id).exists()


def list_items(connection: Connection, type: str) -> "QuerySet[Item]":
    side = {"is_sold": True} if type == SALE else {"is_purchased": True}
    return Item.objects.filter(connection=connection, status="ACTIVE", **side).order_by("code")[
        :OFFERED_ITEMS
    ]


def read_item_fields(connection: Connection, code: str, type: str) -> dict[str, Any] | None:
    """Return the values that an item fills into a line, by field of LineForm, or None."""
    code = _normalise_term(code)
    item = Item.objects.filter(connection=connection, code__iexact=code).first() if code else None
    if item is None:
        return None
    prices = item.record.prices(sale=type == SALE)
    fields = {
        "item_code": item.code,
        "description": prices.description or item.name,
        "unit_amount": _trim_zeros(prices.unit_price),
        "account_code": prices.account_code,
        "tax_type": prices.tax_type,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


def read_default_due_date(ledger: Ledger | None, type: str) -> str:
    """Return the payment terms of the organisation as one types them, such as +20, or ""."""
    if ledger is None:
        return ""
    days = ledger.record.sale_days if type == SALE else ledger.record.bill_days
    # Terms of other kinds, such as "20th of the next month", have no number of days.
    return "" if days is None else f"+{days}"


def list_currencies(connection: Connection, base: str) -> list[str]:
    """Return the base currency and the currencies that documents are in."""
    used = Tally.objects.filter(connection=connection, kind="invoice").values_list(
        "currency", flat=True
    )
    return sorted({base, *used} - {""})


def find_document(connection_ids: list[int], xero_id: UUID) -> Invoice | None:
    """Return an invoice or bill of these connections."""
    rows = Invoice.objects.filter(connection__in=connection_ids, xero_id=xero_id)
    return rows.select_related("connection__ledger", "connection__workspace__agency").first()


def list_payable_documents(connection: Connection, term: str) -> list[Invoice]:
    """Return approved documents with an amount due that match the term, earliest due first."""
    term = _normalise_term(term)
    documents = [row for type in (SALE, BILL) for row in _list_payable(connection, type, term)]
    return sorted(documents, key=lambda row: (row.due_date or date.max, row.pk))[:OFFERED_CONTACTS]


def _list_payable(connection: Connection, type: str, term: str) -> "QuerySet[Invoice]":
    rows = Invoice.objects.filter(
        connection=connection, type=type, status="AUTHORISED", amount_due__gt=0
    )
    if term:
        rows = search.search_documents(connection, rows, term).filter_rows(rows)
    return rows.defer("body").order_by("due_date", "id")[:OFFERED_CONTACTS]


def _trim_zeros(price: Decimal | None) -> Decimal | None:
    """Return the price with at least two decimals and no zeros after these."""
    if price is None:
        return None
    exact = price.normalize()
    return exact if -int(exact.as_tuple().exponent) > 2 else exact.quantize(Decimal("0.01"))


def _normalise_term(text: str) -> str:
    """Return the text in the form of the search columns."""
    # PostgreSQL cannot store NUL, so no row can match it; without this it would raise an error.
    return fold_text(text[:255].replace("\0", "")).strip()
