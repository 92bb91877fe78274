"""Deleting a workspace: it is gone for everybody at once, then a worker erases it table by table.

Providers are told before the tokens go, since telling them takes a token; after PATIENCE the tokens
are erased all the same. The audit trail stays.
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
    """Begin. Twice is once. From here on nobody can stop it."""
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
    """Go on with what nobody works on."""
    for pk in claims.waiting(Deletion.objects.filter(finished_at=None)).values_list(
        "pk", flat=True
    )[:20]:
        enqueue_task(TASK, pk)


def of_agency(agency: Agency) -> list[Deletion]:
    """The latest, newest first."""
    return list(agency.deletions.select_related("requested_by").order_by("-pk")[:50])


def take_turn(pk: int) -> None:
    """Go on with a deletion for a while. Harmless when it is finished or somebody else is at it."""
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
        if not _erased(holding, deletion.workspace_id, ends):
            with transaction.atomic():
                claims.give_back(row)
                enqueue_task(TASK, pk)
            return
    _finish(deletion)


def _is_held_up(deletion: Deletion, before: holdings.Parting) -> bool:
    late = Deletion.objects.filter(pk=deletion.pk, requested_at__lt=Now() - PATIENCE).exists()
    left = before(deletion.workspace_id, late)
    if left and late:
        logger.warning("deletion %s goes on although: %s", deletion.pk, left)
        deletion.warning = left[:300]
        deletion.save(update_fields=["warning"])
    return bool(left) and not late


def _erased(holding: Holding, workspace_id: int, ends: float) -> bool:
    """Erase these rows in batches; False when time is up before they are gone."""
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
