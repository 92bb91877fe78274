"""Queries for the pages of tasks."""

from django.db.models import Count, Q, QuerySet

from taskjuice.workspaces.gate import Scope
from workflows.models import Activation, Approval, ApprovalState


def list_tasks(scope: Scope, *, state: str = "", search: str = "") -> "QuerySet[Approval]":
    """List tasks, newest first; open ones by the end of their time."""
    rows = list_approvals(scope).select_related("workspace", "activation__connection")
    rows = rows.defer("activation__trigger_data", "activation__outputs", "details")
    if state:
        rows = rows.filter(state=state)
    if search:
        about = Q(question__icontains=search) | Q(activation__subject__istartswith=search)
        rows = rows.filter(about | Q(activation__workflow_name__icontains=search))
    return (
        rows.order_by("expires_at", "id") if state == ApprovalState.OPEN else rows.order_by("-id")
    )


def count_by_state(scope: Scope) -> dict[str, int]:
    """Count the tasks in each state, and `all`."""
    per_state = list_approvals(scope).order_by().values_list("state").annotate(Count("pk"))
    counts = dict.fromkeys(ApprovalState.values, 0) | dict(per_state)
    return counts | {"all": sum(counts.values())}


def find_task(scope: Scope, pk: int) -> Approval | None:
    rows = list_approvals(scope).select_related(
        "agency", "workspace", "activation__connection", "decided_by"
    )
    return rows.filter(pk=pk).first()


def find_open_task(activation: Activation) -> Approval | None:
    """Return the open task that this activation waits for."""
    rows = Approval.objects.filter(activation=activation, state=ApprovalState.OPEN, current=True)
    return rows.order_by("id").first()


def list_approvals(scope: Scope) -> "QuerySet[Approval]":
    if scope.workspace is not None:
        return Approval.objects.filter(workspace=scope.workspace)
    return Approval.objects.filter(agency=scope.agency)
