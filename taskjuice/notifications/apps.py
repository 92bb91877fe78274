from django.apps import AppConfig

from taskjuice.queue import sweeping
from taskjuice.workspaces import holdings


class NotificationsConfig(AppConfig):
    name = "taskjuice.notifications"
    label = "notices"  # of tables, URLs and templates: they stay

    def ready(self) -> None:
        from taskjuice.notifications import (
            incidents,
            invariants,
            mailing,
            models,
        )  # these need loaded models

        invariants.register_checks()
        sweeping.add_sweep("incidents", seconds=15, run=incidents.look)
        sweeping.add_sweep("notices by e-mail", seconds=15, run=mailing.send_immediate)
        sweeping.add_sweep("daily digests", seconds=120, run=mailing.send_digests)
        holdings.add(models.Incident)
