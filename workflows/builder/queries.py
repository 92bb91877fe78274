"""Queries for the pages about workflows."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import connection as database
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.urls import reverse

from connections.models import Connection, ConnectionState
from connections.writes.record_history import SHOWN, ActivationRun
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import Agency, Workspace
from workflows.definition.descriptions import step_in_words, trigger_in_words
from workflows.definition.drafts import Draft, Step
from workflows.engine import organisation_pauses
from workflows.models import (
    Activation,
    ActivationState,
    OrganisationPause,
    Version,
    Workflow,
    WorkflowConnection,
    WorkflowState,
)

ELSEWHERE = "elsewhere"  # the list's filter: workflows of the agency that do not run at this client
COUNTED = 10_000  # activations of one state in the last 7 days: more are shown as "10,000+"

# How the activations of the last 7 days ended. Ids grow with time, so that the oldest of those days
# bounds them in the indexes that lead to a workflow's states; nothing of the activations themselves
# is read.
FIGURES = f"""
WITH lately AS MATERIALIZED (
    SELECT id FROM workflows_activation
     WHERE agency_id = %(agency)s AND created_at > now() - interval '7 days'
     ORDER BY created_at LIMIT 1)
SELECT w.id, ended.last_at, ended.good, ended.bad
  FROM unnest(%(workflows)s::bigint[]) AS w (id)
 CROSS JOIN LATERAL (
    SELECT max((SELECT created_at FROM workflows_activation a
                 WHERE a.workflow_id = w.id AND a.state = s.state {{place}}
                 ORDER BY a.id DESC LIMIT 1)) AS last_at,
           sum(n.many) FILTER (WHERE s.state IN ('succeeded', 'stopped')) AS good,
           sum(n.many) FILTER (WHERE s.state IN ('failed', 'unknown')) AS bad
      FROM unnest(%(states)s::text[]) AS s (state)
     CROSS JOIN LATERAL (
        SELECT count(*) AS many FROM (
            SELECT 1 FROM workflows_activation a
             WHERE a.workflow_id = w.id AND a.state = s.state {{place}} AND s.state = ANY(%(ends)s)
               AND a.id >= (SELECT id FROM lately) LIMIT {COUNTED + 1}) counted) n) ended
"""  # noqa: S608 - made of the constant above
ENDS = ["succeeded", "stopped", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Figures:
    """The results of a workflow's activations in the last 7 days, each counted up to `COUNTED`."""

    last_at: datetime | None = None
    good: int = 0
    bad: int = 0

    @property
    def ended(self) -> int:
        return self.good + self.bad

    @property
    def rate(self) -> int | None:
        """Return the percentage without failure, rounded down; None when no activation ended."""
        return self.good * 100 // self.ended if self.ended else None

    @property
    def shown_share(self) -> int | None:
        """Return the percentage of the bar: the failed ones, or all where none failed."""
        return None if self.rate is None else 100 - self.rate if self.bad else self.rate

    @property
    def told_bad(self) -> str:
        return _format_count(self.bad)

    @property
    def told_ended(self) -> str:
        return f"{COUNTED:,}+" if max(self.good, self.bad) > COUNTED else f"{self.ended:,}"


def _format_count(number: int) -> str:
    return f"{COUNTED:,}+" if number > COUNTED else f"{number:,}"


@dataclass(frozen=True)
class WorkflowRow:
    """One line of the list; `connections` are those that this scope may see."""

    workflow: Workflow
    trigger: str
    live: int | None
    draft: int | None
    connections: list[Connection] = field(default_factory=list)
    figures: Figures = field(default_factory=Figures)
    pauses: list[OrganisationPause] = field(default_factory=list)  # at organisations of this scope

    @cached_property
    def clients(self) -> list[str]:
        return list(dict.fromkeys(connection.workspace.name for connection in self.connections))

    @property
    def safety_pauses(self) -> list[OrganisationPause]:
        return [pause for pause in self.pauses if pause.by_safety]

    @cached_property
    def paused(self) -> dict[int, OrganisationPause]:
        """Return the pause at each paused organisation, by connection id."""
        return {pause.connection_id: pause for pause in self.pauses}


@dataclass(frozen=True, slots=True)
class StepInWords:
    step: Step
    lines: list[str]


