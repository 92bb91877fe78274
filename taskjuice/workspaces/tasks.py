"""Queue tasks. Dotted paths are part of queued messages: never rename them."""

from taskjuice.workspaces import data_exports, deletions


def make_export(export_id: int) -> None:
    data_exports.take_turn(export_id)


def erase_workspace(deletion_id: int) -> None:
    deletions.take_turn(deletion_id)
