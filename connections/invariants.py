"""Invariants of deliveries, events, writes, consents and token refreshes: none stays open for long."""

from datetime import timedelta

from connections.oauth.cleanup import CHOOSE_WITHIN
from taskjuice.queue import invariants

DELIVERIES = """
SELECT 'delivery ' || id, received_at, 'its events have not been read out'
  FROM connections_delivery WHERE state = 'waiting' AND received_at < %(late)s
"""

EVENTS = """
SELECT 'event ' || id, received_at, 'whether a write of ours caused it has not been decided'
  FROM connections_event WHERE undecided AND received_at < %(late)s
"""

# Where a person paused or archived, or has to reconnect, they were told; the look-up follows when
# they are through.
WRITES = """
SELECT 'call ' || c.id || ' (' || c.action || ', ' || c.state || ')', c.created_at,
       coalesce(nullif(c.error, ''), 'nobody knows what became of it')
  FROM connections_call c JOIN connections_connection l ON l.id = c.connection_id
  JOIN workspaces_workspace w ON w.id = c.workspace_id
 WHERE c.state IN ('intended', 'sent') AND c.created_at < %(late)s
   AND l.state = 'active' AND l.paused_at IS NULL AND w.archived_at IS NULL
   AND NOT EXISTS (SELECT FROM connections_reconciliation WHERE released_at IS NULL)
"""
REFRESHES = """
SELECT 'grant ' || id, lease_until, 'whoever renewed its tokens has not come to an end'
  FROM connections_grant WHERE state = 'active' AND lease_token IS NOT NULL AND lease_until < %(late)s
"""
CONSENTS = """
SELECT 'consent ' || id, used_at,
       CASE WHEN grant_id IS NULL THEN 'it was not exchanged' ELSE 'what nobody chose was not given back' END
  FROM connections_consent WHERE finished_at IS NULL AND used_at < %(late)s AND failure = ''
"""

LINK_OUTCOMES = """
SELECT 'connect link ' || id, untold_since, 'its sender has not been told what came of it'
  FROM connections_connectlink WHERE untold_since < %(late)s
"""


def register() -> None:
    invariants.add_check("connect link", LINK_OUTCOMES)
    invariants.add_check("delivery", DELIVERIES)
    invariants.add_check("event", EVENTS)
    invariants.add_check("write", WRITES)
    invariants.add_check("token refresh", REFRESHES)
    invariants.add_check("consent", CONSENTS, extra=CHOOSE_WITHIN + timedelta(minutes=5))
