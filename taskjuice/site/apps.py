from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "taskjuice.site"
    label = "site"

    def ready(self) -> None:
        from taskjuice.site import passkeys  # not at the top: it needs allauth's models

        passkeys.refuse_unreadable_passkeys()
