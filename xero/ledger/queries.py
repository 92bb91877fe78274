"""What the ledger's pages show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Count, Model, Q, QuerySet
from django.db.models.expressions import RawSQL

from connections.models import Connection, Event
from taskjuice.workspaces.models import Workspace
from xero.ledger.listing import COUNTED, ON_A_PAGE, SEARCHED, Row, Total, Window, in_order, sums, window
from xero.mapping import key
from xero.models import Account, Contact, Invoice, Item, Payment, Tally

SALE, BILL = "ACCREC", "ACCPAY"
GONE = ("VOIDED", "DELETED")
LIVE = "status NOT IN ('VOIDED', 'DELETED')"
MATCHING_CONTACTS = 200  # of a search for documents
DOCUMENTS_OF_CONTACT = 20
WHOLE_CHART = 1000  # accounts on one page

TABS = {"draft": "DRAFT", "submitted": "SUBMITTED", "authorised": "AUTHORISED", "paid": "PAID"}
PAYMENT_TABS = {"sales": "ACCRECPAYMENT", "bills": "ACCPAYPAYMENT"}
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

Wanted = Mapping[str, Any]
Matches = (
    list[tuple[Any, ...]] | None
)  # id, currency, status and amounts of what a search found; None: no search
One = TypeVar("One", Invoice, Contact, Payment, Account, Item)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list page: its rows, how many each tab holds, and the sums of what the filter leaves.

    `totals` None: the filter leaves more than is summed at once. `searched`: the search brought no more than its limit,
    so something may be missing.
    """

    window: Window[Any]
    tabs: dict[str, int]
    totals: list[Total] | None = None
    searched: bool = False


# -- invoices and bills --


def default_sort(tab: str) -> str:
    """Newest first; what waits for payment by what was due first."""
    return "due" if tab == "authorised" else "-date"


def documents(connection: Connection, type: str, wanted: Wanted, *, narrow: bool) -> Listing:
    tallies = list(Tally.objects.filter(connection=connection, kind="invoice", type=type))
    tab = _tab(wanted, TABS)
    rows, matches = _filtered_documents(connection, type, wanted)
    rows = in_order(rows.defer("body"), wanted.get("sort", ""), DOCUMENT_SORTS, default_sort(tab))
    if matches is not None:
        totals = _of_matches(matches)
    elif narrow:
        totals = sums(rows, DOCUMENT_SUMS, live=LIVE)
    else:
        totals = _of_tallies(tallies, TABS.get(tab))
    counts = _counts(tallies, {name: Q(status=status) for name, status in TABS.items()})
    return _listing(rows, wanted, counts, totals=totals, narrow=narrow, searched=_is_cut(matches))


def all_documents(connection: Connection, type: str, wanted: Wanted) -> "QuerySet[Invoice]":
    """Every row of the list, in its order, for a file."""
    rows, _ = _filtered_documents(connection, type, wanted)
    return in_order(
        rows.defer("body"), wanted.get("sort", ""), DOCUMENT_SORTS, default_sort(_tab(wanted, TABS))
    )


def _filtered_documents(
    connection: Connection, type: str, wanted: Wanted
) -> "tuple[QuerySet[Invoice], Matches]":
    rows = Invoice.objects.filter(connection=connection, type=type)
    if status := TABS.get(_tab(wanted, TABS)):
        rows = rows.filter(status=status)
    date_field = "due_date" if wanted.get("on") == "due" else "date"
    rows = _between(rows, date_field, wanted.get("since"), wanted.get("until"))
    rows = _between(rows, "total", wanted.get("least"), wanted.get("most"))
    if wanted.get("contact"):
        rows = rows.filter(contact_xero_id=wanted["contact"])
    if not (term := key(wanted.get("q") or "").strip()):
        return rows, None
    found = [
        rows.filter(number_key__startswith=term),
        rows.filter(reference_key__startswith=term),
        rows.filter(contact_xero_id__in=_contacts_called(connection, term)),
    ]
    if term.isalnum():  # a whole word may be the last one: 42 finds INV-0042
        word = term.lstrip("0") or term
        found += [rows.filter(number_tail__startswith=word), rows.filter(reference_tail__startswith=word)]
    if (amount := _as_amount(term)) is not None:
        found.append(rows.filter(total=amount))
    return _candidates(Invoice.objects.all(), found, DOCUMENT_SUMS)


