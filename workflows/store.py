"""Claiming due activations and storing what became of them, each in one statement for a whole batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection as database
from django.db import transaction
from django.db.models.functions import Now

from connections import exact
from taskjuice.queue.leases import Lease
from workflows import lanes
from workflows.models import Activation

MAX_ATTEMPTS = 5
MAX_NOTE = 2000  # characters
ALONE_FROM = (
    3  # from this attempt on an activation runs alone: should it kill its process, no other dies with it
)

# The attempt is counted by the claim, so that a crash counts too. Rows left `running` under another lease
# belonged to a holder that lost the lane.
CLAIM = """
UPDATE workflows_activation a
   SET state = 'running', attempt = a.attempt + 1, lease_token = %(token)s,
       started_at = coalesce(a.started_at, clock_timestamp())
 WHERE a.id IN (
    SELECT id FROM workflows_activation
     WHERE connection_id = %(id)s AND state IN ('ready', 'running') AND next_at <= clock_timestamp()
       AND lease_token IS DISTINCT FROM %(token)s AND attempt {attempts} %(alone)s
     ORDER BY next_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING a.id, a.version_id, a.position, a.attempt, a.trigger_data, a.outputs, a.subject, a.note
"""

STEP_RUNS = """
INSERT INTO workflows_steprun
    (activation_id, position, name, action, attempt, outcome, input, output, error_code, error, provider_status,
     wave, started_at, finished_at)
SELECT activation_id, position, name, action, attempt, outcome, input, output, error_code, error, status, wave,
       started_at, finished_at
  FROM jsonb_to_recordset(%s::jsonb)
    AS new (activation_id bigint, position smallint, name text, action text, attempt smallint, outcome text,
            input jsonb, output jsonb, error_code text, error text, status smallint, wave int,
            started_at timestamptz, finished_at timestamptz)
"""

ACTIVATIONS = """
UPDATE workflows_activation a
   SET state = n.state, position = n.position, attempt = n.attempt, subject = n.subject, note = n.note,
       outputs = coalesce(n.outputs, a.outputs), error_code = n.code, error = n.error,
       next_at = coalesce(n.next_at, a.next_at),
       lease_token = CASE WHEN n.state = 'running' THEN a.lease_token END,
       finished_at = CASE WHEN n.state NOT IN ('running', 'ready') THEN clock_timestamp() END
  FROM jsonb_to_recordset(%s::jsonb)
    AS n (id bigint, state text, position smallint, attempt smallint, subject text, note text, outputs jsonb,
          code text, error text, next_at timestamptz)
 WHERE a.id = n.id AND a.lease_token = %s
"""


@dataclass(slots=True)
class Run:
    """One claimed activation while the engine works on it."""

    id: int
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

    def give_back(self) -> None:
        """Due again at once: the next turn takes it on where it stands."""
        self.state, self.changed = "ready", True
        self.attempt -= 1  # the next claim counts it again

    def add_note(self, text: str) -> None:
        """One line more; one that stands there already (a replay) is not said twice."""
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
    """Claimed activations and the step records not yet stored."""

    lease: Lease
    runs: Sequence[Run]
    records: list[StepRecord] = field(default_factory=list)

    def store(self) -> None:
        """One transaction under the lease; raises LeaseLost, and then nothing was written."""
        changed = [run for run in self.runs if run.changed]
        with transaction.atomic():
            lanes.hold(self.lease)
            with database.cursor() as cursor:
                if self.records:
                    cursor.execute(STEP_RUNS, [exact.dumps([record.values() for record in self.records])])
                if changed:
                    given = exact.dumps([_changes(run) for run in changed])
                    cursor.execute(ACTIVATIONS, [given, self.lease.token])
        self.records.clear()
        for run in changed:
            run.changed = False


def claim(lease: Lease, limit: int) -> list[Run]:
    """Due activations of the lane, oldest first; one that failed often comes alone."""
    runs = _claim(lease, limit, "<")
    return runs or _claim(lease, 1, ">=")


def has_failing(lease: Lease) -> bool:
    """Whether due activations that must run alone are left."""
    due = Activation.objects.filter(connection_id=lease.connection_id, state__in=["ready", "running"])
    return due.filter(next_at__lte=Now(), attempt__gte=ALONE_FROM - 1).exists()


def _claim(lease: Lease, limit: int, attempts: str) -> list[Run]:
    values: dict[str, UUID | int] = {
        "token": lease.token,
        "id": lease.connection_id,
        "alone": ALONE_FROM - 1,
        "limit": limit,
    }
    with database.cursor() as cursor:
        cursor.execute(CLAIM.format(attempts=attempts), values)
        rows = cursor.fetchall()
    return [
        Run(pk, version, position, attempt, exact.loads(trigger), exact.loads(outputs), subject, note)
        for pk, version, position, attempt, trigger, outputs, subject, note in sorted(rows)
    ]


def _changes(run: Run) -> dict[str, Any]:
    # What a finished activation's steps gave stands in its step records; only those that may go on need it again.
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
