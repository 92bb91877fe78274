import sys
from typing import Any

from django.core.management.base import BaseCommand

from taskjuice.queue.worker import Node


class Command(BaseCommand):
    help = "Runs one worker node: the task cluster, the sweeper and the watchdog. SIGTERM drains it."
    requires_system_checks = "__all__"

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(Node().run())
