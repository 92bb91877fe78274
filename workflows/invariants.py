"""Lanes, activations, approvals and schedules that have stopped without a reason."""

from datetime import timedelta

from taskjuice.queue import invariants
from workflows.engine import lanes

# Where a person paused, archived or has to reconnect, or a pause holds the workflow, they were
# told.
HELD_THERE = lanes.HELD_THERE.format(workflow="a.workflow_id", connection="a.connection_id")
MAY_GO_ON = f"w.held IS NOT TRUE AND NOT {HELD_THERE}"
CAN_WORK = """
  JOIN connections_connection c ON c.id = {0}.connection_id AND c.state = 'active' AND c.paused_at IS NULL
  JOIN workspaces_workspace s ON s.id = c.workspace_id AND s.archived_at IS NULL
"""
LEASES = """
SELECT 'lane of connection ' || connection_id, lease_until, 'its lease ran out, and nobody freed it'
  FROM workflows_lane WHERE lease_token IS NOT NULL AND lease_until < %(late)s
"""
# A lane whose turns go on works through a long queue; a parked one has a time at which it goes on.
ACTIVATIONS = f"""
SELECT 'activation ' || a.id || ' (' || a.state || ')',
       greatest(a.next_at, l.turn_at, l.parked_until),
       coalesce(nullif(a.error, ''), 'it is due, and its lane has no turn')
  FROM workflows_activation a {CAN_WORK.format("a")}
  LEFT JOIN workflows_lane l ON l.connection_id = a.connection_id
  LEFT JOIN workflows_workflow w ON w.id = a.workflow_id
 WHERE a.state IN ('ready', 'running') AND a.next_at < %(late)s AND {MAY_GO_ON}
   AND (l.turn_at IS NULL OR l.turn_at < %(late)s)
   AND (l.parked_until IS NULL OR l.parked_until < %(late)s)
"""  # noqa: S608 - made of the constant above
APPROVALS = f"""
SELECT 'approval ' || p.id, p.expires_at, 'its time is over, and its activation has not gone on'
  FROM workflows_approval p JOIN workflows_activation a
    ON a.id = p.activation_id {CAN_WORK.format("a")}
  LEFT JOIN workflows_workflow w ON w.id = a.workflow_id
 WHERE p.state = 'open' AND p.current AND p.expires_at < %(late)s
   AND a.state IN ('ready', 'running')
   AND {MAY_GO_ON}
"""  # noqa: S608 - made of the constant above
DECISIONS = f"""
SELECT 'approval ' || p.id, p.decided_at, 'it was decided, and its activation has not gone on'
  FROM workflows_approval p JOIN workflows_activation a
    ON a.id = p.activation_id {CAN_WORK.format("a")}
  LEFT JOIN workflows_workflow w ON w.id = a.workflow_id
 WHERE p.state IN ('approved', 'declined') AND p.current AND p.taken_at IS NULL
   AND p.decided_at < %(late)s
   AND a.state IN ('ready', 'running') AND {MAY_GO_ON}
"""  # noqa: S608 - made of the constant above
# A person gets at most one e-mail in fifteen minutes, about everything since the last one.
LETTERS = """
SELECT 'approval ' || id, asked_at, 'nobody was written to'
  FROM workflows_approval
 WHERE state = 'open' AND told_at IS NULL AND told <> '{}' AND expires_at > now()
   AND asked_at < %(late)s
"""
SCHEDULES = f"""
SELECT 'schedule of workflow ' || t.workflow_id || ' on connection ' || t.connection_id, t.due_at,
       'it has not started'
  FROM workflows_workflowconnection t {CAN_WORK.format("t")}
  JOIN workflows_workflow w ON w.id = t.workflow_id AND w.state = 'published'
 WHERE t.due_at < %(late)s
   AND NOT EXISTS (SELECT FROM workflows_activation a WHERE a.workflow_id = t.workflow_id
                      AND a.connection_id = t.connection_id AND a.state = 'ready'
                      AND a.started_at IS NULL)
"""  # noqa: S608 - made of the constant above


def register() -> None:
    invariants.add_check("lane", LEASES)
    invariants.add_check("activation", ACTIVATIONS)
    invariants.add_check("approval past its time", APPROVALS)
    invariants.add_check("decision", DECISIONS)
    invariants.add_check("e-mail about an approval", LETTERS, extra=timedelta(minutes=15))
    invariants.add_check("schedule", SCHEDULES)
