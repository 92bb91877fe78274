"""Pages of connections. One name serves an agency and one of its workspaces alike."""

from django.urls import path

from connections import consent_views, delivery_views, views

app_name = "connections"

AGENCY = "<slug:agency>/connections/"
PLACE = "<slug:agency>/<slug:workspace>/connections/"
ONE = f"{PLACE}<int:connection>/"

urlpatterns = [
    path("connections/<slug:provider>/callback/", consent_views.consent_callback, name="consent-callback"),
    path("<slug:agency>/deliveries/", delivery_views.delivery_list, name="delivery-list"),
    path("<slug:agency>/<slug:workspace>/deliveries/", delivery_views.delivery_list, name="delivery-list"),
    path("<slug:agency>/deliveries/<int:delivery>/", delivery_views.delivery_detail, name="delivery-detail"),
    path(
        "<slug:agency>/<slug:workspace>/deliveries/<int:delivery>/",
        delivery_views.delivery_detail,
        name="delivery-detail",
    ),
    path(
        "<slug:agency>/deliveries/<int:delivery>/replay/",
        delivery_views.delivery_replay,
        name="delivery-replay",
    ),
    path(
        "<slug:agency>/<slug:workspace>/deliveries/<int:delivery>/replay/",
        delivery_views.delivery_replay,
        name="delivery-replay",
    ),
    path(AGENCY, views.connection_list, name="connection-list"),
    path(PLACE, views.connection_list, name="connection-list"),
    path(f"{AGENCY}new/", consent_views.connection_new, name="connection-new"),
    path(f"{PLACE}new/", consent_views.connection_new, name="connection-new"),
    path(f"{AGENCY}webhooks/", views.webhook_panel, name="webhook-panel"),
    path(f"{PLACE}webhooks/", views.webhook_panel, name="webhook-panel"),
    path(f"{AGENCY}<slug:provider>/connect/", consent_views.consent_start, name="consent-start"),
    path(f"{PLACE}<slug:provider>/connect/", consent_views.consent_start, name="consent-start"),
    path(f"{PLACE}choose/<int:consent>/", consent_views.consent_choose, name="consent-choose"),
    path(f"{PLACE}choose/<int:consent>/cancel/", consent_views.consent_cancel, name="consent-cancel"),
    path(ONE, views.connection_detail, name="connection-detail"),
    path(f"{ONE}test/", views.connection_test, name="connection-test"),
    path(f"{ONE}pause/", views.connection_pause, name="connection-pause"),
    path(f"{ONE}resume/", views.connection_resume, name="connection-resume"),
    path(f"{ONE}reconnect/", consent_views.connection_reconnect, name="connection-reconnect"),
    path(f"{ONE}disconnect/", views.connection_disconnect, name="connection-disconnect"),
]
