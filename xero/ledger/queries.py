"""The lists of invoices, bills and payments."""

from collections.abc import Collection

from django.db.models import QuerySet

from connections.models import Connection
from xero.ledger import search
from xero.ledger.list_results import (
    ListFilters,
    Listing,
    build_listing,
    filter_between,
    read_tab,
    sum_tallies,
)
from xero.ledger.listing import Order, resolve_order, sum_by_currency
from xero.ledger.search import SearchResult
from xero.models import Invoice, Payment, Tally
from xero.records.payment_types import REFUNDS

SALE, BILL = "ACCREC", "ACCPAY"
LIVE = "status NOT IN ('VOIDED', 'DELETED')"

TABS = {"draft": "DRAFT", "submitted": "SUBMITTED", "authorised": "AUTHORISED", "paid": "PAID"}
PAYMENT_TABS: dict[str, Collection[str]] = {
    "sales": ["ACCRECPAYMENT"],
    "bills": ["ACCPAYPAYMENT"],
    "refunds": REFUNDS,
}
DOCUMENT_SORTS = {
    "number": ("number",),
    "reference": ("reference",),
    "contact": ("contact_name",),
    "date": ("date",),
    "due": ("due_date",),
    "total": ("total",),
    "paid": ("amount_paid",),
    "owed": ("amount_due",),
    "status": ("status", "date"),
    "sent": ("sent", "date"),
}
PAYMENT_SORTS = {
    "date": ("date",),
    "amount": ("amount",),
    "contact": ("contact_name",),
    "invoice": ("invoice_number",),
}
DOCUMENT_SUMS = ("total", "amount_paid", "amount_due")
PAYMENT_SUMS = ("amount", "0", "0")


# -- invoices and bills --


def default_sort(tab: str) -> str:
    """Return the sort of a tab: newest first, but documents that await payment by due date."""
    return "due" if tab == "authorised" else "-date"


def list_documents(connection: Connection, filters: ListFilters, *, type: str) -> Listing:
    tallies = list(Tally.objects.filter(connection=connection, kind="invoice", type=type))
    tab = read_tab(filters, TABS)
    rows, result = _filter_documents(connection, filters, type)
    order = _resolve_document_order(filters)
    base = _resolve_base_order(order, filters, result)
    if result is not None:
        totals = result.totals()
    elif filters["narrow"]:
        totals = sum_by_currency(rows.order_by(*base), DOCUMENT_SUMS, live=LIVE)
    else:
        totals = sum_tallies([tally for tally in tallies if TABS.get(tab) in (None, tally.status)])
    counts = {"": sum(tally.documents for tally in tallies)} | {
        name: sum(tally.documents for tally in tallies if tally.status == status)
        for name, status in TABS.items()
    }
    return build_listing(
        rows.defer("body"),
        filters,
        counts,
        order,
        base,
        totals=totals,
        searched=bool(result and result.cut),
    )


def select_documents(
    connection: Connection, filters: ListFilters, *, type: str
) -> "QuerySet[Invoice]":
    """Select every row of the list in its order, for the export."""
    rows, _ = _filter_documents(connection, filters, type)
    return rows.defer("body").order_by(*_resolve_document_order(filters))


def _resolve_document_order(filters: ListFilters) -> Order:
    return resolve_order(
        filters.get("sort", ""), DOCUMENT_SORTS, default_sort(read_tab(filters, TABS))
    )


def _resolve_base_order(order: Order, filters: ListFilters, result: SearchResult | None) -> Order:
    """Return the order itself where an index has it under this filter, else newest first."""
    # A search leaves few rows, so any order of them is cheap.
    if result is not None or not (filters["narrow"] or read_tab(filters, TABS)):
        return order
    ranged = "due_date" if filters.get("on") == "due" else "date"
    is_ranged = filters.get("since") is not None or filters.get("until") is not None
    indexed = [ranged] if is_ranged else ["date", "due_date"]
    return (
        order
        if len(order) == 2 and order[0].removeprefix("-") in indexed
        else (f"-{ranged}", "-id")
    )


def _filter_documents(
    connection: Connection, filters: ListFilters, type: str
) -> "tuple[QuerySet[Invoice], SearchResult | None]":
    rows = Invoice.objects.filter(connection=connection, type=type)
    if status := TABS.get(read_tab(filters, TABS)):
        rows = rows.filter(status=status)
    date_field = "due_date" if filters.get("on") == "due" else "date"
    rows = filter_between(rows, date_field, filters.get("since"), filters.get("until"))
    rows = filter_between(rows, "total", filters.get("least"), filters.get("most"))
    if filters.get("contact"):
        rows = rows.filter(contact_xero_id=filters["contact"])
    if not (term := search.read_term(filters)):
        return rows, None
    result = search.search_documents(connection, rows, term)
    return result.filter_rows(Invoice.objects.all()), result


# -- payments --


def list_payments(connection: Connection, filters: ListFilters) -> Listing:
    tallies = list(Tally.objects.filter(connection=connection, kind="payment"))
    rows, result = _filter_payments(connection, filters)
    order = _resolve_payment_order(filters)
    tab = read_tab(filters, {**PAYMENT_TABS, "deleted": ""})
    has_index = result is not None or not (filters["narrow"] or tab in PAYMENT_TABS)
    base = order if has_index or order[0].removeprefix("-") == "date" else ("-date", "-id")
    if result is not None:
        totals = result.totals()
    elif filters["narrow"]:
        totals = sum_by_currency(rows.order_by(*base), PAYMENT_SUMS, live="true")
    else:
        totals = sum_tallies([tally for tally in tallies if _in_payment_tab(tally, tab)])
    counts = {
        name: sum(tally.documents for tally in tallies if _in_payment_tab(tally, name))
        for name in ("", *PAYMENT_TABS, "deleted")
    }
    return build_listing(
        rows.defer("body"),
        filters,
        counts,
        order,
        base,
        totals=totals,
        searched=bool(result and result.cut),
    )


def select_payments(connection: Connection, filters: ListFilters) -> "QuerySet[Payment]":
    rows, _ = _filter_payments(connection, filters)
    return rows.defer("body").order_by(*_resolve_payment_order(filters))


def _resolve_payment_order(filters: ListFilters) -> Order:
    return resolve_order(filters.get("sort", ""), PAYMENT_SORTS, "-date")


def _in_payment_tab(tally: Tally, tab: str) -> bool:
    if tab == "deleted":
        return tally.status == "DELETED"
    return tally.status == "AUTHORISED" and (tab == "" or tally.type in PAYMENT_TABS[tab])


def _filter_payments(
    connection: Connection, filters: ListFilters
) -> "tuple[QuerySet[Payment], SearchResult | None]":
    tab = read_tab(filters, {**PAYMENT_TABS, "deleted": ""})
    status = "DELETED" if tab == "deleted" else "AUTHORISED"
    rows = Payment.objects.filter(connection=connection, status=status)
    if tab in PAYMENT_TABS:
        rows = rows.filter(type__in=PAYMENT_TABS[tab])
    rows = filter_between(rows, "date", filters.get("since"), filters.get("until"))
    rows = filter_between(rows, "amount", filters.get("least"), filters.get("most"))
    if not (term := search.read_term(filters)):
        return rows, None
    result = search.search_payments(connection, rows, term)
    return result.filter_rows(Payment.objects.all()), result
