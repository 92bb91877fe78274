"""Queries of the pages about connections."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from connections import health
from connections.freshness import Freshness
from connections.integrations import registry
from connections.models import (
    Connection,
    ConnectionProblem,
    ConnectionState,
    Consent,
    Event,
    Grant,
    TokenRefresh,
)
from connections.oauth.cleanup import CHOOSE_WITHIN
from connections.providers import RemainingCalls, providers
from taskjuice.workspaces.gate import Scope
from taskjuice.workspaces.models import Agency, User, Workspace

# Most things work; a person who consents anew mends the rest
LACKS_RIGHTS = (ConnectionProblem.SCOPE_MISSING, ConnectionProblem.NOT_PERMITTED)
NEEDS_ATTENTION = Q(state=ConnectionState.ERROR) | Q(
    state=ConnectionState.ACTIVE, problem__in=LACKS_RIGHTS
)
FILTERS = {
    "connected": Q(state=ConnectionState.ACTIVE),
    "attention": NEEDS_ATTENTION,
    "pending": Q(state=ConnectionState.PENDING),
    "disconnected": Q(state=ConnectionState.REVOKED),
}
MOST_SELECTED = 500


@dataclass(frozen=True, slots=True)
class ConnectionCounts:
    connected: int
    attention: int
    pending: int
    disconnected: int
    slots_used: int
    slots: int | None  # None: no limit
    tier: str

    @property
    def is_full(self) -> bool:
        """Return whether the app's tier leaves no room for another organisation."""
        return self.slots is not None and self.slots_used >= self.slots

    @property
    def total(self) -> int:
        return self.connected + self.attention + self.pending + self.disconnected


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """One line of the list. `left` None: nothing was sent yet; `fresh` None: there is no local
    copy.
    """

    connection: Connection
    workflows: list[str]
    left: RemainingCalls | None
    day_limit: int
    fresh: Freshness | None
    writes: health.WriteCounts
    checks: list[health.HealthCheck]

    @property
    def trouble(self) -> health.HealthCheck | None:
        """Return the check that a person should see first."""
        return health.find_worst_check(self.checks)

    @property
    def needs_consent(self) -> bool:
        """Return whether reconnecting is what a person should do next."""
        broken = self.connection.state in {ConnectionState.ERROR, ConnectionState.REVOKED}
        return broken or self.connection.problem in LACKS_RIGHTS

    @property
    def minute_left(self) -> int | None:
        return self.left.minute_left if self.left else None

    @property
    def day_left(self) -> int | None:
        return self.left.day_left if self.left else None

    @property
    def state(self) -> str:
        paused = (
            self.connection.paused_at is not None
            and self.connection.state == ConnectionState.ACTIVE
        )
        return "paused" if paused else self.connection.state


@dataclass(frozen=True, slots=True)
class ActionScopes:
    """An action with the scopes it needs, and whether what was granted is enough."""

    title: str
    granted: bool
    needed: list[str]


@dataclass(frozen=True, slots=True)
class ConnectionDetail:
    row: ConnectionRow
    grant: Grant | None
    actions: list[ActionScopes]
    siblings: list[Connection]
    refreshes: list[TokenRefresh]
    events: list[Event]


