"""Access to the pages that write: who may, for which organisation, and what blocks it."""

from dataclasses import dataclass

from django.http import Http404, HttpRequest

from connections.integrations import Action
from connections.models import Connection, ConnectionState
from taskjuice.workspaces import gate
from taskjuice.workspaces.models import Workspace
from xero.api import scopes
from xero.ledger import scope


@dataclass(frozen=True, slots=True)
class WriteAccess:
    """The organisation that a page writes to, and what blocks it.

    `connection` is None if the workspace has none. `missing` holds the scopes that its grant lacks
    for this action.
    """

    workspace: Workspace
    connections: list[Connection]
    connection: Connection | None
    missing: list[str]

    @property
    def is_blocked(self) -> bool:
        return bool(
            self.connection is None or self.missing or not self.is_active or self.is_archived
        )

    @property
    def is_archived(self) -> bool:
        return self.workspace.archived_at is not None

    @property
    def is_active(self) -> bool:
        return self.connection is not None and self.connection.state == ConnectionState.ACTIVE

    @property
    def base(self) -> str:
        return scope.LedgerScope(self.workspace, self.connections, self.connection).base


def enter_write_page(
    request: HttpRequest, agency: str, workspace: str, action: Action
) -> WriteAccess:
    """Return the access to the organisation that the query or the form names, else to the first.

    Raises Http404 for an organisation that is not of this client.
    """
    client = gate.enter_workspace(request, agency, workspace, level=gate.WORK)
    connections = scope.list_connections(client)
    chosen = request.POST.get("organisation") or request.GET.get("organisation")
    connection = connections[0] if connections else None
    if chosen:
        connection = next((row for row in connections if str(row.pk) == chosen), None)
        if connection is None:
            raise Http404("No such organisation here.")
    return check_access(client, connections, connection, action)


def check_access(
    workspace: Workspace,
    connections: list[Connection],
    connection: Connection | None,
    action: Action,
) -> WriteAccess:
    missing = scopes.list_missing_scopes(action, connection.grant) if connection else []
    return WriteAccess(workspace, connections, connection, missing)
