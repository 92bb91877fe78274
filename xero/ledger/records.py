"""One record of the ledger, and what belongs to it."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from xero.models import Account, Contact, Invoice, Item, Payment

DOCUMENTS_OF_CONTACT = 20
One = TypeVar("One", Invoice, Contact, Payment, Account, Item)


def one(model: type[One], workspace: Workspace, xero_id: UUID) -> One | None:
    rows = model.objects.select_related("connection__ledger", "connection__workspace__agency")
    return rows.filter(workspace=workspace, xero_id=xero_id).first()


def payments_of(invoice: Invoice) -> "list[Payment]":
    rows = Payment.objects.filter(connection=invoice.connection_id, invoice_xero_id=invoice.xero_id)
    return list(rows.exclude(status="DELETED").defer("body").order_by("date", "id"))


def merged_into(contact: Contact) -> Contact | None:
    """Return the contact that this one was merged into at Xero, once it is here."""
    if contact.record.merged_into is None:
        return None
    rows = Contact.objects.filter(
        connection=contact.connection_id, xero_id=contact.record.merged_into
    )
    return rows.defer("body").first()


def documents_of(contact: Contact) -> "list[Invoice]":
    rows = Invoice.objects.filter(connection=contact.connection_id, contact_xero_id=contact.xero_id)
    return list(rows.defer("body").order_by("-date", "-id")[:DOCUMENTS_OF_CONTACT])


def taxes_of(invoice: Invoice) -> "list[tuple[str, Decimal]]":
    """Tax per tax type, added up from the lines as Xero rounded them."""
    found: dict[str, Decimal] = {}
    for line in invoice.record.lines:
        if line.tax_type:
            found[line.tax_type] = found.get(line.tax_type, Decimal(0)) + (
                line.tax_amount or Decimal(0)
            )
    return sorted(found.items())


def account_of(payment: Payment) -> Account | None:
    if payment.account_xero_id is None:
        return None
    return Account.objects.filter(
        connection=payment.connection_id, xero_id=payment.account_xero_id
    ).first()


def invoice_of(payment: Payment) -> Invoice | None:
    if payment.invoice_xero_id is None:
        return None
    found = Invoice.objects.filter(
        connection=payment.connection_id, xero_id=payment.invoice_xero_id
    )
    return found.defer("body").first()


def account_names(connection: Connection, codes: Iterable[str]) -> dict[str, str]:
    """By code. An account without a code is nobody's whose code is empty too."""
    found = Account.objects.filter(connection=connection, code__in=set(codes) - {""})
    return dict(found.values_list("code", "name"))
