"""Queries for the pages about activations, each bounded for any number of rows."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.db import connection as database
from django.db.models import QuerySet
from django.utils import timezone

from taskjuice.workspaces.gate import Scope
from workflows.activations import search as activation_search
from workflows.activations.forms import ActivationFilter
from workflows.engine import organisation_pauses
from workflows.engine.error_advice import name_for
from workflows.models import Activation, ActivationState, Lane, OrganisationPause

ON_A_PAGE = 50
COUNTED = 10_000  # more than this is shown as "10,000+"
CAUSES_OF = 1000  # newest failures that are grouped by cause
CAUSES_SHOWN, MOST_CAUSES = 8, 200  # at first, and when all are asked for
BULK = 200  # each is locked and checked on its own, while the person waits
CHIPS = (
    ("", "All"),
    ("running", "Running"),
    ("waiting", "Waiting"),
    ("failed", "Failed"),
    ("unknown", "Needs a decision"),
    ("succeeded", "Succeeded"),
    ("stopped", "Stopped"),
    ("cancelled", "Cancelled"),
)
COUNT = "(SELECT count(*) FROM (SELECT 1 FROM workflows_activation WHERE {where} {state} LIMIT {limit}) n)"
GROUPS = """
SELECT workflow_id, max(workflow_name), error_code, (array_agg(error ORDER BY id DESC))[1],
       count(*), max(coalesce(finished_at, created_at)), min(id), max(id),
       count(*) OVER (), (sum(count(*)) OVER ())::bigint
  FROM (SELECT id, workflow_id, workflow_name, error_code, error, finished_at, created_at
          FROM workflows_activation WHERE {where} AND state = 'failed'
         ORDER BY id DESC LIMIT {limit}) n
 GROUP BY workflow_id, error_code ORDER BY count(*) DESC, max(id) DESC LIMIT {shown}
"""
UNFINISHED = (ActivationState.READY, ActivationState.RUNNING)


@dataclass(frozen=True, slots=True)
class Chip:
    value: str
    text: str
    count: int
    tone: str

    @property
    def counted(self) -> str:
        return f"{COUNTED:,}+" if self.count > COUNTED else f"{self.count:,}"


@dataclass(frozen=True, slots=True)
class ActivationRow:
    """One line of the list; `parked` is its lane while that waits for the provider's limit."""

    activation: Activation
    parked: Lane | None
    pause: OrganisationPause | None = None  # its workflow is paused at this organisation

    @property
    def duration(self) -> timedelta | None:
        return measure_duration(self.activation)


@dataclass(frozen=True)
class ActivationPage:
    """One page of the list, newest first.

    The neighbouring pages begin at the ids `older` and `newer`, None at the ends.
    """

    rows: list[ActivationRow]
    chips: list[Chip]
    older: int | None
    newer: int | None
    is_cut: bool = False  # the search has more matches than are looked at

    @property
    def is_live(self) -> bool:
        """Check whether the page may change by itself: the first one, and any with unfinished
        rows.
        """
        return self.newer is None or any(row.activation.state in UNFINISHED for row in self.rows)

    @cached_property
    def digest(self) -> str:
        """Return a digest of the page, so that an unchanged page is not drawn again."""
        rows = [
            (
                r.activation.pk,
                r.activation.state,
                r.activation.position,
                r.activation.attempt,
                r.activation.subject,
            )
            for r in self.rows
        ]
        shown = [
            *rows,
            *((chip.value, chip.count) for chip in self.chips),
            *(_parked_key(row) for row in self.rows),
        ]
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class FailureCause:
    """The newest failures of one workflow with one error code; their ids go from `first` to
    `last`.
    """

    workflow_id: int | None
    workflow_name: str
    code: str
    error: str  # of the newest of them
    count: int
    last_at: datetime
    first: int
    last: int

    @property
    def name(self) -> str:
        return name_for(self.code)

    @property
    def query(self) -> str:
        """Return the query string that selects exactly these failures."""
        return urlencode(
            {
                "state": "failed",
                "cause": self.code,
                "workflow": self.workflow_id or "",
                "first": self.first,
                "last": self.last,
            }
        )


@dataclass(frozen=True, slots=True)
class FailureCauses:
    """The most frequent causes, of `total` among `failures` failures.

    `is_cut`: there are older failures as well.
    """

    shown: list[FailureCause]
    total: int = 0
    failures: int = 0

    @property
    def is_cut(self) -> bool:
        return self.failures >= CAUSES_OF


@dataclass(frozen=True, slots=True)
class BulkSelection:
    """The activations of a bulk action, oldest first, of `total` that match; it may be cut."""

    activations: list[Activation]
    total: int

    @property
    def is_more(self) -> bool:
        return self.total > len(self.activations)


def build_page(scope: Scope, chosen: ActivationFilter) -> ActivationPage:
    ids = activation_search.search_subjects(scope, chosen.text("q"))
    after, before = chosen.number("after"), chosen.number("before")
    if after is not None:
        rows = activation_search.list_oldest(scope, chosen, ids, ON_A_PAGE + 1, after=after)[::-1]
        has_newer, has_older = len(rows) > ON_A_PAGE, True
        rows = rows[-ON_A_PAGE:]
    else:
        rows = activation_search.list_newest(scope, chosen, ids, ON_A_PAGE + 1, before=before)
        has_newer, has_older = before is not None, len(rows) > ON_A_PAGE
        rows = rows[:ON_A_PAGE]
    return ActivationPage(
        rows=_build_rows(rows),
        chips=count_states(scope, chosen, ids),
        older=rows[-1].pk if rows and has_older else None,
        newer=rows[0].pk if rows and has_newer else None,
        is_cut=len(ids) > activation_search.SEARCHED,
    )


