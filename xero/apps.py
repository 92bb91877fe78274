from django.apps import AppConfig


class XeroConfig(AppConfig):
    name = "xero"

    def ready(self) -> None:
        from xero import registration  # the registry needs loaded models

        registration.register()
