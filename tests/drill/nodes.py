"""Web and worker nodes as their units start them, each with its own environment file and, where
allowed, host.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

from taskjuice.demo.place import ROOT, free_port

START_SECONDS = 60.0
STOP_SECONDS = 140.0  # TimeoutStopSec of the worker's unit
# A host name and process numbers of its own: its processes can no more be looked up by others than
# another machine's.
HOST_OF_ITS_OWN = "unshare --pid --fork --kill-child --mount-proc --uts sh -c".split()


class Node:
    """A machine with one unit. `settings` is what its /etc/taskjuice.env holds.

    With `has_host` nobody else can look up its processes, as on a machine of its own.
    """

    def __init__(
        self, name: str, unit: str, folder: Path, settings: Mapping[str, str], *, has_host: bool
    ) -> None:
        self.has_host = has_host
        self.name, self.unit, self.folder = name, unit, folder / name
        self.port = free_port(0)
        self.settings = dict(settings) | {"VAR_DIR": str(self.folder)}
        self.process: subprocess.Popen[bytes] | None = None
        self.folder.mkdir(parents=True)

    @property
    def is_web(self) -> bool:
        return self.unit == "taskjuice-web"

    @property
    def environment(self) -> dict[str, str]:
        """What is in the environment of a command on that machine: the file, and nothing of who
        runs the drill.
        """
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "LANG", "TMPDIR")
            if name in os.environ
        }
        return kept | {"PYTHONUNBUFFERED": "1", "DOTENV": str(self._write_settings())}

    def start(self) -> None:
        command = self._command()
        if self.has_host:
            command = [*HOST_OF_ITS_OWN, f"hostname {self.name} && exec {shlex.join(command)}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Do `systemctl stop`: SIGTERM to the main process."""
        if self.process is not None:
            with suppress(psutil.NoSuchProcess):
                self._main().send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            finally:
                self.kill()

    def kill(self) -> None:
        """End all its processes at once, as the loss of the machine does."""
        if self.process is None:
            return
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.process.pid)
            if self.has_host:
                root.kill()  # and with it, at once, the first process of its host, and with that all others
            for process in [*root.children(recursive=True), root]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait(10)
        self.process = None

    def command(self, *words: str, **more: str) -> str:
        """Run `manage.py …` on that machine and return what it says. Raises CalledProcessError."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = f"{done.stdout}{done.stderr}"
            raise subprocess.CalledProcessError(
                done.returncode, f"manage.py {' '.join(words)}: {said}"
            )
        return done.stdout

    def name_pattern(self) -> str:
        """Return a LIKE pattern for the sign of life of this node's worker."""
        if self.has_host:
            return f"{self.name}-%"
        return f"%|{self.process.pid if self.process else 0}|%"

    def tail(self) -> str:
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-15:])

    def _command(self) -> list[str]:
        """Return the unit's ExecStart with what differs here: the place of the project, and the
        port.
        """
        text = (ROOT / "deploy" / f"{self.unit}.service").read_text()
        [line] = [line for line in text.splitlines() if line.startswith("ExecStart=")]
        program, *words = shlex.split(line.removeprefix("ExecStart="))
        if self.is_web:
            words = ["-m", Path(program).name, *words]
        here = {"${LISTEN}": "127.0.0.1", "8000": str(self.port)}
        return [sys.executable, *(here.get(word, word) for word in words)]

    def _main(self) -> psutil.Process:
        """Return the process that systemd would call the main one."""
        assert self.process is not None
        root = psutil.Process(self.process.pid)
        return root.children()[0] if self.has_host else root

    def _write_settings(self) -> Path:
        path = self.folder / "taskjuice.env"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))
        return path


@cache
def can_have_host() -> bool:
    """Return whether this user may give a process a host name and process numbers of its own."""
    with suppress(OSError):
        return (
            subprocess.run(
                [*HOST_OF_ITS_OWN, "hostname drill"], capture_output=True, check=False
            ).returncode
            == 0
        )
    return False


def wait_until(what: str, is_so: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(0.1)
