"""The six lists, each by what it is made of. One view shows them all, another writes their files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import QuerySet

from connections.models import Connection
from xero.ledger import files, queries
from xero.ledger.forms import (
    AccountForm,
    ContactForm,
    DocumentForm,
    ItemForm,
    ListForm,
    PaymentForm,
)
from xero.ledger.queries import BILL, SALE, Listing, Wanted


@dataclass(frozen=True, slots=True)
class ListPage:
    """`noun` names it in addresses and files, `kind` is the part of the ledger that it shows."""

    noun: str
    kind: str
    template: str
    form: type[ListForm]
    listing: Callable[[Connection, Wanted], Listing]
    rows: Callable[[Connection, Wanted], "QuerySet[Any]"]
    columns: str
    type: str = ""


def _documents(noun: str, type: str) -> ListPage:
    listing, rows = partial(queries.documents, type=type), partial(queries.all_documents, type=type)
    return ListPage(
        noun, "invoices", "documents", DocumentForm, listing, rows, files.DOCUMENTS, type
    )


INVOICES = _documents("invoices", SALE)
BILLS = _documents("bills", BILL)
PAYMENTS = ListPage(
    "payments",
    "payments",
    "payments",
    PaymentForm,
    queries.payments,
    queries.all_payments,
    files.PAYMENTS,
)
CONTACTS = ListPage(
    "contacts",
    "contacts",
    "contacts",
    ContactForm,
    queries.contacts,
    queries.all_contacts,
    files.CONTACTS,
)
ACCOUNTS = ListPage(
    "accounts",
    "accounts",
    "accounts",
    AccountForm,
    queries.accounts,
    queries.all_accounts,
    files.ACCOUNTS,
)
ITEMS = ListPage("items", "items", "items", ItemForm, queries.items, queries.all_items, files.ITEMS)
ALL = (INVOICES, BILLS, PAYMENTS, CONTACTS, ACCOUNTS, ITEMS)
