from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "taskjuice.site"
    label = "site"

    def ready(self) -> None:
        from taskjuice.site import (  # not at the top: they need allauth's models
            checks,
            earlier_logins,
            passkeys,
        )

        earlier_logins.connect()
        checks.register_all()
        passkeys.refuse_unreadable_passkeys()
