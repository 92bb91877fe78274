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
    ready = [one for one in activations if one.state == ActivationState.READY and one.workflow_id]
    if not ready:
        return {}
    found = list_active(
        holds=True,
        workflow__in={one.workflow_id for one in ready},
        connection__in={one.connection_id for one in ready},
    ).select_related("connection")
    pauses = {(pause.workflow_id, pause.connection_id): pause for pause in found}
    kept = {
        one.pk: pauses.get((one.workflow_id, one.connection_id)) for one in ready if one.workflow_id
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
    found = _locked(OrganisationPause.objects.filter(workflow=workflow, connection__in=connections))
    _end(found, by=by)
    return len(found)


@transaction.atomic
def lift_safety_pauses(workflow: Workflow) -> int:
    """End the workflow's safety pauses everywhere and release their activations; return how
    many.
    """
    found = _locked(OrganisationPause.objects.filter(workflow=workflow, by_safety=True))
    _end(found, by=None)
    workflow.applications.filter(failures__gt=0).update(failures=0)
    return len(found)


def end_due_pauses() -> int:
    """End the pauses whose time is over, in the worker's sweep; return how many."""
    with transaction.atomic():
        over = OrganisationPause.objects.filter(until__lte=Now()).order_by("pk")[:BATCH]
        found = _locked(over, skip=True)
        _end(found, by=None)
    return len(found)


def count_waiting(workflow: Workflow, connection_ids: Sequence[int]) -> int:
    """Count the workflow's activations at these organisations that have not ended."""
    return Activation.objects.filter(
        workflow=workflow,
        connection__in=connection_ids,
        state__in=(ActivationState.READY, ActivationState.RUNNING),
    ).count()


def _locked(found: "QuerySet[OrganisationPause]", *, skip: bool = False) -> list[OrganisationPause]:
    rows = OrganisationPause.objects.filter(pk__in=list(found.values_list("pk", flat=True)))
    rows = rows.select_for_update(of=("self",), skip_locked=skip).order_by("pk")
    return list(rows.select_related("workflow__agency", "connection__workspace"))


def _end(found: Sequence[OrganisationPause], *, by: User | None) -> None:
    for one in found:
        _forget_due_time(one.workflow, one.connection)
        audit.record(
            "workflow resumed here",
            by=by,
            agency=one.workflow.agency,
            workspace=one.connection.workspace,
            subject=one.workflow.name,
            organisation=one.connection.name,
        )
    OrganisationPause.objects.filter(pk__in=[one.pk for one in found]).delete()
    lanes.wake_lanes(one.connection_id for one in found)


def _forget_due_time(workflow: Workflow, connection: Connection) -> None:
    """Clear the due time and the failures: a schedule does not catch up on a pause."""
    WorkflowConnection.objects.filter(workflow=workflow, connection=connection).update(
        due_at=None, failures=0
    )