def _contacts_called(connection: Connection, term: str) -> "QuerySet[Contact, UUID]":
    named = Contact.objects.filter(connection=connection, search_key__contains=term)
    return named.values_list("xero_id", flat=True)[:MATCHING_CONTACTS]


# -- payments --


def payments(connection: Connection, wanted: Wanted, *, narrow: bool) -> Listing:
    tallies = list(Tally.objects.filter(connection=connection, kind="payment"))
    rows, matches = _filtered_payments(connection, wanted)
    rows = in_order(rows.defer("body"), wanted.get("sort", ""), PAYMENT_SORTS, "-date")
    tab = _tab(wanted, {**PAYMENT_TABS, "deleted": ""})
    shown = [t for t in tallies if _in_payment_tab(t, tab)]
    if matches is not None:
        totals = _of_matches(matches)
    else:
        totals = sums(rows, PAYMENT_SUMS, live="true") if narrow else _summed(shown)
    counts = {
        name: sum(t.documents for t in tallies if _in_payment_tab(t, name))
        for name in ("", *PAYMENT_TABS, "deleted")
    }
    return _listing(rows, wanted, counts, totals=totals, narrow=narrow, searched=_is_cut(matches))


def all_payments(connection: Connection, wanted: Wanted) -> "QuerySet[Payment]":
    rows, _ = _filtered_payments(connection, wanted)
    return in_order(rows.defer("body"), wanted.get("sort", ""), PAYMENT_SORTS, "-date")


def _in_payment_tab(tally: Tally, tab: str) -> bool:
    if tab == "deleted":
        return tally.status == "DELETED"
    return tally.status == "AUTHORISED" and (tab == "" or tally.type == PAYMENT_TABS[tab])


def _filtered_payments(connection: Connection, wanted: Wanted) -> "tuple[QuerySet[Payment], Matches]":
    tab = _tab(wanted, {**PAYMENT_TABS, "deleted": ""})
    status = "DELETED" if tab == "deleted" else "AUTHORISED"
    rows = Payment.objects.filter(connection=connection, status=status)
    if tab in PAYMENT_TABS:
        rows = rows.filter(type=PAYMENT_TABS[tab])
    rows = _between(rows, "date", wanted.get("since"), wanted.get("until"))
    rows = _between(rows, "amount", wanted.get("least"), wanted.get("most"))
    if not (term := key(wanted.get("q") or "").strip()):
        return rows, None
    found = [
        rows.filter(invoice_number_key__startswith=term),
        rows.filter(invoice_number_tail__startswith=term.lstrip("0") or term),
        rows.filter(reference_key__startswith=term),
        rows.filter(contact_xero_id__in=_contacts_called(connection, term)),
    ]
    if (amount := _as_amount(term)) is not None:
        found.append(rows.filter(amount=amount))
    return _candidates(Payment.objects.all(), found, PAYMENT_SUMS)


# -- contacts, accounts, items --


def contacts(connection: Connection, wanted: Wanted) -> Listing:
    everyone = Contact.objects.filter(connection=connection)
    counts = everyone.aggregate(
        **{name or "all": Count("pk", filter=held) for name, held in CONTACT_TABS.items()}
    )
    counts[""] = counts.pop("all")
    return _listing(all_contacts(connection, wanted), wanted, counts)


def all_contacts(connection: Connection, wanted: Wanted) -> "QuerySet[Contact]":
    rows = Contact.objects.filter(CONTACT_TABS[_tab(wanted, CONTACT_TABS)], connection=connection).defer(
        "body"
    )
    rows = _containing(rows, wanted)
    return in_order(rows, wanted.get("sort", ""), CONTACT_SORTS, "name")


