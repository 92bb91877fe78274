"""Child processes: started, watched, restarted when they die, and stopped with all they started."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from taskjuice.private_files import open_to_append

QUICK = 5.0  # a child that lives shorter than this did not start
GRACE = 20.0  # seconds from SIGTERM to SIGKILL
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


@dataclass
class Child:
    """A child process.

    `process` is None before its start; `quick_deaths` counts starts in a row that ended within
    QUICK seconds.
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    log: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    not_before: float = 0.0
    quick_deaths: int = 0

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open_to_append(self.log) as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own: Ctrl-C reaches the supervisor only
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, nothing that locks
            )
        self.started_at = time.monotonic()

    def died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def note_death(self) -> None:
        """Wait longer before each start that follows a quick death."""
        quick = time.monotonic() - self.started_at < QUICK
        self.quick_deaths = self.quick_deaths + 1 if quick else 0
        self.not_before = time.monotonic() + min(
            10.0, 0.25 * 2**self.quick_deaths if quick else 0.0
        )
        self.kill_group(signal.SIGKILL)  # whatever the dead one left behind

    def kill_group(self, number: signal.Signals) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def tail(self, lines: int = 15) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


@dataclass
class Supervisor:
    """The child processes.

    Call `watch` a few times a second from the thread that started them: they die with that thread.
    """

    tell: Callable[[str], None]
    children: list[Child] = field(default_factory=list)

    def add(self, child: Child) -> None:
        child.start()
        self.children.append(child)

    def watch(self) -> None:
        for child in self.children:
            if child.died():
                self._bury(child)
            if child.process is None and time.monotonic() >= child.not_before:
                child.start()

    def _bury(self, child: Child) -> None:
        assert child.process is not None
        self.tell(f"{child.name} ended ({_reason(child.process.returncode)}); it is started again")
        child.note_death()
        child.process = None

    @property
    def hopeless(self) -> Child | None:
        """Return a child that cannot be started at all."""
        return next((child for child in self.children if child.quick_deaths >= 5), None)

    def stop(self) -> None:
        """End all children, the last started first.

        One that does not end in time is killed with its whole group.
        """
        alive = [child for child in reversed(self.children) if child.process is not None]
        for child in alive:
            child.kill_group(signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for child in alive:
            assert child.process is not None
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.1, deadline - time.monotonic()))
            child.kill_group(signal.SIGKILL)
            child.process.wait()
        self.children.clear()


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _die_with_parent() -> None:
    """Ask Linux, in the child, for SIGTERM when the supervisor dies, however it dies."""
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
