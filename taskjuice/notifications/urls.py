from django.urls import path

from taskjuice.notifications import views

app_name = "notices"

urlpatterns = [
    path("me/notifications/", views.notice_wishes, name="notice-wishes"),
    path("me/notifications/stop/<str:stop>/", views.notice_stop, name="notice-stop"),
    path("<slug:agency>/notifications/", views.notice_list, name="notice-list"),
    path("<slug:agency>/notifications/read/", views.notice_read, name="notice-read"),
]
