"""The way into a writing page: who may, for which organisation, and whether anything stands in the
way.
"""

from dataclasses import dataclass

from django.http import Http404, HttpRequest

from connections.integrations import Action
from connections.models import Connection, ConnectionState
from taskjuice.workspaces import gate
from taskjuice.workspaces.models import Workspace
from xero.api import scopes
from xero.ledger import scope


@dataclass(frozen=True, slots=True)
class Desk:
    """`connection` None: the workspace has none. `missing`: scopes that the grant lacks for this."""

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
        return scope.Place(self.workspace, self.connections, self.connection).base


def enter(request: HttpRequest, agency: str, workspace: str, action: Action) -> Desk:
    """`?organisation=` or the form's own field says which; one that is not of this client is not
    found.
    """
    place = gate.enter_workspace(request, agency, workspace, level=gate.WORK)
    connections = scope.of(place)
    given = request.POST.get("organisation") or request.GET.get("organisation")
    connection = connections[0] if connections else None
    if given:
        connection = next((one for one in connections if str(one.pk) == given), None)
        if connection is None:
            raise Http404("No such organisation here.")
    return of_connection(place, connections, connection, action)


def of_connection(
    workspace: Workspace,
    connections: list[Connection],
    connection: Connection | None,
    action: Action,
) -> Desk:
    missing = scopes.missing_scopes(action, connection.grant) if connection else []
    return Desk(workspace, connections, connection, missing)
