"""Debian's PgBouncer with deploy/pgbouncer.ini: only addresses and files differ."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskjuice.demo.place import ROOT, free_port
from tests.survival.proxy import write_certificate

HOST = "localhost"


class Pooler:
    """A running PgBouncer and the roles that may come in by it."""

    def __init__(self, program: str, folder: Path, server_port: int) -> None:
        self.program, self.folder, self.server_port = program, folder, server_port
        self.port = free_port(0)
        self.passwords: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        write_certificate(self.folder, HOST)
        (self.folder / "pgbouncer.ini").write_text(self._fitted())
        self._write_passwords()
        for path in self.folder.iterdir():
            _give_away(path)
        # PgBouncer does not run as root.
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        with (self.folder / "log").open("ab") as log:
            command = [self.program, *user, str(self.folder / "pgbouncer.ini")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait_until_it_listens()

    def admit(self, role: str, password: str | None) -> None:
        """Let a role in, or with None no longer: `systemctl reload pgbouncer` after a change of
        userlist.txt.
        """
        if password is None:
            del self.passwords[role]
        else:
            self.passwords[role] = password
        self._write_passwords()
        if self.process is not None:
            self._signal(signal.SIGHUP)
            time.sleep(0.5)

    def pause(self) -> None:
        """Have all that is asked wait: `systemctl kill -s USR1 pgbouncer`."""
        self._signal(signal.SIGUSR1)
        time.sleep(0.2)

    def resume(self) -> None:
        self._signal(signal.SIGUSR2)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def url(self, role: str, database: str) -> str:
        options = f"sslmode=verify-full&sslrootcert={self.folder / 'cert.pem'}"
        return f"postgres://{role}:{self.passwords[role]}@{HOST}:{self.port}/{database}?{options}"

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def _fitted(self) -> str:
        """Return the shipped file with what a test has to replace; each piece must be there."""
        text = (ROOT / "deploy" / "pgbouncer.ini").read_text()
        pieces = {
            "port=5432": f"port={self.server_port}",
            "listen_addr = 10.0.0.20": "listen_addr = 127.0.0.1",
            "listen_port = 6432": f"listen_port = {self.port}",
            "/etc/pgbouncer": str(self.folder),
        }
        for old, new in pieces.items():
            assert old in text, old
            text = text.replace(old, new)
        return text

    def _write_passwords(self) -> None:
        path = self.folder / "userlist.txt"
        path.write_text(
            "".join(f'"{role}" "{password}"\n' for role, password in self.passwords.items())
        )
        path.chmod(0o600)
        _give_away(path)

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                return


def _give_away(path: Path) -> None:
    if os.getuid() == 0:
        shutil.chown(path, "nobody", "nogroup")


@contextmanager
def pooler(server_port: int) -> Iterator[Pooler]:
    """Give a PgBouncer that is not started yet, and end it. Skip where it is not installed."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if os.environ.get("TASKJUICE_REQUIRE_PGBOUNCER"):
            pytest.fail("PgBouncer is not installed (apt-get install pgbouncer)")
        pytest.skip("PgBouncer is not installed (apt-get install pgbouncer)")
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    folder.chmod(0o755)
    made = Pooler(program, folder, server_port)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)
