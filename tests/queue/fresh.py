"""A database made by `migrate` alone, and real worker processes over it, with two roles as docs/deploy.md has it.

One owns the database and migrates it, is no superuser and nobody's member; processes connect as the other one.
"""

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
OWNER, NODE = "fresh_owner", "fresh_node"
# As in docs/deploy.md. Roles are the server's, and other tests' processes may be making the same ones.
MAKE_ROLE = """
DO $$ BEGIN CREATE ROLE {0} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
"""


@contextmanager
def fresh_database() -> Iterator[dict[str, str]]:
    """Migrated and otherwise untouched; Django's own connection leads there meanwhile, as a superuser.

    Gives the environment of web and worker.
    """
    database = connections["default"]
    settings = database.settings_dict
    name, before = NAME.format(os.getpid()), settings["NAME"]
    with psycopg.connect(_url("postgres"), autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        for role in (OWNER, NODE):
            server.execute(MAKE_ROLE.format(role))
        server.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
    environment = os.environ | {"DATABASE_URL": _url(name, OWNER), "DEBUG": "false"}
    for command in (["migrate", "--noinput", "-v0"], ["grant_node_role", NODE]):
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=environment, check=True)
    environment["DATABASE_URL"] = _url(name, NODE)
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


def _url(name: str, role: str = "") -> str:
    found = connections["default"].get_connection_params()
    return f"postgres://{role or found['user']}:@/{name}?host={quote(found['host'], safe='')}&port={found['port']}"
