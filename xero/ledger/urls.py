"""URLs of the ledger's pages; part of xero/urls.py."""

from django.urls import URLPattern, path

from xero.ledger import pages, views
from xero.ledger.queries import BILL, SALE

HERE = "<slug:agency>/<slug:workspace>"


def _list_routes(page: pages.ListPage) -> list[URLPattern]:
    """Return the routes of a list and its export, such as invoice-list and invoice-export."""
    name = page.noun.removesuffix("s")
    return [
        path(f"{HERE}/{page.noun}/", views.record_list, {"page": page}, name=f"{name}-list"),
        path(
            f"{HERE}/{page.noun}/export/",
            views.record_export,
            {"page": page},
            name=f"{name}-export",
        ),
    ]


urlpatterns = [
    *(pattern for page in pages.ALL for pattern in _list_routes(page)),
    path(
        f"{HERE}/invoices/<uuid:document>/",
        views.document_detail,
        {"type": SALE},
        name="invoice-detail",
    ),
    path(
        f"{HERE}/bills/<uuid:document>/", views.document_detail, {"type": BILL}, name="bill-detail"
    ),
    path(f"{HERE}/contacts/<uuid:contact>/", views.contact_detail, name="contact-detail"),
    path(f"{HERE}/payments/<uuid:payment>/", views.payment_detail, name="payment-detail"),
    path(f"{HERE}/accounts/<uuid:account>/", views.account_detail, name="account-detail"),
    path(f"{HERE}/items/<uuid:item>/", views.item_detail, name="item-detail"),
    path(f"{HERE}/ledger/<int:connection>/refresh/", views.ledger_refresh, name="ledger-refresh"),
    path(
        f"{HERE}/ledger/<int:connection>/freshness/",
        views.ledger_freshness,
        name="ledger-freshness",
    ),
]
