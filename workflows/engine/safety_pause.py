"""The safety pause: a workflow that keeps failing at an organisation pauses there by itself.

Failures in a row are counted per organisation, since results at one say nothing about another.
During the pause no activation of the workflow runs a step there, and activations for new events
wait too. Nothing is lost. People learn of it by their notifications (taskjuice/notifications).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from connections.models import Connection
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import User
from workflows.engine import lanes
from workflows.engine.store import ActivationRun
from workflows.models import (
    Activation,
    ActivationState,
    OrganisationPause,
    Workflow,
    WorkflowConnection,
    WorkflowState,
)

GOOD, BAD = frozenset({"succeeded", "stopped"}), frozenset({"failed", "unknown"})


def count_failures(connection: Connection, runs: Iterable[ActivationRun]) -> None:
    """Count how these activations of an organisation ended, and pause workflows that keep failing.

    Runs in a transaction of its own.
    """
    ended: dict[int, list[ActivationRun]] = defaultdict(list)
    for run in runs:
        if run.workflow_id is not None and run.state in GOOD | BAD:
            ended[run.workflow_id].append(run)
    failing = {pk for pk, its_runs in ended.items() if its_runs[-1].state in BAD}
    applications = WorkflowConnection.objects.filter(connection=connection)
    if ended.keys() - failing:
        applications.filter(workflow__in=ended.keys() - failing, failures__gt=0).update(failures=0)
    if failing:
        # The batch is committed already, so the counts need a transaction of their own.
        with transaction.atomic():
            rows = applications.select_for_update(of=("self",), no_key=True).select_related(
                "workflow__agency"
            )
            for application in rows.filter(workflow__in=failing).order_by("pk"):
                _add_failures(application, connection, ended[application.workflow_id])


def _add_failures(
    application: WorkflowConnection, connection: Connection, ended: Sequence[ActivationRun]
) -> None:
    """Count these runs, the last of which failed."""
    good = [position for position, run in enumerate(ended) if run.state in GOOD]
    failures = len(ended) - 1 - good[-1] if good else application.failures + len(ended)
    workflow = application.workflow
    application.failures = failures
    application.save(update_fields=["failures"])
    if 0 < workflow.pause_after <= failures and workflow.state == WorkflowState.PUBLISHED:
        _pause_workflow(workflow, connection, failures, ended[-1].error)


def _pause_workflow(workflow: Workflow, connection: Connection, failures: int, error: str) -> None:
    """Pause the workflow there, unless it is paused there already."""
    OrganisationPause.objects.filter(
        workflow=workflow, connection=connection, until__lte=Now()
    ).delete()
    _, is_new = OrganisationPause.objects.get_or_create(
        workflow=workflow,
        connection=connection,
        defaults={
            "agency_id": workflow.agency_id,
            "why": f"{failures} failures in a row. The last one: {error}"[:300],
            "by_safety": True,
            "holds": True,
        },
    )
    if is_new:
        audit.record(
            "workflow paused for safety",
            by=None,
            agency=workflow.agency,
            workspace=connection.workspace,
            subject=workflow.name,
            organisation=connection.name,
            failures=failures,
        )


def release_held(workflow: Workflow) -> None:
    """Release activations that an earlier release held everywhere.

    Call it inside the transaction that lets the workflow run again.
    """
    Workflow.objects.filter(pk=workflow.pk).update(failures=0, held=False, paused_because="")
    due_activations = list_waiting(workflow).filter(next_at__lte=Now())
    lanes.wake_lanes(due_activations.values_list("connection_id", flat=True).distinct())


def list_waiting(workflow: Workflow) -> "QuerySet[Activation]":
    return Activation.objects.filter(
        workflow=workflow, state__in=(ActivationState.READY, ActivationState.RUNNING)
    )


def set_limit(*, workflow: Workflow, pause_after: int, by: User) -> None:
    """Set after how many failures in a row it pauses at an organisation; 0: never."""
    before = workflow.pause_after
    if (
        Workflow.objects.filter(pk=workflow.pk)
        .exclude(pause_after=pause_after)
        .update(pause_after=pause_after)
    ):
        audit.record(
            "workflow safety changed",
            by=by,
            agency=workflow.agency,
            subject=workflow.name,
            before=before,
            after=pause_after,
        )
