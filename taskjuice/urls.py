"""All URLs of the product."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("accounts/", include("allauth.urls")),
    path("", include("xero.urls")),
    path("", include("connections.urls")),
    path("", include("workflows.urls")),
    path("", include("taskjuice.notifications.urls")),
    path("", include("taskjuice.workspaces.urls")),
    path("", include("taskjuice.site.urls")),  # last: `<agency>/<workspace>/` matches much
]

handler500 = "taskjuice.site.views.server_error"
