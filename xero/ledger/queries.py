"""What the ledger's lists show."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Model, Q, QuerySet

from connections.models import Connection
from xero.ledger import search
from xero.ledger.listing import (
    COUNTED,
    ON_A_PAGE,
    Order,
    Row,
    Total,
    Window,
    add_up,
    order_of,
    sums,
    window,
)
from xero.ledger.search import GONE, Found
from xero.models import Account, Contact, Invoice, Item, Payment, Tally
from xero.records.payment_types import REFUNDS, describe_type

SALE, BILL = "ACCREC", "ACCPAY"
LIVE = "status NOT IN ('VOIDED', 'DELETED')"
WHOLE_CHART = 1000  # accounts on one page

TABS = {"draft": "DRAFT", "submitted": "SUBMITTED", "authorised": "AUTHORISED", "paid": "PAID"}
PAYMENT_TABS: dict[str, Collection[str]] = {
    "sales": ["ACCRECPAYMENT"],
    "bills": ["ACCPAYPAYMENT"],
    "refunds": REFUNDS,
}
CONTACT_TABS = {
    "": Q(status="ACTIVE"),
    "customers": Q(status="ACTIVE", is_customer=True),
    "suppliers": Q(status="ACTIVE", is_supplier=True),
    "archived": ~Q(status="ACTIVE"),
}
CLASSES = ("ASSET", "LIABILITY", "EQUITY", "REVENUE", "EXPENSE")

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

DOCUMENT_SUMS = ("total", "amount_paid", "amount_due")
PAYMENT_SUMS = ("amount", "0", "0")

Wanted = Mapping[
    str, Any
]  # what a list's form says (forms.py); `narrow`: more than the tab filters


@dataclass(frozen=True, slots=True)
class Listing:
    """A list page: its rows, how many each tab holds, and the sums of what the filter leaves.

    `totals` None: the filter leaves more than is summed at once. `searched`: the search brought no
    more than its limit, so something may be missing. `part_ordered`: only the newest COUNTED are in
    this order.
    """

    window: Window[Any]
    tabs: dict[str, int]
    totals: list[Total] | None = None
    searched: bool = False
    part_ordered: bool = False


# -- invoices and bills --


def default_sort(tab: str) -> str:
    """Newest first; what waits for payment by what was due first."""
    return "due" if tab == "authorised" else "-date"


def documents(connection: Connection, wanted: Wanted, *, type: str) -> Listing:
    tallies = list(Tally.objects.filter(connection=connection, kind="invoice", type=type))
    tab = _tab(wanted, TABS)
    rows, found = _filtered_documents(connection, wanted, type)
    order = _order_of_documents(wanted)
    base = _base_of_documents(order, wanted, found)
    if found is not None:
        totals = found.totals()
    elif wanted["narrow"]:
        totals = sums(rows.order_by(*base), DOCUMENT_SUMS, live=LIVE)
    else:
        totals = _summed([tally for tally in tallies if TABS.get(tab) in (None, tally.status)])
    counts = {"": sum(tally.documents for tally in tallies)} | {
        name: sum(tally.documents for tally in tallies if tally.status == status)
        for name, status in TABS.items()
    }
    return _listing(
        rows.defer("body"),
        wanted,
        counts,
        order,
        base,
        totals=totals,
        searched=bool(found and found.cut),
    )


def all_documents(connection: Connection, wanted: Wanted, *, type: str) -> "QuerySet[Invoice]":
    """Every row of the list, in its order, for a file."""
    rows, _ = _filtered_documents(connection, wanted, type)
    return rows.defer("body").order_by(*_order_of_documents(wanted))


def _order_of_documents(wanted: Wanted) -> Order:
    return order_of(wanted.get("sort", ""), DOCUMENT_SORTS, default_sort(_tab(wanted, TABS)))


def _base_of_documents(order: Order, wanted: Wanted, found: Found | None) -> Order:
    """The order itself where an index has it under this filter (a search brings few rows), else
    newest first.
    """
    if found is not None or not (wanted["narrow"] or _tab(wanted, TABS)):
        return order
    ranged = "due_date" if wanted.get("on") == "due" else "date"
    is_ranged = wanted.get("since") is not None or wanted.get("until") is not None
    indexed = [ranged] if is_ranged else ["date", "due_date"]
    return (
        order
        if len(order) == 2 and order[0].removeprefix("-") in indexed
        else (f"-{ranged}", "-id")
    )


def _filtered_documents(
    connection: Connection, wanted: Wanted, type: str
) -> "tuple[QuerySet[Invoice], Found | None]":
    rows = Invoice.objects.filter(connection=connection, type=type)
    if status := TABS.get(_tab(wanted, TABS)):
        rows = rows.filter(status=status)
    date_field = "due_date" if wanted.get("on") == "due" else "date"
    rows = _between(rows, date_field, wanted.get("since"), wanted.get("until"))
    rows = _between(rows, "total", wanted.get("least"), wanted.get("most"))
    if wanted.get("contact"):
        rows = rows.filter(contact_xero_id=wanted["contact"])
    if not (term := search.term_of(wanted)):
        return rows, None
    found = search.documents(connection, rows, term)
    return found.among(Invoice.objects.all()), found


# -- payments --


def payments(connection: Connection, wanted: Wanted) -> Listing:
    tallies = list(Tally.objects.filter(connection=connection, kind="payment"))
    rows, found = _filtered_payments(connection, wanted)
    order = _order_of_payments(wanted)
    tab = _tab(wanted, {**PAYMENT_TABS, "deleted": ""})
    has_index = found is not None or not (wanted["narrow"] or tab in PAYMENT_TABS)
    base = order if has_index or order[0].removeprefix("-") == "date" else ("-date", "-id")
    if found is not None:
        totals = found.totals()
    elif wanted["narrow"]:
        totals = sums(rows.order_by(*base), PAYMENT_SUMS, live="true")
    else:
        totals = _summed([tally for tally in tallies if _in_payment_tab(tally, tab)])
    counts = {
        name: sum(tally.documents for tally in tallies if _in_payment_tab(tally, name))
        for name in ("", *PAYMENT_TABS, "deleted")
    }
    return _listing(
        rows.defer("body"),
        wanted,
        counts,
        order,
        base,
        totals=totals,
        searched=bool(found and found.cut),
    )


def all_payments(connection: Connection, wanted: Wanted) -> "QuerySet[Payment]":
    rows, _ = _filtered_payments(connection, wanted)
    return rows.defer("body").order_by(*_order_of_payments(wanted))


def _order_of_payments(wanted: Wanted) -> Order:
    return order_of(wanted.get("sort", ""), PAYMENT_SORTS, "-date")


def _in_payment_tab(tally: Tally, tab: str) -> bool:
    if tab == "deleted":
        return tally.status == "DELETED"
    return tally.status == "AUTHORISED" and (tab == "" or tally.type in PAYMENT_TABS[tab])


def _filtered_payments(
    connection: Connection, wanted: Wanted
) -> "tuple[QuerySet[Payment], Found | None]":
    tab = _tab(wanted, {**PAYMENT_TABS, "deleted": ""})
    status = "DELETED" if tab == "deleted" else "AUTHORISED"
    rows = Payment.objects.filter(connection=connection, status=status)
    if tab in PAYMENT_TABS:
        rows = rows.filter(type__in=PAYMENT_TABS[tab])
    rows = _between(rows, "date", wanted.get("since"), wanted.get("until"))
    rows = _between(rows, "amount", wanted.get("least"), wanted.get("most"))
    if not (term := search.term_of(wanted)):
        return rows, None
    found = search.payments(connection, rows, term)
    return found.among(Payment.objects.all()), found


# -- contacts, accounts, items --


def contacts(connection: Connection, wanted: Wanted) -> Listing:
    everyone = Contact.objects.filter(connection=connection)
    counts = everyone.aggregate(
        **{name or "all": Count("pk", filter=held) for name, held in CONTACT_TABS.items()}
    )
    counts[""] = counts.pop("all")
    return _listing(all_contacts(connection, wanted), wanted, counts, _order_of_contacts(wanted))


def all_contacts(connection: Connection, wanted: Wanted) -> "QuerySet[Contact]":
    rows = Contact.objects.filter(
        CONTACT_TABS[_tab(wanted, CONTACT_TABS)], connection=connection
    ).defer("body")
    return _containing(rows, wanted).order_by(*_order_of_contacts(wanted))


def _order_of_contacts(wanted: Wanted) -> Order:
    return order_of(wanted.get("sort", ""), CONTACT_SORTS, "name")


def accounts(connection: Connection, wanted: Wanted) -> Listing:
    chart = Account.objects.filter(connection=connection)
    active = Q(status="ACTIVE")
    counts = chart.aggregate(
        all=Count("pk", filter=active),
        archived=Count("pk", filter=~active),
        **{name.lower(): Count("pk", filter=active & Q(class_name=name)) for name in CLASSES},
    )
    counts[""] = counts.pop("all")
    order = _order_of_accounts(wanted)
    return _listing(all_accounts(connection, wanted), wanted, counts, order, size=WHOLE_CHART)


def all_accounts(connection: Connection, wanted: Wanted) -> "QuerySet[Account]":
    tab = wanted.get("tab", "")
    rows = Account.objects.filter(connection=connection).defer("body")
    rows = rows.exclude(status="ACTIVE") if tab == "archived" else rows.filter(status="ACTIVE")
    if tab.upper() in CLASSES:
        rows = rows.filter(class_name=tab.upper())
    return _containing(rows, wanted).order_by(*_order_of_accounts(wanted))


def _order_of_accounts(wanted: Wanted) -> Order:
    return order_of(wanted.get("sort", ""), ACCOUNT_SORTS, "code")


def items(connection: Connection, wanted: Wanted) -> Listing:
    held = Q(status="ACTIVE")
    tabs = {
        "sold": held & Q(is_sold=True),
        "bought": held & Q(is_purchased=True),
        "tracked": held & Q(is_tracked=True),
    }
    everything = Item.objects.filter(connection=connection)
    counts = everything.aggregate(
        all=Count("pk", filter=held),
        **{name: Count("pk", filter=condition) for name, condition in tabs.items()},
    )
    counts[""] = counts.pop("all")
    return _listing(all_items(connection, wanted), wanted, counts, _order_of_items(wanted))


def all_items(connection: Connection, wanted: Wanted) -> "QuerySet[Item]":
    rows = Item.objects.filter(connection=connection, status="ACTIVE").defer("body")
    flag = {"sold": "is_sold", "bought": "is_purchased", "tracked": "is_tracked"}.get(
        wanted.get("tab", "")
    )
    if flag:
        rows = rows.filter(**{flag: True})
    return _containing(rows, wanted).order_by(*_order_of_items(wanted))


def _order_of_items(wanted: Wanted) -> Order:
    return order_of(wanted.get("sort", ""), ITEM_SORTS, "code")


# -- what they share --


def _tab(wanted: Wanted, tabs: Mapping[str, Any]) -> str:
    tab = str(wanted.get("tab") or "")
    return tab if tab in tabs else ""


def _between(rows: "QuerySet[Row]", field: str, least: Any, most: Any) -> "QuerySet[Row]":
    if least is not None:
        rows = rows.filter(**{f"{field}__gte": least})
    return rows if most is None else rows.filter(**{f"{field}__lte": most})


def _containing(rows: "QuerySet[Row]", wanted: Wanted) -> "QuerySet[Row]":
    term = search.term_of(wanted)
    if not term:
        return rows
    as_names = " ".join(term.split())  # contacts' keys begin with the name as people type it
    found = Q(search_key__contains=term)
    return rows.filter(found if as_names == term else found | Q(search_key__contains=as_names))


def _summed(tallies: Sequence[Tally]) -> list[Total]:
    """Counts include documents that are voided or deleted, amounts do not."""
    return add_up(_total_of(tally) for tally in tallies if tally.documents)


def _total_of(tally: Tally) -> Total:
    counts = tally.status not in GONE or tally.kind == "payment"
    total, paid, due = (tally.total, tally.paid, tally.due) if counts else (Decimal(0),) * 3
    direction = describe_type(tally.type).direction
    return Total(tally.currency, tally.documents, total, paid, due, direction)


def _listing(
    rows: "QuerySet[Any]",
    wanted: Wanted,
    counts: dict[str, int],
    order: Order,
    base: Order | None = None,
    *,
    totals: list[Total] | None = None,
    searched: bool = False,
    size: int = ON_A_PAGE,
) -> Listing:
    """`totals` also say how many rows there are; without them the rows are counted, up to a bound."""
    count = sum(total.documents for total in totals) if totals is not None else _bounded(rows)
    capped = count > COUNTED and (totals is None or wanted["narrow"])
    part_ordered = count > COUNTED and base not in (None, order)
    count = min(count, COUNTED) if capped else count
    found = window(
        rows, wanted.get("page"), order, base=base, count=count, capped=capped, size=size
    )
    return Listing(found, counts, None if capped else totals, searched, part_ordered)


def _bounded(rows: "QuerySet[Model]") -> int:
    return rows.order_by().values("pk")[: COUNTED + 1].count()
