"""URLs of connections. One name serves an agency and one of its workspaces alike."""

from django.urls import path

from connections import views
from connections.links import desk_views, visitor_views
from connections.oauth import grant_views
from connections.oauth import views as oauth_views
from connections.secrets import views as secret_views
from connections.webhooks import views as delivery_views

app_name = "connections"

AGENCY = "<slug:agency>/connections/"
PLACE = "<slug:agency>/<slug:workspace>/connections/"
ONE = f"{PLACE}<int:connection>/"
LINK = f"{PLACE}links/<int:link>/"

urlpatterns = [
    path(
        "connections/<slug:provider>/callback/",
        oauth_views.consent_callback,
        name="consent-callback",
    ),
    path("link/<str:token>/", visitor_views.link_page, name="link"),
    path("link/<str:token>/start/", visitor_views.link_start, name="link-start"),
    path("link/<str:token>/decline/", visitor_views.link_decline, name="link-decline"),
    path("link/choose/<int:consent>/", visitor_views.link_choose, name="link-choose"),
    path("link/choose/<int:consent>/cancel/", visitor_views.link_cancel, name="link-cancel"),
    path("link/again/<int:consent>/", visitor_views.link_again, name="link-again"),
    path("link/done/<int:consent>/", visitor_views.link_done, name="link-done"),
    path("<slug:agency>/deliveries/", delivery_views.delivery_list, name="delivery-list"),
    path(
        "<slug:agency>/<slug:workspace>/deliveries/",
        delivery_views.delivery_list,
        name="delivery-list",
    ),
    *(
        route
        for place in ("<slug:agency>/deliveries/", "<slug:agency>/<slug:workspace>/deliveries/")
        for route in (
            path(
                f"{place}replay/",
                delivery_views.delivery_replay_window,
                name="delivery-replay-window",
            ),
            path(f"{place}catch-up/", delivery_views.delivery_catch_up, name="delivery-catch-up"),
        )
    ),
    path(
        "<slug:agency>/deliveries/<int:delivery>/",
        delivery_views.delivery_detail,
        name="delivery-detail",
    ),
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
    path("<slug:agency>/settings/secrets/", secret_views.secret_list, name="secret-list"),
    path("<slug:agency>/settings/secrets/add/", secret_views.secret_add, name="secret-add"),
    path(
        "<slug:agency>/settings/secrets/<int:secret>/replace/",
        secret_views.secret_replace,
        name="secret-replace",
    ),
    path(
        "<slug:agency>/settings/secrets/<int:secret>/delete/",
        secret_views.secret_delete,
        name="secret-delete",
    ),
    path(AGENCY, views.connection_list, name="connection-list"),
    path(PLACE, views.connection_list, name="connection-list"),
    path(f"{AGENCY}new/", oauth_views.connection_new, name="connection-new"),
    path(f"{PLACE}new/", oauth_views.connection_new, name="connection-new"),
    path(f"{AGENCY}webhooks/", views.webhook_panel, name="webhook-panel"),
    path(f"{PLACE}webhooks/", views.webhook_panel, name="webhook-panel"),
    path(f"{AGENCY}grants/", grant_views.grant_list, name="grant-list"),
    path(
        f"{AGENCY}grants/<int:grant>/hand-over/",
        grant_views.grant_hand_over,
        name="grant-hand-over",
    ),
    path(f"{AGENCY}links/", desk_views.link_list, name="link-list"),
    path(f"{PLACE}links/", desk_views.link_list, name="link-list"),
    path(f"{AGENCY}links/new/", desk_views.link_new, name="link-new"),
    path(f"{PLACE}links/new/", desk_views.link_new, name="link-new"),
    path(f"{AGENCY}links/bulk/", desk_views.link_bulk, name="link-bulk"),
    path(f"{PLACE}links/bulk/", desk_views.link_bulk, name="link-bulk"),
    path(LINK, desk_views.link_detail, name="link-detail"),
    path(f"{LINK}remind/", desk_views.link_remind, name="link-remind"),
    path(f"{LINK}copy/", desk_views.link_copy, name="link-copy"),
    path(f"{LINK}revoke/", desk_views.link_revoke, name="link-revoke"),
    path(f"{AGENCY}<slug:provider>/connect/", oauth_views.consent_start, name="consent-start"),
    path(f"{PLACE}<slug:provider>/connect/", oauth_views.consent_start, name="consent-start"),
    path(f"{PLACE}choose/<int:consent>/", oauth_views.consent_choose, name="consent-choose"),
    path(f"{PLACE}choose/<int:consent>/cancel/", oauth_views.consent_cancel, name="consent-cancel"),
    path(ONE, views.connection_detail, name="connection-detail"),
    path(f"{ONE}test/", views.connection_test, name="connection-test"),
    path(f"{ONE}pause/", views.connection_pause, name="connection-pause"),
    path(f"{ONE}resume/", views.connection_resume, name="connection-resume"),
    path(f"{ONE}reconnect/", oauth_views.connection_reconnect, name="connection-reconnect"),
    path(f"{ONE}disconnect/", views.connection_disconnect, name="connection-disconnect"),
]