def list_connections(scope: Scope, *, state: str = "", search: str = "") -> QuerySet[Connection]:
    """List connections, those that need a person first, then by client and name.

    Ended ones are listed only when asked for.
    """
    rows = list_in_scope(scope).select_related(
        "workspace", "connected_by", "connected_through", "grant"
    )
    rows = rows.filter(FILTERS[state]) if state else rows.filter(~FILTERS["disconnected"])
    if search:
        rows = rows.filter(
            Q(name__icontains=search)
            | Q(workspace__name__icontains=search)
            | Q(details__legal_name__icontains=search)
        )
    urgency = Case(
        When(NEEDS_ATTENTION, then=Value(0)),
        When(FILTERS["pending"], then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return rows.order_by(urgency, "workspace__name", "name", "pk")


def build_rows(found: list[Connection]) -> list[ConnectionRow]:
    using = providers.workflows_using([connection.pk for connection in found])
    ids = [connection.pk for connection in found]
    left, fresh = providers.left(found), providers.freshness(ids)
    now = timezone.now()
    writes = health.count_writes(found, now)
    return [
        _build_row(
            one,
            using[one.pk],
            left.get(one.pk),
            fresh.get(one.pk),
            writes.get(one.pk, health.WriteCounts()),
            now,
        )
        for one in found
    ]


def list_selected(scope: Scope, raw: Sequence[str]) -> list[Connection]:
    """List the live connections of the scope with these ids, given as text from an address.

    Text that is no id is ignored.
    """
    ids = {
        int(text)
        for text in raw[:MOST_SELECTED]
        if text.isascii() and text.isdigit() and len(text) < 19
    }
    found = list_in_scope(scope).filter(
        ~FILTERS["disconnected"], pk__in=ids, workspace__archived_at=None
    )
    return list(
        found.select_related(
            "workspace__agency", "agency", "grant", "connected_by", "connected_through"
        ).order_by("workspace__name", "name", "pk")
    )


def has_app(provider: str) -> bool:
    """Return whether this installation has an app at the provider."""
    return bool(providers[provider].app_id)


def count_connections(scope: Scope) -> ConnectionCounts:
    tallies = {name: Count("pk", filter=condition) for name, condition in FILTERS.items()}
    found = list_in_scope(scope).aggregate(**tallies)
    xero = providers["xero"]
    return ConnectionCounts(
        **found, slots_used=count_used_slots(xero.key), slots=xero.connection_limit, tier=xero.tier
    )


def find_unreturned_providers(agency: Agency, user: User) -> set[str]:
    """Return the providers to which this person went for consent recently without coming back.

    The last half minute does not count: a second tab is no trouble.
    """
    consents = Consent.objects.filter(
        agency=agency, user=user, created_at__gt=Now() - timedelta(hours=1)
    )
    last = consents.order_by("provider", "-pk").distinct("provider")
    late = Consent.objects.filter(
        pk__in=last.values("pk"), used_at=None, created_at__lt=Now() - timedelta(seconds=30)
    )
    return set(late.values_list("provider", flat=True))


def count_used_slots(provider: str) -> int:
    """Count the organisations that use up our app's tier at the provider, across all agencies."""
    live = Connection.objects.filter(~Q(state=ConnectionState.REVOKED), provider=provider)
    return live.values("tenant_id").distinct().count()


def find_connection(workspace: Workspace, pk: int) -> Connection | None:
    found = workspace.connections.select_related(
        "workspace__agency", "agency", "grant", "connected_by", "connected_through"
    )
    return found.filter(pk=pk).first()


def get_detail(connection: Connection) -> ConnectionDetail:
    grant = connection.grant
    siblings = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED),
        ~Q(pk=connection.pk),
        grant=grant,
        agency_id=connection.agency_id,
    )
    return ConnectionDetail(
        row=build_rows([connection])[0],
        grant=grant,
        actions=_list_action_scopes(connection.provider, set(grant.scopes if grant else ())),
        siblings=list(siblings.select_related("workspace").order_by("workspace__name", "name"))
        if grant
        else [],
        refreshes=list(grant.refreshes.order_by("-at")[:8]) if grant else [],
        events=list(connection.events.select_related("delivery").order_by("-received_at")[:10]),
    )


def list_unfinished_consents(scope: Scope, user: User) -> list[Consent]:
    """List this person's consents in the scope whose organisations are still to be chosen."""
    mine = Consent.objects.filter(
        agency=scope.agency,
        workspace__in=scope.workspaces,
        user=user,
        grant__isnull=False,
        finished_at=None,
        created_at__gt=Now() - CHOOSE_WITHIN,
    )
    return list(mine.select_related("workspace", "agency").order_by("-created_at"))


def list_in_scope(scope: Scope) -> QuerySet[Connection]:
    found = Connection.objects.filter(agency=scope.agency)
    return found if scope.workspace is None else found.filter(workspace=scope.workspace)


def _build_row(
    connection: Connection,
    workflows: list[str],
    left: RemainingCalls | None,
    fresh: Freshness | None,
    writes: health.WriteCounts,
    now: datetime,
) -> ConnectionRow:
    return ConnectionRow(
        connection=connection,
        workflows=workflows,
        left=left,
        day_limit=providers[connection.provider].daily_limit,
        fresh=fresh,
        writes=writes,
        checks=health.list_checks(connection, writes=writes, left=left, now=now),
    )


def _list_action_scopes(provider: str, granted: set[str]) -> list[ActionScopes]:
    """Compare the scopes of each action with those granted. They are alternatives: any one is
    enough.
    """
    return [
        ActionScopes(
            action.title, not action.scopes or bool(action.scopes & granted), sorted(action.scopes)
        )
        for key, action in sorted(registry.actions.items())
        if key.startswith(f"{provider}/")
    ]


def list_workspaces_to_connect(agency: Agency) -> QuerySet[Workspace]:
    return agency.workspaces.filter(archived_at=None).order_by("name")