@dataclass(frozen=True)
class WorkflowDetail:
    """A workflow's page; `shown` is the live version, or the draft where there is none."""

    row: WorkflowRow
    shown: Version
    trigger: str
    steps: list[StepInWords]
    versions: list[Version]

    @property
    def draft(self) -> Version | None:
        return next((version for version in self.versions if version.published_at is None), None)


@dataclass(frozen=True, slots=True)
class ClientConnections:
    """A client with the connections that a workflow may listen to."""

    workspace: Workspace
    connections: list[Connection]


def list_workflows(scope: Scope, *, state: str = "", search: str = "") -> "QuerySet[Workflow]":
    """List workflows by name, archived ones only by their state; in a workspace those that listen
    to it.

    `state` may also be `safety` (paused itself somewhere here) and `elsewhere` (at other clients
    only; staff only).
    """
    rows = _list_visible(scope)
    if state == ELSEWHERE and not scope.is_client:
        rows = scope.agency.workflows.exclude(pk__in=rows).exclude(state=WorkflowState.ARCHIVED)
    elif state == WorkflowState.SAFETY:
        rows = rows.filter(_has_safety_pause(scope))
    else:
        rows = rows.filter(state=state) if state else rows.exclude(state=WorkflowState.ARCHIVED)
    if search:
        rows = rows.filter(name__icontains=search)
    return rows.order_by("name", "id")


def list_stopped_everywhere(scope: Scope) -> "QuerySet[Workflow]":
    """List workflows that an earlier release stopped for safety at all organisations at once."""
    return _list_visible(scope).filter(state=WorkflowState.SAFETY)


def count_by_filter(scope: Scope) -> dict[str, int]:
    """Count the workflows that the list shows for each filter, and `all` that are not archived."""
    rows = _list_visible(scope).annotate(safe=_has_safety_pause(scope)).values_list("state", "safe")
    listed = list(rows)
    counts = {state: sum(1 for its, _ in listed if its == state) for state in WorkflowState.values}
    counts[WorkflowState.SAFETY] = sum(1 for _, safe in listed if safe)
    counts["all"] = len(listed) - counts[WorkflowState.ARCHIVED]
    if scope.workspace is not None and not scope.is_client:
        everywhere = scope.agency.workflows.exclude(state=WorkflowState.ARCHIVED).count()
        counts[ELSEWHERE] = everywhere - counts["all"]
    return counts


def build_rows(scope: Scope, workflows: Sequence[Workflow]) -> list[WorkflowRow]:
    """Build the list's rows, with the same number of queries for any number of them."""
    versions: dict[int, list[Version]] = defaultdict(list)
    newest = (
        Version.objects.filter(workflow=OuterRef("workflow"))
        .order_by("-number")
        .values("number")[:1]
    )
    is_shown = Q(live=True) | Q(published_at=None) | Q(number=Subquery(newest))
    for version in Version.objects.filter(is_shown, workflow__in=workflows).order_by("number"):
        versions[version.workflow_id].append(version)
    links: dict[int, list[Connection]] = defaultdict(list)
    for link in _list_applications(scope, workflows):
        links[link.workflow_id].append(link.connection)
    figures = _load_figures(scope, [workflow.pk for workflow in workflows])
    pauses: dict[int, list[OrganisationPause]] = defaultdict(list)
    for pause in _list_pauses(scope).filter(workflow__in=workflows):
        pauses[pause.workflow_id].append(pause)
    return [
        _build_row(w, versions[w.pk], links[w.pk], figures.get(w.pk, Figures()), pauses[w.pk])
        for w in workflows
    ]


def find_workflow(scope: Scope, pk: int) -> Workflow | None:
    """Find the workflow; the agency's staff see it for clients as well that it does not run at."""
    rows = _list_visible(scope) if scope.is_client else scope.agency.workflows.all()
    return rows.select_related("agency", "created_by").filter(pk=pk).first()


@dataclass(frozen=True, slots=True)
class Reach:
    """The number of organisations and clients that a workflow runs at."""

    organisations: int
    clients: int

    def __str__(self) -> str:
        organisations = (
            "1 organisation" if self.organisations == 1 else f"{self.organisations:,} organisations"
        )
        clients = "1 client" if self.clients == 1 else f"{self.clients:,} clients"
        return f"{organisations} of {clients}"


