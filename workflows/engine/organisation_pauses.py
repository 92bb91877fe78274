"""Pauses of a workflow at single organisations, while it runs at all others.

A person chooses if a pause starts nothing for new events or keeps them waiting. A safety pause
(safety_pause.py) keeps them waiting. A pause with an end is over at that moment, before the sweep
deletes it too.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet
from django.db.models.functions import Now

from connections.models import Connection
from taskjuice.workspaces import audit
from taskjuice.workspaces.models import User
from workflows.engine import lanes
from workflows.models import (
    Activation,
    ActivationState,
    OrganisationPause,
    Workflow,
    WorkflowConnection,
)

BATCH = 200  # pauses that one sweep ends


def list_active(**fields: object) -> "QuerySet[OrganisationPause]":
    """Return the pauses that are in force now."""
    return OrganisationPause.objects.filter(Q(until=None) | Q(until__gt=Now()), **fields)


def list_for_application(**fields: object) -> "QuerySet[OrganisationPause]":
    """Return the pauses in force for the WorkflowConnection of an outer query."""
    return list_active(workflow=OuterRef("workflow"), connection=OuterRef("connection"), **fields)


def find_holding(activations: Iterable[Activation]) -> dict[int, OrganisationPause]:
    """Return the pause that keeps each activation waiting, by activation id."""
    ready = [
        activation
        for activation in activations
        if activation.state == ActivationState.READY and activation.workflow_id
    ]
    if not ready:
        return {}
    rows = list_active(
        holds=True,
        workflow__in={activation.workflow_id for activation in ready},
        connection__in={activation.connection_id for activation in ready},
    ).select_related("connection")
    pauses = {(pause.workflow_id, pause.connection_id): pause for pause in rows}
    kept = {
        activation.pk: pauses.get((activation.workflow_id, activation.connection_id))
        for activation in ready
        if activation.workflow_id
    }
    return {pk: pause for pk, pause in kept.items() if pause is not None}


@transaction.atomic
def pause_at(
    *,
    workflow: Workflow,
    connections: Sequence[Connection],
    until: datetime | None,
    why: str,
    holds: bool,
    by: User,
) -> None:
    """Pause the workflow at these organisations, in place of any pause in force there."""
    for connection in connections:
        OrganisationPause.objects.update_or_create(
            workflow=workflow,
            connection=connection,
            defaults={
                "agency_id": workflow.agency_id,
                "since": Now(),
                "until": until,
                "why": why,
                "by": by,
                "by_name": str(by)[:254],
                "by_safety": False,
                "holds": holds,
            },
        )
        _forget_due_time(workflow, connection)
        audit.record(
            "workflow paused here",
            by=by,
            agency=workflow.agency,
            workspace=connection.workspace,
            subject=workflow.name,
            organisation=connection.name,
            until=until.isoformat() if until else None,
            why=why,
            events="wait" if holds else "start nothing",
        )


@transaction.atomic
def resume_at(*, workflow: Workflow, connections: Sequence[Connection], by: User) -> int:
    """Let the workflow run at these organisations again; return at how many it was paused."""
    pauses = _lock_pauses(
        OrganisationPause.objects.filter(workflow=workflow, connection__in=connections)
    )
    _end_pauses(pauses, by=by)
    return len(pauses)


@transaction.atomic
def lift_safety_pauses(workflow: Workflow) -> int:
    """End the workflow's safety pauses everywhere and release their activations; return how
    many.
    """
    pauses = _lock_pauses(OrganisationPause.objects.filter(workflow=workflow, by_safety=True))
    _end_pauses(pauses, by=None)
    workflow.applications.filter(failures__gt=0).update(failures=0)
    return len(pauses)


def end_due_pauses() -> int:
    """End the pauses whose time is over, in the worker's sweep; return how many."""
    with transaction.atomic():
        over = OrganisationPause.objects.filter(until__lte=Now()).order_by("pk")[:BATCH]
        pauses = _lock_pauses(over, skip=True)
        _end_pauses(pauses, by=None)
    return len(pauses)


def count_waiting(workflow: Workflow, connection_ids: Sequence[int]) -> int:
    """Count the workflow's activations at these organisations that have not ended."""
    return Activation.objects.filter(
        workflow=workflow,
        connection__in=connection_ids,
        state__in=(ActivationState.READY, ActivationState.RUNNING),
    ).count()


def _lock_pauses(
    pauses: "QuerySet[OrganisationPause]", *, skip: bool = False
) -> list[OrganisationPause]:
    # The keys are read first, so that the locks are taken in their order and not in that of the
    # query, which may be sliced.
    rows = OrganisationPause.objects.filter(pk__in=list(pauses.values_list("pk", flat=True)))
    rows = rows.select_for_update(of=("self",), skip_locked=skip).order_by("pk")
    return list(rows.select_related("workflow__agency", "connection__workspace"))


def _end_pauses(pauses: Sequence[OrganisationPause], *, by: User | None) -> None:
    for pause in pauses:
        _forget_due_time(pause.workflow, pause.connection)
        audit.record(
            "workflow resumed here",
            by=by,
            agency=pause.workflow.agency,
            workspace=pause.connection.workspace,
            subject=pause.workflow.name,
            organisation=pause.connection.name,
        )
    OrganisationPause.objects.filter(pk__in=[pause.pk for pause in pauses]).delete()
    lanes.wake_lanes(pause.connection_id for pause in pauses)


def _forget_due_time(workflow: Workflow, connection: Connection) -> None:
    """Clear the due time and the failures: a schedule does not catch up on a pause."""
    WorkflowConnection.objects.filter(workflow=workflow, connection=connection).update(
        due_at=None, failures=0
    )
