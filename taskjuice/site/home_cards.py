"""What the home pages show, card by card. Each is asked of the database when its card is drawn."""

from functools import cached_property

from django.db.models import Case, IntegerField, Value, When

from connections.models import Connection, ConnectionState
from taskjuice.site.attention import Attention, place_url
from taskjuice.workspaces.gate import Scope
from workflows.models import Activation

SHOWN = 8
WORST_FIRST = {ConnectionState.ERROR: 0, ConnectionState.PENDING: 1, ConnectionState.ACTIVE: 2}


class Cards:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.attention = Attention(scope)

    @cached_property
    def connections(self) -> list[Connection]:
        """Living connections, those that need a person first."""
        rank = Case(
            *(When(state=state, then=Value(place)) for state, place in WORST_FIRST.items()),
            default=Value(3),
            output_field=IntegerField(),
        )
        rows = Connection.objects.filter(agency=self.scope.agency).exclude(state=ConnectionState.REVOKED)
        if self.scope.workspace is not None:
            rows = rows.filter(workspace=self.scope.workspace)
        return list(rows.select_related("workspace").order_by(rank, "workspace__name", "id")[:SHOWN])

    @cached_property
    def activations(self) -> list[Activation]:
        """The newest ones."""
        rows = Activation.objects.filter(agency=self.scope.agency)
        if self.scope.workspace is not None:
            rows = rows.filter(workspace=self.scope.workspace)
        return list(rows.select_related("workspace").order_by("-id")[:SHOWN])

    @property
    def connections_href(self) -> str:
        return place_url(self.scope, "connections:connection-list")

    @property
    def activations_href(self) -> str:
        return place_url(self.scope, "workflows:activation-list")
