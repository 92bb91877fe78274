"""Xero's own addresses."""

from django.urls import path

from xero import webhooks

app_name = "xero"
urlpatterns = [
    path("webhooks/xero/", webhooks.receive, name="webhook-receive"),
]
