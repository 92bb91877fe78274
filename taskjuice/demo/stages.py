"""The output on the terminal: one line per stage, with its time."""

import time
from dataclasses import dataclass, field
from pathlib import Path


class StageFailed(Exception):
    """A stage of the journey with a wrong result. The text says what was seen."""


@dataclass
class Stages:
    began: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)

    def done(self, text: str) -> None:
        """Print the end of a stage; its time counts from the end of the one before."""
        now = time.monotonic()
        print(
            f"  ok  {text:<58} {now - self.last:6.2f} s   at {now - self.began:6.2f} s", flush=True
        )
        self.last = now

    def note(self, text: str) -> None:
        print(f"   -  {text}", flush=True)

    def failed(self, text: str) -> None:
        print(f"FAILED  {text}", flush=True)

    def invite(self, url: str, sandbox: str, email: str, password: str, folder: Path) -> None:
        print(
            f"\n  TaskJuice   {url}\n  sign in     {email}\n  password    {password}\n"
            f"  sandbox     {sandbox}  (stands in for Xero: change an invoice there)\n"
            f"  mail, logs  {folder}\n",
            flush=True,
        )
