"""Debian's PgBouncer in transaction mode before a test's PostgreSQL."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskjuice.demo.place import free_port
from tests.database.relay import Relay, server_of

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 5
max_client_conn = 200
server_tls_sslmode = disable
"""


@contextmanager
def pooled(database_url: str) -> Iterator[str]:
    """The address of the same database behind PgBouncer. Skips where PgBouncer is not installed."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if os.environ.get("TASKJUICE_REQUIRE_PGBOUNCER"):
            pytest.fail("PgBouncer is not installed (apt-get install pgbouncer)")
        pytest.skip("PgBouncer is not installed (apt-get install pgbouncer)")
    port = free_port(0)
    # PgBouncer does not run as root, and another user may not enter the folder of PostgreSQL's
    # socket.
    who = ["-u", "nobody"] if getpass.getuser() == "root" else []
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    folder.chmod(0o755)
    with Relay(server_of(database_url)) as relay:
        (folder / "pgbouncer.ini").write_text(CONFIGURATION.format(server=relay.port, port=port))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, *who, str(folder / "pgbouncer.ini")], stdout=log, stderr=log
            )
        try:
            _wait_for(port, process, folder / "log")
            yield relay.url(database_url).replace(f":{relay.port}/", f":{port}/")
        finally:
            process.terminate()
            process.wait(10)
            shutil.rmtree(folder)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return
