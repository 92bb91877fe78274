"""The writing of audit entries."""

from typing import Any

from taskjuice.workspaces import addresses
from taskjuice.workspaces.models import Agency, AuditEntry, User, Workspace

# A person with an account, the name of one without (who opened a connect link), or None: the
# system.
Actor = User | str | None


def record(
    verb: str,
    *,
    by: Actor,
    agency: Agency,
    workspace: Workspace | None = None,
    subject: str = "",
    **details: Any,
) -> AuditEntry:
    """Record that `by` did `verb` to `subject`.

    `by` may be the name of a workflow or of a person without an account, or None for the system.
    `details` must be JSON and hold no secret; a change goes by `before` and `after`. The address is
    that of the request being answered; work in the background has none.
    """
    return AuditEntry.objects.create(
        agency=agency,
        workspace=workspace,
        workspace_name=workspace.name if workspace else "",
        actor=user_of(by),
        actor_name=(by.email if isinstance(by, User) else by or "TaskJuice")[:254],
        verb=verb,
        subject=subject[:200],
        address=addresses.current(),
        details=details,
    )


def user_of(actor: Actor) -> User | None:
    return actor if isinstance(actor, User) else None
