from django.apps import AppConfig


class QueueConfig(AppConfig):
    name = "taskjuice.queue"
    label = "queue"

    def ready(self) -> None:
        from taskjuice.queue import checks  # noqa: F401 - registers itself
