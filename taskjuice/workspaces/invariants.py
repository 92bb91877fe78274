"""Checks for exports and deletions that have been under way for too long."""

from datetime import timedelta

from taskjuice.queue import invariants
from taskjuice.workspaces.deletions import PATIENCE

# A turn holds its row for 100 seconds; a large client takes many turns.
EXPORTS = """
SELECT 'export ' || id, coalesce(claimed_until, requested_at),
       CASE WHEN claimed_until IS NULL THEN 'it is not finished'
            ELSE 'nobody has gone on with it' END
  FROM workspaces_dataexport
 WHERE finished_at IS NULL AND failed_at IS NULL AND requested_at < %(late)s
   AND (claimed_until < %(late)s OR claimed_until IS NULL
        AND (size = 0 OR requested_at < %(late)s - interval '1 hour'))
"""
DELETIONS = """
SELECT 'deletion of ' || name, coalesce(claimed_until, requested_at),
       CASE WHEN claimed_until IS NULL THEN 'it is not finished'
            ELSE 'nobody has gone on with it' END
  FROM workspaces_deletion
 WHERE finished_at IS NULL AND requested_at < %(late)s
   AND (claimed_until < %(late)s OR claimed_until IS NULL)
"""
ERASING = timedelta(minutes=15)  # table by table


def register_checks() -> None:
    invariants.add_check("data export", EXPORTS)
    invariants.add_check("client deletion", DELETIONS, extra=PATIENCE + ERASING)
