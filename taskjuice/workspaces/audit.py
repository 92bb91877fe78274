"""Writing the audit trail."""

from typing import Any

from taskjuice.workspaces import addresses
from taskjuice.workspaces.models import Agency, AuditEntry, User, Workspace


def record(
    verb: str,
    *,
    by: User | None,
    agency: Agency,
    workspace: Workspace | None = None,
    subject: str = "",
    **details: Any,
) -> AuditEntry:
    """Note that `by` (None: the system) did `verb` to `subject`. `details` must be JSON and hold no secret.

    The address is that of the request being answered; work in the background has none.
    """
    return AuditEntry.objects.create(
        agency=agency,
        workspace=workspace,
        actor=by,
        actor_name=by.email if by else "TaskJuice",
        verb=verb,
        subject=subject[:200],
        address=addresses.current(),
        details=details,
    )