def count_reach(workflow: Workflow) -> Reach:
    """Count where the workflow runs in the agency, without archived clients and ended
    connections.
    """
    rows = workflow.applications.filter(connection__workspace__archived_at=None)
    rows = rows.exclude(connection__state=ConnectionState.REVOKED)
    workspace_ids = list(rows.values_list("connection__workspace_id", flat=True))
    return Reach(len(workspace_ids), len(set(workspace_ids)))


def goes_beyond(scope: Scope, workflow: Workflow) -> bool:
    """Check whether the workflow also runs at clients outside this scope."""
    if scope.workspace is None:
        return False
    return workflow.applications.exclude(connection__workspace=scope.workspace).exists()


def choose_free_name(agency: Agency, name: str) -> str:
    """Return `name`, or `name (2)` where the agency has a workflow of that name."""
    taken, number, candidate = set(agency.workflows.values_list("name", flat=True)), 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name[:90]} ({number})"
    return candidate


def build_detail(scope: Scope, workflow: Workflow) -> WorkflowDetail:
    versions = list(
        workflow.versions.select_related("published_by", "edited_by").order_by("-number")
    )
    shown = next((version for version in versions if version.live), versions[0])
    draft = Draft.of(shown)
    steps = [StepInWords(step, step_in_words(step)) for step in draft.steps]
    return WorkflowDetail(
        build_rows(scope, [workflow])[0], shown, trigger_in_words(draft), steps, versions
    )


def list_connectable(scope: Scope) -> "QuerySet[Connection]":
    """List the connections that a workflow can be applied to from here.

    Archived clients and ended connections are left out.
    """
    connections = Connection.objects.filter(
        workspace__in=scope.workspaces.filter(archived_at__isnull=True)
    )
    connections = connections.filter(agency=scope.agency).exclude(state=ConnectionState.REVOKED)
    return connections.select_related("workspace").order_by(
        "workspace__name", "workspace_id", "name", "id"
    )


def list_choosable(scope: Scope, workflow: Workflow) -> list[Connection]:
    """List the connections to choose from, and those of the workflow that are disconnected."""
    connectable = {connection.pk: connection for connection in list_connectable(scope)}
    disconnected = [
        link.connection
        for link in _list_applications(scope, [workflow])
        if link.connection_id not in connectable
    ]
    return [*connectable.values(), *disconnected]


def group_by_client(connections: Iterable[Connection]) -> list[ClientConnections]:
    """Group the connections by client, in their order."""
    groups: dict[int, ClientConnections] = {}
    for connection in connections:
        client = groups.setdefault(
            connection.workspace_id, ClientConnections(connection.workspace, [])
        )
        client.connections.append(connection)
    return list(groups.values())


def find_applied_ids(scope: Scope, workflow: Workflow) -> set[int]:
    """Return ids of the connections of this scope that the workflow listens to."""
    return {link.connection_id for link in _list_applications(scope, [workflow])}


def list_names_using(connection_ids: Sequence[int]) -> dict[int, list[str]]:
    """List, by connection, the names of the published workflows that listen to it."""
    names: dict[int, list[str]] = defaultdict(list)
    links = WorkflowConnection.objects.filter(
        connection__in=connection_ids, workflow__state=WorkflowState.PUBLISHED
    ).order_by("workflow__name")
    for connection_id, name in links.values_list("connection_id", "workflow__name"):
        names[connection_id].append(name)
    return dict(names)


def list_record_runs(
    connection: Connection, ids: Collection[int], event_ids: Collection[int]
) -> list[ActivationRun]:
    """List the connection's activations with these ids or events, for the history of a record."""
    rows = Activation.objects.filter(Q(pk__in=ids) | Q(event__in=event_ids), connection=connection)
    rows = rows.select_related("agency", "workspace").defer("trigger_data", "outputs")
    return [_build_run(row) for row in rows.order_by("-id")[:SHOWN]]


def _build_run(row: Activation) -> ActivationRun:
    url = reverse("workflows:activation-detail", args=(row.agency.slug, row.workspace.slug, row.pk))
    return ActivationRun(
        row.pk, row.created_at, row.state, row.workflow_name, row.version_number, row.error, url
    )


