"""Checks for work that waits for a person although no notification says so."""

from taskjuice.queue import invariants

UNTOLD = """
SELECT 'call ' || c.id, c.created_at, 'it needs a decision, and no notification says so'
  FROM connections_call c
 WHERE c.state = 'unknown' AND c.activation_id IS NULL AND c.created_at < %(late)s
   AND NOT EXISTS (SELECT FROM notices_incident i
                    WHERE i.agency_id = c.agency_id AND i.closed_at IS NULL
                      AND i.kind = 'decide' AND i.key = 'call:' || c.id)
UNION ALL
SELECT 'activation ' || a.id, coalesce(a.finished_at, a.created_at),
       'it needs a decision, and no notification says so'
  FROM workflows_activation a
 WHERE a.state = 'unknown' AND coalesce(a.finished_at, a.created_at) < %(late)s
   AND NOT EXISTS (SELECT FROM notices_incident i
                    WHERE i.agency_id = a.agency_id AND i.closed_at IS NULL
                      AND i.kind = 'decide' AND i.key = 'activation:' || a.id)
UNION ALL
SELECT 'connection ' || c.id, c.connected_at, 'it has to be reconnected, and no notification says so'
  FROM connections_connection c
 WHERE c.state = 'error' AND c.connected_at < %(late)s
   AND NOT EXISTS (SELECT FROM notices_incident i
                    WHERE i.agency_id = c.agency_id AND i.closed_at IS NULL
                      AND i.kind = 'reauthorise' AND i.key = 'connection:' || c.id)
"""


def register_checks() -> None:
    invariants.add_check("untold", UNTOLD)
