import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from taskjuice.queue import heartbeat
from taskjuice.queue.worker import WorkerNode


class Command(BaseCommand):
    help = (
        "Runs one worker node: the task cluster, the sweeper and the watchdog. SIGTERM drains it."
    )
    requires_system_checks = "__all__"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--is-alive",
            action="store_true",
            help="start none; fail unless a node of this machine or container gave a sign of life"
            " lately",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        if not options["is_alive"]:
            sys.exit(WorkerNode().run())
        if not heartbeat.has_live_worker_here():
            raise CommandError(
                "No worker node of this machine gave a sign of life in the last 30 seconds."
            )
