"""Emptying the database between tests whose transactions really commit: the audit trail refuses to be emptied."""

from typing import Any

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations

GUARDED = ("workspaces_auditentry", "workspaces_auditlink", "workspaces_audithead")


def allow_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's `flush` gets past the guards of these tables, as their owner may; nothing else does."""
    flush = DatabaseOperations.sql_flush

    def opened(self: DatabaseOperations, style: Any, tables: Any, **options: Any) -> list[str]:
        opening = [f"ALTER TABLE {table} DISABLE TRIGGER USER;" for table in GUARDED]
        shutting = [f"ALTER TABLE {table} ENABLE TRIGGER USER;" for table in GUARDED]
        return [*opening, *flush(self, style, tables, **options), *shutting]

    monkeypatch.setattr(DatabaseOperations, "sql_flush", opened)
