"""What the forms offer of an organisation's local copy: contacts, accounts, items, and what an item
stands for.
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
from xero.sync.mapping import key

OFFERED_CONTACTS = 20
OFFERED_ITEMS = 500
# Which classes of accounts come first; the others follow in this order too.
CLASSES_OF_SALES = ("REVENUE", "ASSET", "LIABILITY", "EQUITY", "EXPENSE")
CLASSES_OF_BILLS = ("EXPENSE", "ASSET", "LIABILITY", "EQUITY", "REVENUE")
CLASS_NAMES = {
    "ASSET": "Assets",
    "EQUITY": "Equity",
    "EXPENSE": "Expenses",
    "LIABILITY": "Liabilities",
    "REVENUE": "Revenue",
}

# Posted to by Xero itself only.
XEROS_OWN = {
    "DEBTORS",
    "CREDITORS",
    "BANKCURRENCYGAIN",
    "REALISEDCURRENCYGAIN",
    "UNREALISEDCURRENCYGAIN",
    "RETAINEDEARNINGS",
}

Choice = tuple[str, str]


def contacts(connection: Connection, term: str = "") -> "QuerySet[Contact]":
    """Active contacts whose name or address holds the term, by name."""
    found = Contact.objects.filter(connection=connection, status="ACTIVE").defer("body")
    if term := _searched(" ".join(term.split())):
        found = found.filter(search_key__contains=term)
    return found.order_by("name", "id")[:OFFERED_CONTACTS]


def line_accounts(connection: Connection, type: str) -> list[tuple[str, list[Choice]]]:
    """Accounts that a line can be booked to, in groups; what posts to bank and control accounts is
    Xero's own.
    """
    found = (
        Account.objects.filter(connection=connection, status="ACTIVE")
        .exclude(type="BANK")
        .exclude(code="")
    )
    groups: dict[str, list[Choice]] = {}
    for account in found.order_by("code"):
        if account.record.system_account not in XEROS_OWN:
            choice = (account.code, f"{account.code} {account.name}")
            groups.setdefault(account.class_name, []).append(choice)
    order = CLASSES_OF_SALES if type == SALE else CLASSES_OF_BILLS
    names = [*order, *sorted(groups.keys() - set(order))]
    return [
        (CLASS_NAMES.get(name, name or "Other"), groups[name]) for name in names if name in groups
    ]


def payment_accounts(connection: Connection) -> list[Choice]:
    """Bank accounts, and those that payments are enabled for: the only ones that Xero takes."""
    found = Account.objects.filter(connection=connection, status="ACTIVE", takes_payments=True)
    rows = found.order_by("-type", "code", "name").defer("body")
    return [
        (str(one.xero_id), f"{one} ({one.currency})" if one.currency else str(one)) for one in rows
    ]


def account_codes(connection: Connection) -> set[str]:
    """Of all accounts there ever were: whether one can still be used is Xero's to say."""
    return set(Account.objects.filter(connection=connection).values_list("code", flat=True)) - {""}


def account_taxes(connection: Connection) -> dict[str, str]:
    """The tax type that an account's lines have when nothing else is said, by its code."""
    return dict(
        Account.objects.filter(connection=connection)
        .exclude(code="")
        .values_list("code", "tax_type")
    )


def tracking(connection: Connection) -> list[tuple[str, list[str]]]:
    """The categories in use, each with its options in use, by name."""
    found = TrackingCategory.objects.filter(connection=connection, status="ACTIVE").order_by(
        "name", "pk"
    )
    return [
        (name, sorted(one["name"] for one in options if one["status"] == "ACTIVE"))
        for name, options in found.values_list("name", "options")[: TrackingField.MOST]
    ]


def has_account(connection: Connection, xero_id: UUID) -> bool:
    return Account.objects.filter(connection=connection, xero_id=xero_id).exists()


def items(connection: Connection, type: str) -> "QuerySet[Item]":
    side = {"is_sold": True} if type == SALE else {"is_purchased": True}
    return Item.objects.filter(connection=connection, status="ACTIVE", **side).order_by("code")[
        :OFFERED_ITEMS
    ]


def item_fields(connection: Connection, code: str, type: str) -> dict[str, Any] | None:
    """What an item brings into a line, by the names of LineForm; None where there is no such item."""
    code = _searched(code)
    item = Item.objects.filter(connection=connection, code__iexact=code).first() if code else None
    if item is None:
        return None
    prices = item.record.prices(sale=type == SALE)
    fields = {
        "item_code": item.code,
        "description": prices.description or item.name,
        "unit_amount": _plain(prices.unit_price),
        "account_code": prices.account_code,
        "tax_type": prices.tax_type,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


def usual_due(ledger: Ledger | None, type: str) -> str:
    """The organisation's own terms as a due date is typed: +20; empty where they count otherwise."""
    if ledger is None:
        return ""
    days = ledger.record.sale_days if type == SALE else ledger.record.bill_days
    return "" if days is None else f"+{days}"


def currencies(connection: Connection, base: str) -> list[str]:
    """The base currency and those that documents are in."""
    used = Tally.objects.filter(connection=connection, kind="invoice").values_list(
        "currency", flat=True
    )
    return sorted({base, *used} - {""})


def document(connection_ids: list[int], xero_id: UUID) -> Invoice | None:
    """An invoice or bill of these connections."""
    rows = Invoice.objects.filter(connection__in=connection_ids, xero_id=xero_id)
    return rows.select_related("connection__ledger", "connection__workspace__agency").first()


def payable(connection: Connection, term: str) -> list[Invoice]:
    """Approved documents with something due that a search for the term finds."""
    found = [row for type in (SALE, BILL) for row in _payable_of(connection, type, _searched(term))]
    return sorted(found, key=lambda row: (row.due_date or date.max, row.pk))[:OFFERED_CONTACTS]


def _payable_of(connection: Connection, type: str, term: str) -> "QuerySet[Invoice]":
    """Oldest due first."""
    rows = Invoice.objects.filter(
        connection=connection, type=type, status="AUTHORISED", amount_due__gt=0
    )
    if term:
        rows = search.documents(connection, rows, term).among(rows)
    return rows.defer("body").order_by("due_date", "id")[:OFFERED_CONTACTS]


def _plain(price: Decimal | None) -> Decimal | None:
    """With two places at least, and no needless zeros after them."""
    if price is None:
        return None
    exact = price.normalize()
    return exact if -int(exact.as_tuple().exponent) > 2 else exact.quantize(Decimal("0.01"))


def _searched(text: str) -> str:
    """As the search columns hold it; what PostgreSQL cannot hold is nowhere."""
    return key(text[:255].replace("\0", "")).strip()
