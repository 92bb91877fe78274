"""URLs of the writes to Xero. An invoice in Xero links back to the page of its call."""

from django.urls import path

from xero.calls import views

AGENCY = "<slug:agency>/calls/"
CLIENT = "<slug:agency>/<slug:workspace>/calls/"
CALL = f"{CLIENT}<uuid:call>/"

urlpatterns = [
    path(AGENCY, views.call_list, name="call-list"),
    path(CLIENT, views.call_list, name="call-list"),
    path(CALL, views.call_detail, name="call-detail"),
    path(f"{CALL}there/", views.call_there, name="call-there"),
    path(f"{CALL}again/", views.call_again, name="call-again"),
    path(f"{CALL}abandon/", views.call_abandon, name="call-abandon"),
]
