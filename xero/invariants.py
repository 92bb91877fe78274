"""Invariants: ledgers that are due get read, and reported changes do not stay unread."""

from taskjuice.queue import invariants

MAY_BE_READ = """
       c.state = 'active' AND (l.not_before IS NULL OR l.not_before < %(late)s)
   AND (l.lease_until IS NULL OR l.lease_until < %(late)s)
"""
LEDGERS = f"""
SELECT 'ledger of connection ' || l.connection_id, greatest(l.due_at, l.not_before, l.lease_until),
       coalesce(nullif(l.reason, ''), 'it is due, and nobody reads it')
  FROM xero_ledger l JOIN connections_connection c ON c.id = l.connection_id
 WHERE l.due_at < %(late)s AND {MAY_BE_READ}
"""  # noqa: S608 - made of the constant above
STALE = f"""
SELECT s.kind || ' ' || s.xero_id, s.at, 'a change was reported, and the record was not read again'
  FROM xero_stale s JOIN xero_ledger l ON l.connection_id = s.connection_id
  JOIN connections_connection c ON c.id = l.connection_id
 WHERE s.at < %(late)s AND l.first_finished_at IS NOT NULL AND {MAY_BE_READ}
"""  # noqa: S608 - made of the constant above
GAPS = """
SELECT 'webhooks ' || first || ' to ' || last, found_at,
       'what they would have told has not been asked for'
  FROM xero_sequencegap WHERE caught_up_at IS NULL AND closed_at IS NULL AND found_at < %(late)s
"""


def register() -> None:
    invariants.add_check("ledger", LEDGERS)
    invariants.add_check("stale record", STALE)
    invariants.add_check("missing webhooks", GAPS)
