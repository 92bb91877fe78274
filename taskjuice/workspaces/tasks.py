"""Queue tasks. Dotted paths are part of queued messages: never rename them."""

from taskjuice.database import limits
from taskjuice.workspaces import data_exports, deletions

STATEMENT_SECONDS = 100.0  # all rows of a client in one statement; a task may take 120


def make_export(export_id: int) -> None:
    with limits.allow_slow_statements(STATEMENT_SECONDS):
        data_exports.take_turn(export_id)


def erase_workspace(deletion_id: int) -> None:
    with limits.allow_slow_statements(STATEMENT_SECONDS):
        deletions.take_turn(deletion_id)
