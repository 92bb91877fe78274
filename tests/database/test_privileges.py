"""Two roles: what the one that web and worker connect as may do, and what is kept from it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import ProgrammingError
from django.db import connection as database

from taskjuice import health
from taskjuice.database import privileges
from taskjuice.partitions import add_months
from tests.ground.test_health import ask
from tests.migrated_database import OWNER
from workflows.activations.retention import STEP_HISTORY

pytestmark = pytest.mark.django_db

ROLE = "a node-role"  # a name that has to be quoted
# What docs/deploy.md said until it was found that every activation fails with it.
TABLES_ALONE = (
    'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "a node-role"'
)


def run(statement: str) -> None:
    with database.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def role() -> str:
    run(f'CREATE ROLE "{ROLE}" LOGIN')
    return ROLE


@contextmanager
def connected_as(role: str) -> Iterator[None]:
    run(f'SET LOCAL ROLE "{role}"')
    try:
        yield
    finally:
        run("RESET ROLE")


def grant(role: str) -> str:
    out = StringIO()
    call_command("grant_node_role", role, stdout=out)
    return out.getvalue()


def readyz() -> object:
    health._list_missing.cache_clear()
    return ask("/readyz")[1]["privileges"]  # type: ignore[index]


def test_grants_on_tables_alone_are_told_by_check_and_readyz(role: str) -> None:
    run(TABLES_ALONE)
    with connected_as(role):
        assert privileges.list_missing() == ["sequence workflows_steprun_id_seq: USAGE"]
        with pytest.raises(
            SystemCheckError, match=r"queue\.E004.*sequence workflows_steprun_id_seq: USAGE"
        ):
            call_command("check", "--database", "default")
        assert readyz() is False


def test_role_without_any_right_is_told_so(role: str) -> None:
    run("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    with connected_as(role):
        missing = privileges.list_missing()
    assert "schema public: USAGE" in missing
    assert "table workspaces_auditentry: SELECT, INSERT, UPDATE, DELETE" in missing


def test_granted_role_may_do_what_nodes_do(role: str) -> None:
    assert "may do what web and worker need" in grant(role)
    grant(role)  # safe to repeat
    with connected_as(role):
        assert privileges.list_missing() == []
        call_command("check", "--database", "default")
        assert readyz() is True
        run("SELECT nextval('workflows_steprun_id_seq')")
        run("DELETE FROM queue_heartbeat")


def test_what_later_migrations_and_months_make_is_granted_too(role: str) -> None:
    grant(role)
    run(f"GRANT CREATE ON SCHEMA public TO {OWNER}")  # which the owner of a database has
    with connected_as(OWNER):
        run("CREATE TABLE later_on (id serial PRIMARY KEY)")
        made = STEP_HISTORY.make_ahead(add_months(max(STEP_HISTORY.list_ends().values()), 1))
    with connected_as(role):
        run("INSERT INTO later_on DEFAULT VALUES")
        for name in made:
            run(f"SELECT FROM {name}")
    assert made


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE workspaces_auditentry CASCADE",
        "ALTER TABLE workspaces_auditentry DISABLE TRIGGER ALL",
        "DROP TRIGGER audit_immutable ON workspaces_auditentry",
        "SET LOCAL session_replication_role = replica",
        (
            "CREATE OR REPLACE FUNCTION workspaces_audit_refuse() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RETURN NEW; END $$"
        ),
        "DROP TABLE workspaces_auditentry CASCADE",
    ],
)
def test_granted_role_cannot_lift_the_audit_trail(role: str, statement: str) -> None:
    run(f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{role}"')  # somebody meant it well
    grant(role)
    run(f'SET LOCAL ROLE "{role}"')
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        run(statement)


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        ("SELECT", "There is no role somebody: have a superuser CREATE ROLE"),
        ("CREATE ROLE somebody SUPERUSER", "somebody is a superuser"),
        (f"CREATE ROLE somebody IN ROLE {OWNER}", "or may become it: use another role"),
    ],
    ids=["absent", "superuser", "member of the owner"],
)
def test_role_from_which_nothing_can_be_kept_is_refused(prepare: str, why: str) -> None:
    run(prepare)
    with pytest.raises(CommandError, match=re.escape(why)):
        grant("somebody")
