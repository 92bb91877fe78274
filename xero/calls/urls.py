"""The pages of writes to Xero. A call's address is also what an invoice in Xero links back to."""

from django.urls import path

from xero.calls import views

AGENCY = "<slug:agency>/calls/"
PLACE = "<slug:agency>/<slug:workspace>/calls/"
ONE = f"{PLACE}<uuid:call>/"

urlpatterns = [
    path(AGENCY, views.call_list, name="call-list"),
    path(PLACE, views.call_list, name="call-list"),
    path(ONE, views.call_detail, name="call-detail"),
    path(f"{ONE}there/", views.call_there, name="call-there"),
    path(f"{ONE}again/", views.call_again, name="call-again"),
    path(f"{ONE}abandon/", views.call_abandon, name="call-abandon"),
]
