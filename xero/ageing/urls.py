"""URLs of receivables and payables; part of xero/urls.py.

One name serves an agency and one of its clients.
"""

from django.urls import path

from xero.ageing import views

AGENCY, CLIENT = "<slug:agency>/receivables/", "<slug:agency>/<slug:workspace>/receivables/"

urlpatterns = [
    path(AGENCY, views.receivables, name="receivables"),
    path(CLIENT, views.receivables, name="receivables"),
    path(f"{AGENCY}export/", views.receivables_export, name="receivables-export"),
    path(f"{CLIENT}export/", views.receivables_export, name="receivables-export"),
]
