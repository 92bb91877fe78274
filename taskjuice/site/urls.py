from django.conf import settings
from django.urls import path

from taskjuice.site import metrics, views, xero_proof

app_name = "site"

urlpatterns = [
    path("", views.home, name="home"),
    path("places/", views.places, name="places"),
    path("accounts/reauthenticate/xero/", xero_proof.xero_proof, name="xero-proof"),
    path("accounts/reauthenticate/xero/done/", xero_proof.xero_proof_done, name="xero-proof-done"),
    path("metrics", metrics.no_metrics, name="metrics"),
    path("theme/", views.theme, name="theme"),
    *([path("design/", views.design, name="design")] if settings.DEBUG else []),
    path("<slug:agency>/clients/", views.client_list, name="client-list"),
    # Last in the project's list, since these match much.
    path("<slug:agency>/", views.agency_home, name="agency-home"),
    path("<slug:agency>/<slug:workspace>/", views.workspace_home, name="workspace-home"),
]
