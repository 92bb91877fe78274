"""A database made by `migrate` alone, kept as PostgreSQL's template for each worker's test database.

Migrating takes some ten seconds; copying the template takes a fraction of one. Its name carries a digest of all
migrations, so it is made anew when one of them changes.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.backends.utils import CursorWrapper

from tests.environment import ROOT

PREFIX = "migrated_"


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
    cursor.execute(f'CREATE DATABASE "{unfinished}"')
    url = urlsplit(settings.DATABASE_URL)._replace(path=f"/{unfinished}")
    environment = os.environ | {"DATABASE_URL": urlunsplit(url)}
    command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    cursor.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')


@contextmanager
def _maintenance_cursor() -> Iterator[CursorWrapper]:
    """A cursor outside any test database and any transaction."""
    with connections["default"]._nodb_cursor() as cursor:  # as Django makes its test databases
        yield cursor


def digest_of_migrations(*more: Path) -> str:
    """Return a digest of all migrations of the project and its libraries, and of `more` files."""
    digest = hashlib.sha256()
    for config in sorted(apps.get_app_configs(), key=lambda config: config.label):
        for path in sorted(Path(config.path, "migrations").glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    for path in sorted(more):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
