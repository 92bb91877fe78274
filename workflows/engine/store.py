"""Claiming due activations and storing their outcomes, one statement for a whole batch."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection as database
from django.db import transaction

from taskjuice import exact_json
from taskjuice.database.outages import retry_during_outage
from taskjuice.queue.commits import QUICK, commit_without_waiting
from taskjuice.queue.leases import Lease
from workflows.engine import lanes

MAX_NOTE = 2000  # characters
TOGETHER = 40  # a look-up's full call: so many or a multiple of it are claimed, the rest waits a moment for more
ALONE_FROM = 3  # from this attempt on an activation runs alone: should it kill its process, no other dies with it

HELD_THERE = lanes.HELD_THERE.format(workflow="a.workflow_id", connection="a.connection_id")
HELD_IN_LANE = lanes.HELD_THERE.format(workflow="l.workflow", connection="%(id)s")

# The attempt is counted by the claim, so that a crash counts too. Rows left `running` under another
# lease belonged to a holder that lost the lane. The workflows of the lane take turns: `listed`
# walks the index from one to the next, so that neither a long queue nor one held back by a pause is
# read through.
CLAIM = """
WITH RECURSIVE listed (workflow) AS (
    SELECT min(coalesce(workflow_id, 0)) FROM workflows_activation
     WHERE connection_id = %(id)s AND state IN ('ready', 'running')
  UNION ALL
    SELECT (SELECT min(coalesce(a.workflow_id, 0)) FROM workflows_activation a
             WHERE a.connection_id = %(id)s AND a.state IN ('ready', 'running')
               AND coalesce(a.workflow_id, 0) > l.workflow)
      FROM listed l WHERE l.workflow IS NOT NULL
), picked AS MATERIALIZED (
    SELECT due.id FROM listed l CROSS JOIN LATERAL (
        SELECT a.id, a.next_at, row_number() OVER (ORDER BY a.next_at, a.id) AS turn FROM workflows_activation a
         WHERE a.connection_id = %(id)s AND a.state IN ('ready', 'running')
           AND coalesce(a.workflow_id, 0) = l.workflow AND a.next_at <= statement_timestamp()
           AND a.lease_token IS DISTINCT FROM %(token)s AND a.attempt {attempts} %(alone)s
         ORDER BY a.next_at, a.id LIMIT %(limit)s) due
     WHERE NOT EXISTS (SELECT FROM workflows_workflow w WHERE w.id = l.workflow AND w.held)
       AND NOT {held}
     ORDER BY due.turn, due.next_at, due.id LIMIT %(limit)s
), counted AS (
    SELECT id, row_number() OVER () AS place, count(*) OVER () AS most FROM picked
), locked AS MATERIALIZED (
    SELECT id FROM workflows_activation
     WHERE id = ANY(ARRAY(SELECT id FROM counted
                           WHERE most < %(together)s OR place <= most - most %% %(together)s))
       AND state IN ('ready', 'running') FOR UPDATE SKIP LOCKED
)
UPDATE workflows_activation a
   SET state = 'running', attempt = a.attempt + 1, lease_token = %(token)s,
       started_at = coalesce(a.started_at, clock_timestamp())
  FROM locked, (SELECT {quick} AS quick) q WHERE a.id = locked.id AND q.quick = 'off'
RETURNING a.id, a.workflow_id, a.version_id, a.position, a.attempt, a.trigger_data, a.outputs, a.subject,
          a.note
"""

HAS_DUE = f"""
SELECT FROM workflows_activation a LEFT JOIN workflows_workflow w ON w.id = a.workflow_id
 WHERE a.connection_id = %s AND a.state IN ('ready', 'running') AND a.next_at <= statement_timestamp()
   AND a.lease_token IS DISTINCT FROM %s AND w.held IS NOT TRUE
   AND NOT {HELD_THERE} LIMIT 1
