"""Addresses of the ledger's pages; part of xero/urls.py."""

from django.urls import path

from xero.ledger import views
from xero.ledger.queries import BILL, SALE

HERE = "<slug:agency>/<slug:workspace>"

urlpatterns = [
    path(f"{HERE}/invoices/", views.document_list, {"type": SALE}, name="invoice-list"),
    path(f"{HERE}/invoices/export/", views.document_export, {"type": SALE}, name="invoice-export"),
    path(f"{HERE}/invoices/<uuid:document>/", views.document_detail, {"type": SALE}, name="invoice-detail"),
    path(f"{HERE}/bills/", views.document_list, {"type": BILL}, name="bill-list"),
    path(f"{HERE}/bills/export/", views.document_export, {"type": BILL}, name="bill-export"),
    path(f"{HERE}/bills/<uuid:document>/", views.document_detail, {"type": BILL}, name="bill-detail"),
    path(f"{HERE}/contacts/", views.contact_list, name="contact-list"),
    path(f"{HERE}/contacts/export/", views.contact_export, name="contact-export"),
    path(f"{HERE}/contacts/<uuid:contact>/", views.contact_detail, name="contact-detail"),
    path(f"{HERE}/payments/", views.payment_list, name="payment-list"),
    path(f"{HERE}/payments/export/", views.payment_export, name="payment-export"),
    path(f"{HERE}/payments/<uuid:payment>/", views.payment_detail, name="payment-detail"),
    path(f"{HERE}/accounts/", views.account_list, name="account-list"),
    path(f"{HERE}/accounts/export/", views.account_export, name="account-export"),
    path(f"{HERE}/accounts/<uuid:account>/", views.account_detail, name="account-detail"),
    path(f"{HERE}/items/", views.item_list, name="item-list"),
    path(f"{HERE}/items/export/", views.item_export, name="item-export"),
    path(f"{HERE}/items/<uuid:item>/", views.item_detail, name="item-detail"),
    path(f"{HERE}/ledger/<int:connection>/refresh/", views.ledger_refresh, name="ledger-refresh"),
    path(f"{HERE}/ledger/<int:connection>/freshness/", views.ledger_freshness, name="ledger-freshness"),
]