def list_activations(scope: Scope) -> "QuerySet[Activation]":
    if scope.workspace is not None:
        return Activation.objects.filter(workspace=scope.workspace)
    return Activation.objects.filter(agency=scope.agency)


def count_states(scope: Scope, chosen: ActivationFilter, ids: Sequence[int]) -> list[Chip]:
    """Count the activations of each state up to a bound, in one query.

    A count is what a click on its chip shows: it follows the filter's workflow and search but not
    its cause. `ids` are the search's matches.
    """
    where, values = _build_condition(scope, chosen, ids)
    parts, arguments = [], list[Any]()
    for value, _ in CHIPS:
        state = "AND state = %s" if value else ""
        parts.append(COUNT.format(where=where, state=state, limit=COUNTED + 1))
        arguments += (
            [*values, activation_search.STATE_OF_CHIP.get(value, value)] if value else values
        )
    with database.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", arguments)
        counts = cursor.fetchone()
    tones = {"failed": "bad", "unknown": "bad"}
    chips = [
        Chip(value, text, count, tones.get(value, "") if count else "")
        for (value, text), count in zip(CHIPS, counts, strict=True)
    ]
    return [chip for chip in chips if chip.count or chip.value != "cancelled"]


def group_failures(scope: Scope, chosen: ActivationFilter, *, every: bool = False) -> FailureCauses:
    """Group the newest failures by workflow and error code, most frequent first."""
    ids = activation_search.search_subjects(scope, chosen.text("q"))
    where, values = _build_condition(scope, chosen, ids)
    shown = MOST_CAUSES if every else CAUSES_SHOWN
    with database.cursor() as cursor:
        cursor.execute(GROUPS.format(where=where, limit=CAUSES_OF, shown=shown), values)
        rows = cursor.fetchall()
    if not rows:
        return FailureCauses([])
    return FailureCauses(
        [FailureCause(*row[:-2]) for row in rows], total=rows[0][-2], failures=rows[0][-1]
    )


def get_workflow_name(scope: Scope, chosen: ActivationFilter) -> str:
    """Return the name of the workflow in the filter; "" where it is not one of this agency."""
    pk = chosen.number("workflow")
    if pk is None:
        return ""
    return scope.agency.workflows.filter(pk=pk).values_list("name", flat=True).first() or ""


def list_picked(scope: Scope, ids: Sequence[int]) -> list[Activation]:
    """List the activations of this scope with these ids, oldest first.

    The order keeps replays in the order of their events.
    """
    activations = (
        list_activations(scope)
        .filter(pk__in=ids)
        .select_related("workspace", "connection")
        .order_by("id")
    )
    return list(activations.defer("trigger_data", "outputs"))


def list_matching(scope: Scope, chosen: ActivationFilter) -> BulkSelection:
    """List the oldest activations that the filters select, and count all of them."""
    ids = activation_search.search_subjects(scope, chosen.text("q"))
    first, last = chosen.number("first") or 1, chosen.number("last")
    activations = activation_search.list_oldest(
        scope, chosen, ids, CAUSES_OF, after=first - 1, until=last
    )
    return BulkSelection(activations[:BULK], len(activations))


def find_activation(scope: Scope, pk: int) -> Activation | None:
    rows = list_activations(scope).select_related(
        "agency", "workspace", "connection", "workflow", "version", "event", "event__delivery"
    )
    return rows.defer("event__delivery__body").filter(pk=pk).first()


def measure_duration(activation: Activation) -> timedelta | None:
    if activation.started_at is None:
        return None
    return (activation.finished_at or timezone.now()) - activation.started_at


def find_parked_lanes(connection_ids: Sequence[int]) -> dict[int, Lane]:
    parked = Lane.objects.filter(connection__in=connection_ids, parked_until__gt=timezone.now())
    return {lane.pk: lane for lane in parked}


def _scope_column(scope: Scope) -> tuple[str, int]:
    """Return the column that an index begins with, and its value."""
    return (
        ("workspace_id", scope.workspace.pk) if scope.workspace else ("agency_id", scope.agency.pk)
    )


def _build_condition(
    scope: Scope, chosen: ActivationFilter, ids: Sequence[int]
) -> tuple[str, list[Any]]:
    """Build the condition of the scope, workflow and search, beginning with the columns of an
    index.
    """
    column, key = _scope_column(scope)
    parts, values = [f"{column} = %s"], list[Any]([key])
    if (workflow := chosen.number("workflow")) is not None:
        if scope.workspace is None and get_workflow_name(scope, chosen):
            parts, values = [], []  # a workflow of the agency has activations of the agency only
        parts.append("workflow_id = %s")
        values.append(workflow)
    if chosen.text("q"):
        parts.append("id = ANY(%s)")
        values.append(list(ids[: activation_search.SEARCHED]))
    return " AND ".join(parts), values


def _build_rows(activations: Sequence[Activation]) -> list[ActivationRow]:
    lanes = find_parked_lanes([activation.connection_id for activation in activations])
    pauses = organisation_pauses.find_holding(activations)
    return [
        ActivationRow(
            a,
            lanes.get(a.connection_id) if a.state == ActivationState.READY else None,
            pauses.get(a.pk),
        )
        for a in activations
    ]


def _parked_key(row: ActivationRow) -> Any:
    return (row.parked and row.parked.parked_until, row.pause and row.pause.pk)
