"""The privileges of web and worker where another role owns the tables (docs/deploy.md, *Two
roles*).

They are read from PostgreSQL's catalogue, so that a missing privilege is known before a statement
needs it.
"""

from dataclasses import dataclass

from django.apps import apps
from django.conf import settings
from django.db import connection as database
from django.db.backends.utils import CursorWrapper

ON_TABLES = ("SELECT", "INSERT", "UPDATE", "DELETE")
# With these a role could empty the audit trail, or switch its triggers off.
WITHHELD = ("TRUNCATE", "REFERENCES", "TRIGGER")
MIGRATIONS = "django_migrations"

# Partitions are left out, since a statement needs rights on the table that it names, and so are the
# sequences of identity columns, which need none. The search path is read as text: what PostgreSQL
# makes of it, current_schemas(), leaves out a schema that the role may not use.
MISSING = """
WITH asked AS (SELECT coalesce(%(role)s::name, current_user) AS role), path AS (
    SELECT replace(trim(' "' FROM name), '$user', current_user) AS schema
      FROM unnest(string_to_array(current_setting('search_path'), ',')) AS name
), named AS (
    SELECT c.oid, relname, relowner, relnamespace, nspname
      FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
     WHERE relname = ANY(%(tables)s::text[]) AND relkind IN ('r', 'p')
       AND nspname IN (SELECT schema FROM path)
), needed AS (
    SELECT DISTINCT 'schema ' || nspname AS object, 'USAGE' AS privilege,
           has_schema_privilege(role, relnamespace, 'USAGE') AS is_held
      FROM named, asked
    UNION ALL
    SELECT 'table ' || relname, privilege, has_table_privilege(role, oid, privilege)
      FROM named, asked, unnest(%(privileges)s::text[]) AS privilege
    UNION ALL
    SELECT 'sequence ' || s.relname, 'USAGE', has_sequence_privilege(role, s.oid, 'USAGE')
      FROM asked, named JOIN pg_depend d ON d.refobjid = named.oid AND d.deptype = 'a'
       AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    UNION ALL
    SELECT 'function ' || proname, 'EXECUTE', has_function_privilege(role, oid, 'EXECUTE')
      FROM pg_proc, asked
     WHERE (proowner, pronamespace) IN (SELECT relowner, relnamespace FROM named)
)
SELECT object || ': ' || string_agg(privilege, ', ')
  FROM needed WHERE NOT is_held
 GROUP BY object ORDER BY object
"""
OWNER = """
SELECT pg_get_userbyid(relowner), nspname
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = to_regclass(%s)
"""
OF_ROLE = """
SELECT rolsuper, pg_has_role(rolname, %(owner)s, 'MEMBER') FROM pg_roles WHERE rolname = %(role)s
"""
OBJECTS = """
SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
       array_agg(relname::text ORDER BY relname)
  FROM pg_class
 WHERE relkind IN ('r', 'p', 'S') AND pg_get_userbyid(relowner) = %(owner)s
   AND relnamespace = %(schema)s::regnamespace
 GROUP BY 1
"""


class CannotGrant(Exception):
    """The reason why the role cannot be granted what it needs, for the person at the command."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The role that owns the product's tables, and their schema."""

    role: str
    schema: str


def list_missing(role: str | None = None) -> list[str]:
    """Return what `role` (by default the connected one) lacks of what web and worker need.

    Tables that do not exist are left to the check of migrations.
    """
    with database.cursor() as cursor:
        parameters = {"tables": _list_tables(), "privileges": list(ON_TABLES), "role": role}
        cursor.execute(MISSING, parameters)
        return [row[0] for row in cursor.fetchall()]


def grant_to(role: str) -> None:
    """Grant `role` what web and worker need, now and on all that later migrations make.

    Safe to repeat. Raises CannotGrant where the role does not exist, or could do what has to be
    kept from it.
    """
    with database.cursor() as cursor:
        owner = _find_owner(cursor)
        _refuse_too_mighty(cursor, role, owner)
        for statement in _list_grants(cursor, role, owner):
            cursor.execute(statement)
    if missing := list_missing(role):
        raise CannotGrant(
            f"{role} still lacks: {'; '.join(missing)}. Run this as {owner.role}, who owns them."
        )


def _list_tables() -> list[str]:
    """Return the tables of all models, and those without a model."""
    models = apps.get_models(include_auto_created=True)
    of_models = {
        model._meta.db_table for model in models if model._meta.managed and not model._meta.proxy
    }
    return sorted(of_models | {MIGRATIONS, settings.CACHES["default"]["LOCATION"]})


def _find_owner(cursor: CursorWrapper) -> Owner:
    cursor.execute(OWNER, [MIGRATIONS])
    row = cursor.fetchone()
    if row is None:
        raise CannotGrant("The database has no tables yet: run `manage.py migrate` first.")
    return Owner(*row)


def _refuse_too_mighty(cursor: CursorWrapper, role: str, owner: Owner) -> None:
    cursor.execute(OF_ROLE, {"role": role, "owner": owner.role})
    row = cursor.fetchone()
    if row is None:
        raise CannotGrant(
            f"There is no role {role}: have a superuser CREATE ROLE {role} LOGIN PASSWORD '…' first."
        )
    is_superuser, is_member = row
    if is_superuser:
        raise CannotGrant(
            f"{role} is a superuser and may do everything: nothing can be kept from it."
        )
    if is_member:
        raise CannotGrant(
            f"{role} is {owner.role}, who owns the tables, or may become it: use another role."
        )


def _list_grants(cursor: CursorWrapper, role: str, owner: Owner) -> list[str]:
    """Return the GRANT and REVOKE statements.

    They name all tables of the owner, partitions too, and leave the tables of others alone.
    """
    quote = database.ops.quote_name
    schema, to = quote(owner.schema), quote(role)
    tables, withheld = ", ".join(ON_TABLES), ", ".join(WITHHELD)
    by_default = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote(owner.role)} IN SCHEMA {schema}"
    cursor.execute(OBJECTS, {"owner": owner.role, "schema": schema})
    objects = {
        kind: ", ".join(f"{schema}.{quote(name)}" for name in names)
        for kind, names in cursor.fetchall()
    }
    statements = [
        f"GRANT USAGE ON SCHEMA {schema} TO {to}",
        f"REVOKE {withheld} ON TABLE {objects['TABLE']} FROM {to}",
        f"GRANT {tables} ON TABLE {objects['TABLE']} TO {to}",
        f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {to}",
        f"{by_default} REVOKE {withheld} ON TABLES FROM {to}",
        f"{by_default} GRANT {tables} ON TABLES TO {to}",
        f"{by_default} GRANT USAGE, SELECT ON SEQUENCES TO {to}",
        f"{by_default} GRANT EXECUTE ON FUNCTIONS TO {to}",
    ]
    if "SEQUENCE" in objects:
        statements.append(f"GRANT USAGE, SELECT ON SEQUENCE {objects['SEQUENCE']} TO {to}")
    return statements
