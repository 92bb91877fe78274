"""Encrypt all stored tokens again with the first of TOKEN_KEYS."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from connections.oauth import checks, encryption
from connections.oauth import key_rotation as token_rotation
from taskjuice.queue import key_rotation


class Command(BaseCommand):
    help = (
        "Encrypt all stored tokens anew with the first of TOKEN_KEYS. It may be stopped and started again, and run"
        " while workers refresh tokens. Refused while a living node does not know that key. With --check: say which"
        " keys are still needed; with --status: say which keys each node knows, of SECRET_KEY as well, and what comes"
        " next."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="fail while an old key is still needed"
        )
        parser.add_argument(
            "--status", action="store_true", help="say how far each node is and what comes next"
        )
        parser.add_argument("--batch", type=int, default=100, help="secrets per transaction")

    def handle(self, *_: Any, **options: Any) -> None:
        if options["status"]:
            self._say_status()
            return
        if options["check"]:
            self._check()
            return
        try:
            done = token_rotation.rotate_keys(batch=max(1, options["batch"]))
        except token_rotation.KeyNotOnAllNodes as error:
            raise CommandError(
                f"{error} Nothing was changed; put it at the end there first."
            ) from error
        self.stdout.write(
            f"{done} secrets encrypted anew with key {encryption.get_current_key_id()}."
        )
        self._check()

    def _check(self) -> None:
        uses = checks.count_key_uses()
        for key in dict.fromkeys([*encryption.list_key_ids(), *uses]):
            known = "" if key in encryption.list_key_ids() else ", which TOKEN_KEYS does not hold"
            self.stdout.write(f"key {key or '(not noted)'}{known}: {uses.get(key, 0)} secrets")
        old = {
            key: count
            for key, count in uses.items()
            if key != encryption.get_current_key_id() and count
        }
        if old:
            raise CommandError(
                f"{sum(old.values())} secrets still need an older key; keep it in TOKEN_KEYS."
            )
        nodes = key_rotation.list_nodes(encryption.SETTING)
        if behind := [
            node for node in nodes if node.keys[:1] != (encryption.get_current_key_id(),)
        ]:
            raise CommandError(f"Not first on every node yet: {'; '.join(map(str, behind))}.")
        self.stdout.write("Only the first key is needed; the others may go.")

    def _say_status(self) -> None:
        for setting, needed in {
            encryption.SETTING: checks.count_key_uses(),
            "SECRET_KEY": None,
        }.items():
            nodes = key_rotation.list_nodes(setting)
            self.stdout.write(f"{setting}, the first key first:")
            for node in nodes:
                self.stdout.write(f"  {node}")
            if needed is not None:
                stored = ", ".join(
                    f"{key or '(not noted)'} {count}" for key, count in sorted(needed.items())
                )
                self.stdout.write(f"  stored secrets by key: {stored or 'none'}")
            self.stdout.write(f"  next: {key_rotation.advise_next_step(nodes, needed)}")
