from django.apps import AppConfig


class QueueConfig(AppConfig):
    name = "taskjuice.queue"
    label = "queue"
