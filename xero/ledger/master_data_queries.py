"""The lists of contacts, accounts and items."""

from django.db.models import Count, Q, QuerySet

from connections.models import Connection
from xero.ledger.list_results import ListFilters, Listing, build_listing, filter_by_term, read_tab
from xero.ledger.listing import Order, resolve_order
from xero.models import Account, Contact, Item

ACCOUNTS_ON_A_PAGE = 1000  # the whole chart of accounts

CONTACT_TABS = {
    "": Q(status="ACTIVE"),
    "customers": Q(status="ACTIVE", is_customer=True),
    "suppliers": Q(status="ACTIVE", is_supplier=True),
    "archived": ~Q(status="ACTIVE"),
}
CLASSES = ("ASSET", "LIABILITY", "EQUITY", "REVENUE", "EXPENSE")

CONTACT_SORTS = {
    "name": ("name",),
    "email": ("email",),
    "receivable": ("receivable",),
    "payable": ("payable",),
}
ITEM_SORTS = {
    "code": ("code",),
    "name": ("name", "code"),
    "sale": ("sale_price",),
    "purchase": ("purchase_price",),
}
ACCOUNT_SORTS = {
    "code": ("class_name", "code"),
    "name": ("class_name", "name"),
    "type": ("class_name", "type", "code"),
}


def list_contacts(connection: Connection, filters: ListFilters) -> Listing:
    contacts = Contact.objects.filter(connection=connection)
    counts = contacts.aggregate(
        **{name or "all": Count("pk", filter=condition) for name, condition in CONTACT_TABS.items()}
    )
    counts[""] = counts.pop("all")
    return build_listing(
        select_contacts(connection, filters), filters, counts, _resolve_contact_order(filters)
    )


def select_contacts(connection: Connection, filters: ListFilters) -> "QuerySet[Contact]":
    rows = Contact.objects.filter(
        CONTACT_TABS[read_tab(filters, CONTACT_TABS)], connection=connection
    ).defer("body")
    return filter_by_term(rows, filters).order_by(*_resolve_contact_order(filters))


def _resolve_contact_order(filters: ListFilters) -> Order:
    return resolve_order(filters.get("sort", ""), CONTACT_SORTS, "name")


def list_accounts(connection: Connection, filters: ListFilters) -> Listing:
    accounts = Account.objects.filter(connection=connection)
    active = Q(status="ACTIVE")
    counts = accounts.aggregate(
        all=Count("pk", filter=active),
        archived=Count("pk", filter=~active),
        **{name.lower(): Count("pk", filter=active & Q(class_name=name)) for name in CLASSES},
    )
    counts[""] = counts.pop("all")
    order = _resolve_account_order(filters)
    return build_listing(
        select_accounts(connection, filters), filters, counts, order, size=ACCOUNTS_ON_A_PAGE
    )


def select_accounts(connection: Connection, filters: ListFilters) -> "QuerySet[Account]":
    tab = filters.get("tab", "")
    rows = Account.objects.filter(connection=connection).defer("body")
    rows = rows.exclude(status="ACTIVE") if tab == "archived" else rows.filter(status="ACTIVE")
    if tab.upper() in CLASSES:
        rows = rows.filter(class_name=tab.upper())
    return filter_by_term(rows, filters).order_by(*_resolve_account_order(filters))


def _resolve_account_order(filters: ListFilters) -> Order:
    return resolve_order(filters.get("sort", ""), ACCOUNT_SORTS, "code")


def list_items(connection: Connection, filters: ListFilters) -> Listing:
    active = Q(status="ACTIVE")
    tabs = {
        "sold": active & Q(is_sold=True),
        "bought": active & Q(is_purchased=True),
        "tracked": active & Q(is_tracked=True),
    }
    items = Item.objects.filter(connection=connection)
    counts = items.aggregate(
        all=Count("pk", filter=active),
        **{name: Count("pk", filter=condition) for name, condition in tabs.items()},
    )
    counts[""] = counts.pop("all")
    return build_listing(
        select_items(connection, filters), filters, counts, _resolve_item_order(filters)
    )


def select_items(connection: Connection, filters: ListFilters) -> "QuerySet[Item]":
    rows = Item.objects.filter(connection=connection, status="ACTIVE").defer("body")
    flag = {"sold": "is_sold", "bought": "is_purchased", "tracked": "is_tracked"}.get(
        filters.get("tab", "")
    )
    if flag:
        rows = rows.filter(**{flag: True})
    return filter_by_term(rows, filters).order_by(*_resolve_item_order(filters))


def _resolve_item_order(filters: ListFilters) -> Order:
    return resolve_order(filters.get("sort", ""), ITEM_SORTS, "code")