def list_newest_activations(scope: Scope, workflow: Workflow, count: int) -> list[Activation]:
    activations = Activation.objects.filter(
        workflow=workflow, workspace__in=scope.workspaces
    ).order_by("-id")
    return list(
        activations.select_related("workspace", "connection").defer("trigger_data", "outputs")[
            :count
        ]
    )


def _list_visible(scope: Scope) -> "QuerySet[Workflow]":
    rows = scope.agency.workflows.all()
    if scope.workspace is None:
        return rows
    links = WorkflowConnection.objects.filter(
        workflow=OuterRef("pk"), connection__workspace=scope.workspace
    )
    return rows.filter(Exists(links))


def list_pauses(scope: Scope, workflow: Workflow) -> "QuerySet[OrganisationPause]":
    """List the workflow's pauses in force at organisations of this scope."""
    return _list_pauses(scope).filter(workflow=workflow)


def list_applications(scope: Scope, workflow: Workflow) -> "QuerySet[WorkflowConnection]":
    return _list_applications(scope, [workflow])


def _list_pauses(scope: Scope) -> "QuerySet[OrganisationPause]":
    """List the pauses in force at organisations of this scope."""
    pauses = organisation_pauses.list_active(
        agency=scope.agency, connection__workspace__in=scope.workspaces
    )
    return pauses.select_related("connection__workspace").order_by("since", "pk")


def _has_safety_pause(scope: Scope) -> Q:
    """Build the condition for workflows with a safety pause in this scope.

    Workflows that an earlier release stopped everywhere are included.
    """
    pauses = organisation_pauses.list_active(
        workflow=OuterRef("pk"), by_safety=True, connection__workspace__in=scope.workspaces
    )
    return Q(Exists(pauses)) | Q(state=WorkflowState.SAFETY)


def _list_applications(
    scope: Scope, workflows: Sequence[Workflow]
) -> "QuerySet[WorkflowConnection]":
    links = WorkflowConnection.objects.filter(
        workflow__in=workflows, connection__workspace__in=scope.workspaces
    )
    return links.select_related("connection__workspace").order_by(
        "connection__workspace__name", "connection__name", "id"
    )


def _load_figures(scope: Scope, ids: Sequence[int]) -> dict[int, Figures]:
    workspace_condition = "AND a.workspace_id = %(workspace)s" if scope.workspace else ""
    values: dict[str, Any] = {
        "agency": scope.agency.pk,
        "workflows": list(ids),
        "workspace": scope.workspace.pk if scope.workspace else None,
        "states": ActivationState.values,
        "ends": ENDS,
    }
    with database.cursor() as cursor:
        cursor.execute(FIGURES.format(place=workspace_condition), values)
        return {
            pk: Figures(last_at, int(good), int(bad))
            for pk, last_at, good, bad in cursor.fetchall()
        }


def _build_row(
    workflow: Workflow,
    versions: list[Version],
    links: list[Connection],
    figures: Figures,
    pauses: list[OrganisationPause],
) -> WorkflowRow:
    live = next((version for version in versions if version.live), None)
    draft = next((version for version in versions if version.published_at is None), None)
    described = live or versions[-1]
    return WorkflowRow(
        workflow=workflow,
        trigger=trigger_in_words(Draft.of(described)),
        live=live.number if live else None,
        draft=draft.number if draft else None,
        connections=links,
        figures=figures,
        pauses=pauses,
    )


def get_author(activation_id: int) -> str:
    """Name the workflow of an activation for the audit trail: "Thank a payer v3"; "" if deleted."""
    row = (
        Activation.objects.filter(pk=activation_id)
        .values_list("workflow_name", "version_number")
        .first()
    )
    return f"{row[0]} v{row[1]}" if row else ""


def find_chains(activation_ids: Collection[int]) -> dict[int, list[int]]:
    """Return, by activation, the workflows that led to its event, followed by its own."""
    rows = Activation.objects.filter(pk__in=activation_ids).values_list(
        "pk", "workflow_id", "event__chain"
    )
    return {
        pk: [*dict.fromkeys([*(before or []), *([] if workflow is None else [workflow])])]
        for pk, workflow, before in rows
    }
