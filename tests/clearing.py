"""Emptying the database between tests whose transactions really commit.

Django's own way truncates every table and then makes content types and permissions anew. Here only
the tables that hold rows are emptied, in a few milliseconds, past triggers (the audit trail refuses
to be emptied) and foreign keys. The tests' database user must be a superuser for it, as that of the
embedded PostgreSQL is.
"""

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.test import TransactionTestCase

# Made by `migrate`, changed by no test.
KEPT = {"django_content_type", "auth_permission", "django_site", "django_migrations"}


def clear_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: clear())


def clear() -> None:
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)} - KEPT
    name = connection.ops.quote_name
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        filled = " UNION ALL ".join(
            f"SELECT '{table}' WHERE EXISTS (SELECT FROM {name(table)})" for table in sorted(tables)
        )
        cursor.execute(filled)
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {name(table)}")
