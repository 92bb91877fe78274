"""Encrypt all stored tokens anew with the first of TOKEN_KEYS."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from connections import checks, rotation, vault


class Command(BaseCommand):
    help = (
        "Encrypt all stored tokens anew with the first of TOKEN_KEYS. It may be stopped and started again, and run"
        " while workers refresh tokens. With --check: say which keys are still needed, change nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail while an old key is still needed")
        parser.add_argument("--batch", type=int, default=100, help="secrets per transaction")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["check"]:
            self._check()
            return
        done = rotation.rotate(batch=max(1, options["batch"]))
        self.stdout.write(f"{done} secrets encrypted anew with key {vault.current_key_id()}.")
        self._check()

    def _check(self) -> None:
        uses = checks.uses()
        for key in dict.fromkeys([*vault.key_ids(), *uses]):
            known = "" if key in vault.key_ids() else ", which TOKEN_KEYS does not hold"
            self.stdout.write(f"key {key or '(not noted)'}{known}: {uses.get(key, 0)} secrets")
        old = {key: count for key, count in uses.items() if key != vault.current_key_id() and count}
        if old:
            raise CommandError(f"{sum(old.values())} secrets still need an older key; keep it in TOKEN_KEYS.")
        self.stdout.write("Only the first key is needed; the others may go.")
