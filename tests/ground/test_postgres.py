"""The embedded PostgreSQL: starts where it is asked to, is found again, and goes when told, clients
or not.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from taskjuice import postgres
from tests.environment import ROOT

pytestmark = pytest.mark.processes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "postgres"


def started_elsewhere(folder: Path) -> str:
    """By another process: one process starts the server over a folder only once."""
    code = "import sys; from taskjuice import postgres; from pathlib import Path;"
    code += "print(postgres.ensure_running(Path(sys.argv[1]), 'one'))"
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_server_is_found_again_and_stops_with_clients_connected(folder: Path) -> None:
    url = postgres.ensure_running(folder, "one")
    try:
        client = psycopg.connect(url)
        client.execute("CREATE TABLE kept (id int)")
        client.commit()
        assert postgres.ensure_running(folder, "one") == url
    finally:
        postgres.stop_server(folder)

    with pytest.raises(psycopg.OperationalError):
        client.execute("SELECT 1")
    client.close()
    assert not (folder / "postmaster.pid").exists()

    with psycopg.connect(started_elsewhere(folder)) as again:
        assert again.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    postgres.stop_server(folder)


def test_path_too_long_for_a_private_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="too long a path"):
        postgres.ensure_running(tmp_path / ("long" * 30) / "postgres", "one")
    assert not (tmp_path / ("long" * 30)).exists()


def test_socket_is_where_nobody_else_may_enter(folder: Path) -> None:
    url = postgres.ensure_running(folder, "one")
    try:
        assert f"host={quote(str(folder), safe='')}&" in url
        assert folder.stat().st_mode & 0o077 == 0
    finally:
        postgres.stop_server(folder)


def test_pid_of_another_program_is_not_taken_for_the_server(folder: Path) -> None:
    url = postgres.ensure_running(folder, "one")
    left_behind = (folder / "postmaster.pid").read_text().splitlines()
    postgres.stop_server(folder)
    left_behind[0] = str(os.getpid())
    (folder / "postmaster.pid").write_text("\n".join(left_behind) + "\n")

    postgres.stop_server(folder)  # does not end this test run

    assert postgres._find_server(folder) is None
    assert url.startswith("postgres://")
    shutil.rmtree(folder)


@pytest.fixture
def zombie(tmp_path: Path) -> Iterator[int]:
    """A postmaster that was killed and that nobody has taken note of, as in a container without an
    init.
    """
    program = tmp_path / "postgres-zombie"
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([program, "60"]) as child:
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        yield child.pid


def test_zombie_is_no_server(folder: Path, zombie: int) -> None:
    url = postgres.ensure_running(folder, "one")
    left_behind = (folder / "postmaster.pid").read_text().splitlines()
    postgres.stop_server(folder)
    left_behind[0] = str(zombie)
    (folder / "postmaster.pid").write_text("\n".join(left_behind) + "\n")

    began = time.monotonic()
    postgres.stop_server(folder)
    assert time.monotonic() - began < 5  # it does not wait for the dead to end
    assert started_elsewhere(folder).split("?")[0] == url.split("?")[0]
    postgres.stop_server(folder)
