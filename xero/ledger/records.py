"""Queries for the page of one record: the record itself, and the records that belong to it."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from xero.models import Account, Contact, Invoice, Item, Payment

DOCUMENTS_OF_CONTACT = 20
LedgerRecord = TypeVar("LedgerRecord", Invoice, Contact, Payment, Account, Item)


def find_record(
    model: type[LedgerRecord], workspace: Workspace, xero_id: UUID
) -> LedgerRecord | None:
    rows = model.objects.select_related("connection__ledger", "connection__workspace__agency")
    return rows.filter(workspace=workspace, xero_id=xero_id).first()


def list_payments(invoice: Invoice) -> "list[Payment]":
    rows = Payment.objects.filter(connection=invoice.connection_id, invoice_xero_id=invoice.xero_id)
    return list(rows.exclude(status="DELETED").defer("body").order_by("date", "id"))


def find_merged_contact(contact: Contact) -> Contact | None:
    """Return the contact that this one was merged into at Xero, if the local copy has it."""
    if contact.record.merged_into is None:
        return None
    rows = Contact.objects.filter(
        connection=contact.connection_id, xero_id=contact.record.merged_into
    )
    return rows.defer("body").first()


def list_documents(contact: Contact) -> "list[Invoice]":
    rows = Invoice.objects.filter(connection=contact.connection_id, contact_xero_id=contact.xero_id)
    return list(rows.defer("body").order_by("-date", "-id")[:DOCUMENTS_OF_CONTACT])


def sum_taxes(invoice: Invoice) -> "list[tuple[str, Decimal]]":
    """Return the tax per tax type, added up from the lines as Xero rounded them."""
    taxes: dict[str, Decimal] = {}
    for line in invoice.record.lines:
        if line.tax_type:
            tax = line.tax_amount or Decimal(0)
            taxes[line.tax_type] = taxes.get(line.tax_type, Decimal(0)) + tax
    return sorted(taxes.items())


def find_account(payment: Payment) -> Account | None:
    if payment.account_xero_id is None:
        return None
    return Account.objects.filter(
        connection=payment.connection_id, xero_id=payment.account_xero_id
    ).first()


def find_invoice(payment: Payment) -> Invoice | None:
    if payment.invoice_xero_id is None:
        return None
    rows = Invoice.objects.filter(connection=payment.connection_id, xero_id=payment.invoice_xero_id)
    return rows.defer("body").first()


def read_account_names(connection: Connection, codes: Iterable[str]) -> dict[str, str]:
    """Return the names of the accounts by code."""
    # A line without an account must not get the name of an account that has no code.
    accounts = Account.objects.filter(connection=connection, code__in=set(codes) - {""})
    return dict(accounts.values_list("code", "name"))
