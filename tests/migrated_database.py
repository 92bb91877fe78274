"""A database made by `migrate` and `grant_node_role` alone, kept as PostgreSQL's template for all
test databases.

Migrating takes some ten seconds; copying the template takes a fraction of one. Its name carries a
digest of all migrations, so it is made anew when one of them changes. As docs/deploy.md has it, one
role owns and migrates it, is no superuser and nobody's member; another one is granted what web and
worker need.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL
from urllib.parse import quote

from django.apps import apps
from django.db import connections
from django.db.backends.utils import CursorWrapper

from tests.environment import ROOT

PREFIX = "migrated_"
OWNER, NODE = "tests_owner", "tests_node"
# Roles are the server's, and runs of other checkouts may be making the same ones.
MAKE_ROLE = """
DO $$ BEGIN CREATE ROLE {0} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
"""


def ensure_template(folder: Path) -> str:
    """Make the template unless it is there, one process at a time, and return its name."""
    name = PREFIX + digest_of_migrations()
    with one_process_at_a_time(folder / "template.lock"), _maintenance_cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [PREFIX])
        names = {row[0] for row in cursor.fetchall()}
        if name not in names:
            _make(cursor, name, obsolete=names)
    return name


@contextmanager
def one_process_at_a_time(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(cursor: CursorWrapper, name: str, *, obsolete: set[str]) -> None:
    for other in obsolete:
        cursor.execute(f'DROP DATABASE IF EXISTS "{other}" WITH (FORCE)')
    unfinished = f"{PREFIX}unfinished"
    for role in (OWNER, NODE):
        cursor.execute(MAKE_ROLE.format(role))
    cursor.execute(f'CREATE DATABASE "{unfinished}" OWNER {OWNER}')
    environment = os.environ | {"DATABASE_URL": url_of(unfinished, OWNER)}
    for command in (["migrate", "--verbosity", "0"], ["grant_node_role", NODE]):
        subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=environment,
            check=True,
            stdout=DEVNULL,
        )
    cursor.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')


@contextmanager
def _maintenance_cursor() -> Iterator[CursorWrapper]:
    """A cursor outside any test database and any transaction."""
    with connections["default"]._nodb_cursor() as cursor:  # as Django makes its test databases
        yield cursor


def url_of(name: str, role: str = "") -> str:
    """Return the URL of a database of the tests' server, for this role or for the one that runs the
    tests.
    """
    server = connections["default"].get_connection_params()
    host = quote(server["host"], safe="")
    return f"postgres://{role or server['user']}:@/{name}?host={host}&port={server['port']}"


def digest_of_migrations(*more: Path) -> str:
    """Return a digest of all migrations of the project and its libraries, and of `more` files."""
    digest = hashlib.sha256()
    for config in sorted(apps.get_app_configs(), key=lambda config: config.label):
        for path in sorted(Path(config.path, "migrations").glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    for path in sorted(more):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
