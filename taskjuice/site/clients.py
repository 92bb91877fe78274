"""The list of clients with figures of other packages: organisations, workflows, last activity."""

from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce

from connections.models import Connection, ConnectionState
from taskjuice.workspaces.models import Workspace
from workflows.models import Activation, WorkflowConnection, WorkflowState


def with_figures(rows: "QuerySet[Workspace]") -> "QuerySet[Workspace]":
    """Annotate each client with `living` connections, published `workflows` and `active_at`."""
    living = Connection.objects.exclude(state=ConnectionState.REVOKED).order_by("name", "id")
    published = (
        WorkflowConnection.objects.filter(
            connection__workspace=OuterRef("pk"), workflow__state=WorkflowState.PUBLISHED
        )
        .order_by()
        .values("connection__workspace")
        .annotate(number=Count("workflow", distinct=True))
        .values("number")
    )
    newest = (
        Activation.objects.filter(workspace=OuterRef("pk")).order_by("-id").values("created_at")
    )
    return rows.annotate(
        workflows=Coalesce(Subquery(published), 0), active_at=Subquery(newest[:1])
    ).prefetch_related(Prefetch("connections", queryset=living, to_attr="living"))
