"""A database as `migrate` leaves it, and real worker processes over it that connect as the node's
role.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.db import connections

from tests import environment
from tests.environment import ROOT
from tests.migrated_database import NODE, OWNER, ensure_template, url_of

NAME = "fresh_{}"


@contextmanager
def fresh_database() -> Iterator[dict[str, str]]:
    """Migrated and otherwise untouched; Django's own connection leads there meanwhile, as a
    superuser.

    Gives the environment of web and worker.
    """
    database = connections["default"]
    settings = database.settings_dict
    name, before = NAME.format(os.getpid()), settings["NAME"]
    template = ensure_template(environment.POSTGRES.parent)
    with psycopg.connect(url_of("postgres"), autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}")
    database.close()
    settings["NAME"] = name
    try:
        yield os.environ | {"DATABASE_URL": url_of(name, NODE), "DEBUG": "false"}
    finally:
        connections.close_all()
        settings["NAME"] = before
        with psycopg.connect(url_of("postgres"), autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def worker(variables: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `manage.py worker`, and end it with all it started."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "worker"],
            cwd=ROOT,
            env=dict(variables),
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
