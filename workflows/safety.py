"""The safety pause: a workflow whose activations fail one after the other stops by itself and asks a person.

While it lasts no activation of it takes a step, and what events start meanwhile waits too. Nothing is lost.
People hear of it by their notifications (taskjuice/notices).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from taskjuice.workspaces import audit
from taskjuice.workspaces.models import User
from workflows import lanes
from workflows.models import Activation, ActivationState, Workflow, WorkflowState
from workflows.store import Run

GOOD, BAD = frozenset({"succeeded", "stopped"}), frozenset({"failed", "unknown"})


def count(runs: Iterable[Run]) -> None:
    """Note how these activations ended, in a transaction of its own, and pause what failed too often in a row."""
    ended: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        if run.workflow_id is not None and run.state in GOOD | BAD:
            ended[run.workflow_id].append(run)
    failing = {pk for pk, its_runs in ended.items() if its_runs[-1].state in BAD}
    if ended.keys() - failing:
        Workflow.objects.filter(pk__in=ended.keys() - failing, failures__gt=0).update(failures=0)
    if failing:
        with transaction.atomic():
            rows = Workflow.objects.select_for_update(of=("self",), no_key=True).select_related("agency")
            for workflow in rows.filter(pk__in=failing).order_by("pk"):
                _add(workflow, ended[workflow.pk])


def _add(workflow: Workflow, ended: Sequence[Run]) -> None:
    """The last of them failed."""
    good = [place for place, run in enumerate(ended) if run.state in GOOD]
    workflow.failures = len(ended) - 1 - good[-1] if good else workflow.failures + len(ended)
    fields = ["failures"]
    if 0 < workflow.pause_after <= workflow.failures and workflow.state == WorkflowState.PUBLISHED:
        workflow.state, workflow.held = WorkflowState.SAFETY, True
        workflow.paused_because = ended[-1].error[:300]
        fields += ["state", "held", "paused_because", "updated_at"]
        audit.record(
            "workflow paused for safety",
            by=None,
            agency=workflow.agency,
            subject=workflow.name,
            failures=workflow.failures,
        )
    workflow.save(update_fields=fields)


def release(workflow: Workflow) -> None:
    """What was held back goes on, and failures are counted anew. Inside the transaction that lets it run again."""
    Workflow.objects.filter(pk=workflow.pk).update(failures=0, held=False, paused_because="")
    due = waiting(workflow).filter(next_at__lte=Now())
    lanes.wake_lanes(due.values_list("connection_id", flat=True).distinct())


def waiting(workflow: Workflow) -> "QuerySet[Activation]":
    return Activation.objects.filter(
        workflow=workflow, state__in=(ActivationState.READY, ActivationState.RUNNING)
    )


def set_limit(*, workflow: Workflow, pause_after: int, by: User) -> None:
    """After how many failures in a row it pauses; 0: never."""
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
