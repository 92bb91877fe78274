"""URLs of the pages that write; in xero/urls.py they come before those of the ledger."""

from django.urls import path

from xero.documents import contacts, documents, payments, statuses
from xero.ledger.queries import BILL, SALE

HERE = "<slug:agency>/<slug:workspace>"

urlpatterns = [
    path(f"{HERE}/invoices/new/", documents.document_new, {"type": SALE}, name="invoice-new"),
    path(f"{HERE}/bills/new/", documents.document_new, {"type": BILL}, name="bill-new"),
    path(f"{HERE}/contacts/find/", documents.contact_find, name="contact-find"),
    path(f"{HERE}/contacts/new/", contacts.contact_new, name="contact-new"),
    path(f"{HERE}/payments/new/", payments.payment_new, name="payment-new"),
    path(
        f"{HERE}/invoices/<uuid:document>/approve/",
        statuses.document_approve,
        name="document-approve",
    ),
    path(f"{HERE}/invoices/<uuid:document>/void/", statuses.document_void, name="document-void"),
]
