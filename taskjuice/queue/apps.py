from django.apps import AppConfig


class QueueConfig(AppConfig):
    name = "taskjuice.queue"
    label = "queue"

    def ready(self) -> None:
        from taskjuice.queue import checks, invariants, pruning, sweeping  # checks registers itself  # noqa: F401

        invariants.register()
        sweeping.add("pruning", seconds=86_400, run=pruning.ask)