"""  # noqa: S608 - made of constants

# Those of a batch that may not take another step: cancelled, or their workflow, connection or
# client is at rest.
AT_REST = f"""
SELECT a.id, a.state = 'cancelled', c.state <> 'active' OR c.paused_at IS NOT NULL OR s.archived_at IS NOT NULL
  FROM workflows_activation a JOIN connections_connection c ON c.id = a.connection_id
  JOIN workspaces_workspace s ON s.id = a.workspace_id LEFT JOIN workflows_workflow w ON w.id = a.workflow_id
 WHERE a.id = ANY(%s)
   AND (a.state = 'cancelled' OR w.held OR {HELD_THERE} OR c.state <> 'active' OR c.paused_at IS NOT NULL
        OR s.archived_at IS NOT NULL)
"""  # noqa: S608 - made of constants

PUT_BACK = """
UPDATE workflows_activation SET state = 'ready', attempt = greatest(attempt - %s, 0), lease_token = NULL
 WHERE connection_id = %s AND state = 'running' AND lease_token = %s
"""

STEP_RUNS = """
INSERT INTO workflows_steprun
    (activation_id, position, name, action, attempt, outcome, input, output, error_code, error, provider_status,
     wave, started_at, finished_at)
SELECT new.activation_id, new.position, new.name, new.action, new.attempt, new.outcome, new.input, new.output,
       new.error_code, new.error, new.status, new.wave, new.started_at, new.finished_at
  FROM jsonb_to_recordset(%s::jsonb)
    AS new (activation_id bigint, position smallint, name text, action text, attempt smallint, outcome text,
            input jsonb, output jsonb, error_code text, error text, status smallint, wave int,
            started_at timestamptz, finished_at timestamptz)
  JOIN workflows_activation a ON a.id = new.activation_id AND a.lease_token = %s
"""

# The outcome of a step is kept even where the activation was cancelled during it; it stays
# cancelled.
ACTIVATIONS = """
UPDATE workflows_activation a
   SET state = CASE WHEN a.state = 'cancelled' THEN a.state ELSE n.state END,
       position = n.position, attempt = n.attempt, subject = n.subject, note = n.note,
       outputs = coalesce(n.outputs, a.outputs), error_code = n.code, error = n.error,
       next_at = coalesce(n.next_at, a.next_at),
       lease_token = CASE WHEN n.state = 'running' AND a.state <> 'cancelled' THEN a.lease_token END,
       finished_at = CASE WHEN a.state = 'cancelled' THEN a.finished_at
                          WHEN n.state NOT IN ('running', 'ready') THEN clock_timestamp() END
  FROM jsonb_to_recordset(%s::jsonb)
    AS n (id bigint, state text, position smallint, attempt smallint, subject text, note text, outputs jsonb,
          code text, error text, next_at timestamptz)
 WHERE a.id = n.id AND a.lease_token = %s
