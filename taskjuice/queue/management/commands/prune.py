from typing import Any

from django.core.management.base import BaseCommand

from taskjuice.queue import pruning


class Command(BaseCommand):
    help = "Removes history older than HISTORY_DAYS, as the worker does once a day; says how much of it."

    def handle(self, *args: Any, **options: Any) -> None:
        before = pruning.compute_cutoff()
        pruned = pruning.prune_history()
        if not pruned.counts:
            self.stdout.write("Another process is pruning just now.")
        for name, count in pruned.counts.items():
            self.stdout.write(f"{count:>10,}  {name} that ended before {before:%d %B %Y}")
