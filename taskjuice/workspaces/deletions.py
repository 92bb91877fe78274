"""Deletion of a workspace: hidden at once, then erased table by table by a worker.

Providers are notified before the tokens are erased, since that takes a token; after PATIENCE the
tokens are erased all the same. The audit trail stays.
"""

import logging
import time
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce, Now

from taskjuice.queue.wake import enqueue_task
from taskjuice.workspaces import audit, claims, holdings
from taskjuice.workspaces.holdings import HOLDINGS, Holding
from taskjuice.workspaces.models import Agency, Deletion, User, Workspace

logger = logging.getLogger(__name__)

TASK = "taskjuice.workspaces.tasks.erase_workspace"
PATIENCE = timedelta(minutes=15)
BATCH = 2000


@transaction.atomic
def request(*, workspace: Workspace, by: User) -> None:
    """Start the deletion; a second request changes nothing. It cannot be stopped."""
    begun = Workspace.objects.filter(pk=workspace.pk, deleting_at=None).update(
        deleting_at=Now(), archived_at=Coalesce("archived_at", Now())
    )
    if not begun:
        return
    deletion = Deletion.objects.create(
        agency_id=workspace.agency_id,
        workspace_id=workspace.pk,
        name=workspace.name,
        requested_by=by,
    )
    holdings.leave(workspace.pk)
    audit.record(
        "client deletion begun",
        by=by,
        agency=workspace.agency,
        workspace=workspace,
        subject=workspace.name,
    )
    enqueue_task(TASK, deletion.pk)


def sweep() -> None:
    """Queue the deletions that no process works on."""
    for pk in claims.waiting(Deletion.objects.filter(finished_at=None)).values_list(
        "pk", flat=True
    )[:20]:
        enqueue_task(TASK, pk)


def of_agency(agency: Agency) -> list[Deletion]:
    """Return the latest deletions, newest first."""
    return list(agency.deletions.select_related("requested_by").order_by("-pk")[:50])


def take_turn(pk: int) -> None:
    """Continue a deletion for a while; do nothing where it is finished or another process has it."""
    row = Deletion.objects.filter(pk=pk, finished_at=None)
    if not claims.take(row):
        return
    deletion = row.select_related("agency", "requested_by").get()
    ends = time.monotonic() + claims.TURN_SECONDS
    for holding in reversed(HOLDINGS.values()):
        if not holding.erased:
            continue
        if holding.before is not None and _is_held_up(deletion, holding.before):
            claims.give_back(row)  # the sweep comes back
            return
        if not _erase_rows(holding, deletion.workspace_id, ends):
            with transaction.atomic():
                claims.give_back(row)
                enqueue_task(TASK, pk)
            return
    _finish(deletion)


def _is_held_up(deletion: Deletion, before: holdings.Parting) -> bool:
    late = Deletion.objects.filter(pk=deletion.pk, requested_at__lt=Now() - PATIENCE).exists()
    pending = before(deletion.workspace_id, late)
    if pending and late:
        logger.warning("deletion %s goes on although: %s", deletion.pk, pending)
        deletion.warning = pending[:300]
        deletion.save(update_fields=["warning"])
    return bool(pending) and not late


def _erase_rows(holding: Holding, workspace_id: int, ends: float) -> bool:
    """Erase these rows in batches; return False when time is up before all are erased."""
    while time.monotonic() < ends:
        batch = list(holding.rows(workspace_id).values_list("pk", flat=True)[:BATCH])
        if not batch:
            return True
        holding.model._base_manager.filter(pk__in=batch).delete()
    return False


@transaction.atomic
def _finish(deletion: Deletion) -> None:
    Deletion.objects.filter(pk=deletion.pk).update(finished_at=Now(), claimed_until=None)
    details: dict[str, Any] = {"warning": deletion.warning} if deletion.warning else {}
    audit.record(
        "client deleted",
        by=deletion.requested_by,
        agency=deletion.agency,
        subject=deletion.name,
        **details,
    )