def accounts(connection: Connection, wanted: Wanted) -> Listing:
    chart = Account.objects.filter(connection=connection)
    active = Q(status="ACTIVE")
    counts = chart.aggregate(
        all=Count("pk", filter=active),
        archived=Count("pk", filter=~active),
        **{name.lower(): Count("pk", filter=active & Q(class_name=name)) for name in CLASSES},
    )
    counts[""] = counts.pop("all")
    return _listing(all_accounts(connection, wanted), wanted, counts, size=WHOLE_CHART)


def all_accounts(connection: Connection, wanted: Wanted) -> "QuerySet[Account]":
    tab = wanted.get("tab", "")
    rows = Account.objects.filter(connection=connection).defer("body")
    rows = rows.exclude(status="ACTIVE") if tab == "archived" else rows.filter(status="ACTIVE")
    if tab.upper() in CLASSES:
        rows = rows.filter(class_name=tab.upper())
    return in_order(_containing(rows, wanted), wanted.get("sort", ""), ACCOUNT_SORTS, "code")


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
    return _listing(all_items(connection, wanted), wanted, counts)


def all_items(connection: Connection, wanted: Wanted) -> "QuerySet[Item]":
    rows = Item.objects.filter(connection=connection, status="ACTIVE").defer("body")
    flag = {"sold": "is_sold", "bought": "is_purchased", "tracked": "is_tracked"}.get(wanted.get("tab", ""))
    if flag:
        rows = rows.filter(**{flag: True})
    return in_order(_containing(rows, wanted), wanted.get("sort", ""), ITEM_SORTS, "code")


# -- one record --


def one(model: type[One], workspace: Workspace, xero_id: UUID) -> One | None:
    rows = model.objects.select_related("connection__ledger", "connection__workspace")
    return rows.filter(workspace=workspace, xero_id=xero_id).first()


def payments_of(invoice: Invoice) -> "list[Payment]":
    rows = Payment.objects.filter(connection=invoice.connection_id, invoice_xero_id=invoice.xero_id)
    return list(rows.exclude(status="DELETED").defer("body").order_by("date", "id"))


def history_of(connection: Connection, category: str, xero_id: UUID) -> "list[Event]":
    """What Xero reported about a record, latest first."""
    found = Event.objects.filter(connection=connection, category=category, resource_id=xero_id)
    return list(found.select_related("delivery").order_by("-occurred_at")[:50])


def documents_of(contact: Contact) -> "list[Invoice]":
    rows = Invoice.objects.filter(connection=contact.connection_id, contact_xero_id=contact.xero_id)
    return list(rows.defer("body").order_by("-date", "-id")[:DOCUMENTS_OF_CONTACT])


def taxes_of(invoice: Invoice) -> "list[tuple[str, Decimal]]":
    """Tax per tax type, added up from the lines as Xero rounded them."""
    found: dict[str, Decimal] = {}
    for line in invoice.body.get("LineItems") or []:
        amount = line.get("TaxAmount") or Decimal(0)
        if line.get("TaxType"):
            found[line["TaxType"]] = found.get(line["TaxType"], Decimal(0)) + amount
    return sorted(found.items())


def account_of(payment: Payment) -> Account | None:
    if payment.account_xero_id is None:
        return None
    return Account.objects.filter(connection=payment.connection_id, xero_id=payment.account_xero_id).first()


def invoice_of(payment: Payment) -> Invoice | None:
    if payment.invoice_xero_id is None:
        return None
    found = Invoice.objects.filter(connection=payment.connection_id, xero_id=payment.invoice_xero_id)
    return found.defer("body").first()


def account_names(connection: Connection, codes: Iterable[str]) -> dict[str, str]:
    """By code."""
    found = Account.objects.filter(connection=connection, code__in=set(codes))
    return dict(found.values_list("code", "name"))


# -- what they share --


def _tab(wanted: Wanted, tabs: Mapping[str, Any]) -> str:
    tab = str(wanted.get("tab") or "")
    return tab if tab in tabs else ""


def _between(rows: "QuerySet[Row]", field: str, least: Any, most: Any) -> "QuerySet[Row]":
    if least is not None:
        rows = rows.filter(**{f"{field}__gte": least})
    return rows if most is None else rows.filter(**{f"{field}__lte": most})


