"""The six lists of the ledger. One view shows them all, another one exports them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import QuerySet

from connections.models import Connection
from xero.ledger import files, master_data_queries, queries
from xero.ledger.forms import (
    AccountListForm,
    ContactListForm,
    DocumentListForm,
    ItemListForm,
    ListForm,
    PaymentListForm,
)
from xero.ledger.list_results import ListFilters, Listing
from xero.ledger.queries import BILL, SALE


@dataclass(frozen=True, slots=True)
class ListPage:
    """A list: `noun` is its name in URLs and files, `kind` the part of the ledger that it shows."""

    noun: str
    kind: str
    template: str
    form: type[ListForm]
    listing: Callable[[Connection, ListFilters], Listing]
    rows: Callable[[Connection, ListFilters], "QuerySet[Any]"]
    columns: str
    type: str = ""


def _document_page(noun: str, type: str) -> ListPage:
    listing, rows = (
        partial(queries.list_documents, type=type),
        partial(queries.select_documents, type=type),
    )
    return ListPage(
        noun, "invoices", "documents", DocumentListForm, listing, rows, files.DOCUMENTS, type
    )


INVOICES = _document_page("invoices", SALE)
BILLS = _document_page("bills", BILL)
PAYMENTS = ListPage(
    "payments",
    "payments",
    "payments",
    PaymentListForm,
    queries.list_payments,
    queries.select_payments,
    files.PAYMENTS,
)
CONTACTS = ListPage(
    "contacts",
    "contacts",
    "contacts",
    ContactListForm,
    master_data_queries.list_contacts,
    master_data_queries.select_contacts,
    files.CONTACTS,
)
ACCOUNTS = ListPage(
    "accounts",
    "accounts",
    "accounts",
    AccountListForm,
    master_data_queries.list_accounts,
    master_data_queries.select_accounts,
    files.ACCOUNTS,
)
ITEMS = ListPage(
    "items",
    "items",
    "items",
    ItemListForm,
    master_data_queries.list_items,
    master_data_queries.select_items,
    files.ITEMS,
)
ALL = (INVOICES, BILLS, PAYMENTS, CONTACTS, ACCOUNTS, ITEMS)
