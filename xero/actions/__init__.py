"""The actions that steps and pages run at Xero, each one definition: key, form and run."""

from xero.actions.contacts import CreateContact
from xero.actions.invoices import CreateInvoice
from xero.actions.payments import CreatePayment
from xero.actions.reading import (
    GetContact,
    GetInvoice,
    ListAccounts,
    ListContacts,
    ListInvoices,
    ListItems,
)

__all__ = [
    "CreateContact",
    "CreateInvoice",
    "CreatePayment",
    "GetContact",
    "GetInvoice",
    "ListAccounts",
    "ListContacts",
    "ListInvoices",
    "ListItems",
]