def _containing(rows: "QuerySet[Row]", wanted: Wanted) -> "QuerySet[Row]":
    term = key(wanted.get("q") or "").strip()
    return rows.filter(search_key__contains=term) if term else rows


def _candidates(
    model: "QuerySet[Row]", found: "Sequence[QuerySet[Row]]", columns: tuple[str, str, str]
) -> "tuple[QuerySet[Row], Matches]":
    """The rows that any of these finds, and what is summed of them: one more than a search brings, if there are more.

    Each is an index's range read no further than the limit, so a search for what is everywhere costs no more.
    """
    names = ("pk", "currency", "status", *(name for name in columns if name != "0"))
    limited = [rows.order_by().values_list(*names)[: SEARCHED + 1] for rows in found]
    matches = list(limited[0].union(*limited[1:])[: SEARCHED + 1])
    ids = [match[0] for match in matches[:SEARCHED]]
    # An array: a thousand parameters would take longer to write than the database takes to find them.
    return model.filter(pk__in=RawSQL("SELECT unnest(%s::bigint[])", [ids])), matches


def _is_cut(matches: Matches) -> bool:
    return matches is not None and len(matches) > SEARCHED


def _of_matches(matches: list[tuple[Any, ...]]) -> list[Total]:
    """What the rows that a search brings come to, per currency; what is voided or deleted adds nothing."""
    found: dict[str, list[Any]] = {}
    for _, currency, status, *amounts in matches[:SEARCHED]:
        sums_ = found.setdefault(currency, [0, *(Decimal(0) for _ in range(3))])
        sums_[0] += 1
        if status not in GONE or len(amounts) == 1:
            for place, amount in enumerate(amounts, start=1):
                sums_[place] += amount
    totals = [Total(currency, *numbers) for currency, numbers in found.items()]
    return sorted(totals, key=lambda total: (-total.documents, total.currency))


def _as_amount(term: str) -> Decimal | None:
    """`1,200.50` or `1200.5`, if that is what was typed."""
    try:
        amount = Decimal(term.replace(",", ""))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and abs(amount) < Decimal(10) ** 15 else None


def _counts(tallies: Sequence[Tally], tabs: Mapping[str, Q]) -> dict[str, int]:
    counts = {name: sum(t.documents for t in tallies if t.status == TABS[name]) for name in tabs}
    return {"": sum(t.documents for t in tallies)} | counts


def _of_tallies(tallies: Sequence[Tally], status: str | None) -> list[Total]:
    """Counts include what is voided or deleted, amounts do not."""
    shown = [t for t in tallies if status in (None, t.status)]
    return _summed(shown)


def _summed(tallies: Sequence[Tally]) -> list[Total]:
    by_currency: dict[str, list[Tally]] = {}
    for tally in tallies:
        if tally.documents:
            by_currency.setdefault(tally.currency, []).append(tally)
    found = [
        Total(
            currency,
            sum(t.documents for t in rows),
            *(
                sum(
                    (getattr(t, name) for t in rows if t.status not in GONE or t.kind == "payment"),
                    Decimal(0),
                )
                for name in ("total", "paid", "due")
            ),
        )
        for currency, rows in by_currency.items()
    ]
    return sorted(found, key=lambda total: (-total.documents, total.currency))


def _listing(
    rows: "QuerySet[Any]",
    wanted: Wanted,
    counts: dict[str, int],
    *,
    totals: list[Total] | None = None,
    narrow: bool = True,
    searched: bool = False,
    size: int = ON_A_PAGE,
) -> Listing:
    """`totals` also say how many rows there are; without them the rows are counted. Under a filter up to a bound."""
    count = sum(total.documents for total in totals) if totals is not None else _bounded(rows)
    capped = narrow and count > COUNTED
    found = window(
        rows, wanted.get("page"), count=min(count, COUNTED) if capped else count, capped=capped, size=size
    )
    return Listing(found, counts, None if capped else totals, searched)


def _bounded(rows: "QuerySet[Model]") -> int:
    return rows.order_by().values("pk")[: COUNTED + 1].count()