"""


@dataclass(slots=True)
class ActivationRun:
    """One claimed activation while the engine works on it."""

    id: int
    workflow_id: int | None
    version_id: int | None
    position: int
    attempt: int
    trigger: Mapping[str, Any]
    outputs: dict[str, Any]
    subject: str
    note: str = ""
    state: str = "running"
    next_at: datetime | None = None
    error_code: str = ""
    error: str = ""
    changed: bool = False  # since it was last stored

    def fail(self, code: str, message: str) -> None:
        self.state, self.error_code, self.error, self.changed = "failed", code, message, True

    def put_back(self) -> None:
        """Leave the next step to another turn of the lane, at no cost of an attempt."""
        self.state, self.attempt, self.changed = "ready", self.attempt - 1, True

    def add_note(self, text: str) -> None:
        """Add a line to the note, unless it is there already from before a replay."""
        if text and text not in self.note.split("\n"):
            self.note = f"{self.note}\n{text}".strip()[:MAX_NOTE]

    @property
    def context(self) -> dict[str, Any]:
        return {"trigger": self.trigger, "steps": self.outputs}


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One attempt at one step, as it goes into the history."""

    activation_id: int
    position: int
    name: str
    action: str
    attempt: int
    outcome: str
    input: Any
    output: Any
    error_code: str
    error: str
    status: int | None
    wave: int
    started_at: datetime
    finished_at: datetime

    def values(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(slots=True)
class Batch:
    """Claimed activations and the step records that are not stored yet.

    `ends` is the end of the turn by the monotonic clock.
    """

    lease: Lease
    runs: Sequence[ActivationRun]
    ends: float
    records: list[StepRecord] = field(default_factory=list)
    renewed: float = field(default_factory=time.monotonic)

    def is_over(self) -> bool:
        return time.monotonic() > self.ends

    def keep_lease(self) -> None:
        """Renew the lease between two operations that may take long; raise LeaseLost."""
        if time.monotonic() - self.renewed > lanes.RENEW_SECONDS:
            lanes.renew(self.lease)
            self.renewed = time.monotonic()

    def let_go(self, active: Sequence[ActivationRun]) -> bool:
        """End or put back activations that may not run another step; return True if the lane must
        stop.
        """
        with database.cursor() as cursor:
            cursor.execute(AT_REST, [[run.id for run in active]])
            stopped = {pk: (cancelled, rests) for pk, cancelled, rests in cursor.fetchall()}
        for run in active:
            cancelled, _ = stopped.get(run.id, (False, False))
            if cancelled:
                run.state, run.changed = "cancelled", True
            elif run.id in stopped:
                run.put_back()
        return any(rests for _, rests in stopped.values())

    def store(self, *, effects: bool = False) -> None:
        """Store the batch in one transaction under the lease; on LeaseLost nothing was written.

        `effects`: the stored steps must not be repeated, so the commit waits for the disk.
        """
        retry_during_outage(lambda: self._store(effects=effects))

    def _store(self, *, effects: bool) -> None:
        changed = [run for run in self.runs if run.changed]
        with transaction.atomic():
            if not effects:
                commit_without_waiting()
            lanes.hold(self.lease)
            with database.cursor() as cursor:
                if self.records:
                    rows = exact_json.dumps([record.values() for record in self.records])
                    cursor.execute(STEP_RUNS, [rows, self.lease.token])
                if changed:
                    rows = exact_json.dumps([_changes(run) for run in changed])
                    cursor.execute(ACTIVATIONS, [rows, self.lease.token])
        self.records.clear()
        for run in changed:
            run.changed = False


def claim_due(lease: Lease, limit: int) -> list[ActivationRun]:
    """Claim due activations of the lane, oldest first; one that failed often is claimed alone."""
    runs = _claim(lease, limit, "<")
    return runs or _claim(lease, 1, ">=")


def put_back_claimed(lease: Lease, *, costs_nothing: bool) -> None:
    """Make all activations due again that this lease claimed and did not store.

    `costs_nothing`: the claim does not count as an attempt.
    """
    with database.cursor() as cursor:
        cursor.execute(PUT_BACK, [int(costs_nothing), lease.connection_id, lease.token])


def has_due(lease: Lease) -> bool:
    """Check whether due activations are left that this turn did not claim."""
    with database.cursor() as cursor:
        cursor.execute(HAS_DUE, [lease.connection_id, lease.token])
        return cursor.fetchone() is not None


def _claim(lease: Lease, limit: int, attempts: str) -> list[ActivationRun]:
    values: dict[str, UUID | int] = {
        "token": lease.token,
        "id": lease.connection_id,
        "alone": ALONE_FROM - 1,
        "limit": limit,
        "together": TOGETHER,
    }
    with database.cursor() as cursor:
        cursor.execute(CLAIM.format(attempts=attempts, quick=QUICK, held=HELD_IN_LANE), values)
        rows = cursor.fetchall()
    return [
        ActivationRun(
            pk,
            workflow,
            version,
            position,
            attempt,
            exact_json.loads(trigger),
            exact_json.loads(outputs),
            subject,
            note,
        )
        for pk, workflow, version, position, attempt, trigger, outputs, subject, note in sorted(
            rows
        )
    ]


def _changes(run: ActivationRun) -> dict[str, Any]:
    # What a finished activation's steps gave stands in its step records; only those that may go on
    # need it again.
    return {
        "id": run.id,
        "state": run.state,
        "position": run.position,
        "attempt": run.attempt,
        "subject": run.subject[:200],
        "note": run.note,
        "outputs": run.outputs if run.state not in {"succeeded", "stopped"} else None,
        "code": run.error_code[:60],
        "error": run.error[:500],
        "next_at": run.next_at,
    }
