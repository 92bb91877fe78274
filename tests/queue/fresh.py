"""A database made by `migrate` alone, and real worker processes over it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from django.db import connections

ROOT = Path(__file__).resolve().parents[2]
NAME = "fresh_{}"


@contextmanager
def fresh_database() -> Iterator[dict[str, str]]:
    """Migrated and otherwise untouched; Django's own connection leads there meanwhile. Gives its environment."""
    database = connections["default"]
    settings = database.settings_dict
    name, before = NAME.format(os.getpid()), settings["NAME"]
    with psycopg.connect(_url("postgres"), autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {name}")
    environment = os.environ | {"DATABASE_URL": _url(name), "DEBUG": "false"}
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--noinput", "-v0"], cwd=ROOT, env=environment, check=True
    )
    database.close()
    settings["NAME"] = name
    try:
        yield environment
    finally:
        connections.close_all()
        settings["NAME"] = before
        with psycopg.connect(_url("postgres"), autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def worker(environment: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`manage.py worker`, ended with all it started."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "worker"],
            cwd=ROOT,
            env=dict(environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _url(name: str) -> str:
    found = connections["default"].get_connection_params()
    return f"postgres://{found['user']}:@/{name}?host={quote(found['host'], safe='')}&port={found['port']}"
