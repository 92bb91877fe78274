"""The addresses of Xero's pages and webhooks."""

from django.urls import path

from xero import webhooks
from xero.ageing import urls as ageing
from xero.calls import urls as calls
from xero.documents import urls as documents
from xero.ledger import urls as ledger

app_name = "xero"
urlpatterns = [
    path("webhooks/xero/", webhooks.receive, name="webhook-receive"),
    path(
        "webhooks/xero", webhooks.receive
    ),  # a redirect would lose the delivery: Xero follows none
    *ageing.urlpatterns,
    *calls.urlpatterns,
    *documents.urlpatterns,
    *ledger.urlpatterns,
]
