from django.apps import AppConfig

from taskjuice.queue import sweeping


class ConnectionsConfig(AppConfig):
    name = "connections"

    def ready(self) -> None:
        from connections import inbox  # needs loaded models

        sweeping.add("waiting deliveries", seconds=2, run=inbox.rewake_waiting)
