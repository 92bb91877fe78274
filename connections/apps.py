from django.apps import AppConfig

from taskjuice.queue import sweeping


class ConnectionsConfig(AppConfig):
    name = "connections"

    def ready(self) -> None:
        from connections import checks, consents, grants, inbox, lifecycle  # these need loaded models

        sweeping.add("waiting deliveries", seconds=2, run=inbox.rewake_waiting)
        sweeping.add("idle grants", seconds=3600, run=grants.refresh_idle)
        sweeping.add("ended connections", seconds=60, run=lifecycle.finish_disconnects)
        sweeping.add("unchosen consents", seconds=300, run=consents.clear_away)
        checks.register()
