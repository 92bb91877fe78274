from django.conf import settings
from django.urls import path

from taskjuice.site import metrics, views

app_name = "site"

urlpatterns = [
    path("", views.home, name="home"),
    path("places/", views.places, name="places"),
    path("metrics", metrics.metrics, name="metrics"),
    path("theme/", views.theme, name="theme"),
    *([path("design/", views.design, name="design")] if settings.DEBUG else []),
    path("<slug:agency>/clients/", views.client_list, name="client-list"),
    # Last in the project's list, since these match much.
    path("<slug:agency>/", views.agency_home, name="agency-home"),
    path("<slug:agency>/<slug:workspace>/", views.workspace_home, name="workspace-home"),
]
