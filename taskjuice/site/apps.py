from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "taskjuice.site"
    label = "site"
