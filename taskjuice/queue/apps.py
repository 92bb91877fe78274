from django.apps import AppConfig


class QueueConfig(AppConfig):
    name = "taskjuice.queue"
    label = "queue"

    def ready(self) -> None:
        from taskjuice.queue import (
            checks,  # registers itself  # noqa: F401
            heartbeat,
            invariants,
            key_rotation,
            pruning,
            sweeping,
        )

        heartbeat.report_keys("SECRET_KEY", key_rotation.list_secret_key_ids)
        invariants.register_checks()
        sweeping.add_sweep("pruning", seconds=86_400, run=pruning.request_pruning)
