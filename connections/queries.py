"""What the pages about connections show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, Count, IntegerField, Max, Q, QuerySet, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from connections import health
from connections.freshness import Freshness
from connections.integrations import Gap, registry
from connections.models import (
    Connection,
    ConnectionProblem,
    ConnectionState,
    Consent,
    Delivery,
    Event,
    Grant,
    Refusal,
    TokenRefresh,
)
from connections.oauth.cleanup import CHOOSE_WITHIN
from connections.providers import Left, Provider, providers
from connections.webhooks import health as webhook_health
from connections.webhooks.health import Health
from connections.webhooks.queries import verdicts_lately
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
PROBE_GAP = timedelta(minutes=2)  # probes of one check come within this
SLOW_TO_DISABLE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Counts:
    connected: int
    attention: int
    pending: int
    disconnected: int
    slots_used: int
    slots: int | None  # None: no limit
    tier: str

    @property
    def is_full(self) -> bool:
        """Whether the app's tier leaves no room for another organisation."""
        return self.slots is not None and self.slots_used >= self.slots

    @property
    def total(self) -> int:
        return self.connected + self.attention + self.pending + self.disconnected


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list. `left` None: nothing was sent to the tenant yet; `fresh` None: no local
    copy.
    """

    connection: Connection
    workflows: list[str]
    left: Left | None
    day_limit: int
    fresh: Freshness | None
    writes: health.Writes
    checks: list[health.Check]

    @property
    def trouble(self) -> health.Check | None:
        """What a person should hear first."""
        return health.worst(self.checks)

    @property
    def needs_consent(self) -> bool:
        """Whether reconnecting is what a person should do next."""
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
    """Whether what was granted is enough for an action."""

    title: str
    granted: bool
    needed: list[str]


@dataclass(frozen=True, slots=True)
class Detail:
    row: Row
    grant: Grant | None
    actions: list[ActionScopes]
    siblings: list[Connection]
    refreshes: list[TokenRefresh]
    events: list[Event]


@dataclass(frozen=True, slots=True)
class Probes:
    """One intent-to-receive check: requests with a right signature and ones with a wrong one."""

    at: datetime
    answered_200: int
    answered_401: int
    right: list[datetime]
    wrong: list[tuple[datetime, int]]  # how many in the minute that begins then

    @property
    def passed(self) -> bool:
        return self.answered_200 > 0 and self.answered_401 > 0


@dataclass(frozen=True, slots=True)
class WebhookPanel:
    provider: Provider
    url: str
    has_key: bool
    probes: list[Probes]
    last_delivery_at: datetime | None  # of any agency: one subscription serves the whole app
    last_event_at: datetime | None  # of this scope's connections
    refused_lately: int
    waiting: int
    gaps: Sequence[Gap]
    verdicts: list[tuple[str, int]]  # of the whole app, last 24 hours
    health: Health

    @property
    def state(self) -> str:
        """validated, half (only one kind of probe came), refused, or none."""
        if self.last_event_at or any(probe.passed for probe in self.probes):
            return "validated"
        if any(probe.answered_200 for probe in self.probes):
            return "half"
        return "refused" if self.refused_lately else "none"


def connections(scope: Scope, *, state: str = "", search: str = "") -> QuerySet[Connection]:
    """What needs a person first, then by client and name. Ended ones only when asked for."""
    rows = _in(scope).select_related("workspace", "connected_by", "connected_through", "grant")
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


def rows(found: list[Connection]) -> list[Row]:
    using = providers.workflows_using([connection.pk for connection in found])
    ids = [connection.pk for connection in found]
    left, fresh = providers.left(found), providers.freshness(ids)
    now = timezone.now()
    writes = health.writes_of(found, now)
    return [
        _row(
            one,
            using[one.pk],
            left.get(one.pk),
            fresh.get(one.pk),
            writes.get(one.pk, health.Writes()),
            now,
        )
        for one in found
    ]


def selected(scope: Scope, raw: Sequence[str]) -> list[Connection]:
    """The live connections of these ids (as text, from an address) that stand in the scope;
    nonsense is left out.
    """
    ids = {
        int(text)
        for text in raw[:MOST_SELECTED]
        if text.isascii() and text.isdigit() and len(text) < 19
    }
    found = _in(scope).filter(~FILTERS["disconnected"], pk__in=ids, workspace__archived_at=None)
    return list(
        found.select_related(
            "workspace__agency", "agency", "grant", "connected_by", "connected_through"
        ).order_by("workspace__name", "name", "pk")
    )


def app_is_set(provider: str) -> bool:
    """Whether this installation has an app at the provider."""
    return bool(providers[provider].app_id)


def counts(scope: Scope) -> Counts:
    tallies = {name: Count("pk", filter=condition) for name, condition in FILTERS.items()}
    found = _in(scope).aggregate(**tallies)
    xero = providers["xero"]
    return Counts(
        **found, slots_used=slots_used(xero.key), slots=xero.connection_limit, tier=xero.tier
    )


def providers_not_back_from(agency: Agency, user: User) -> set[str]:
    """Return the providers to which this person went for consent lately and from which nothing came
    back since.

    Not those of the last half minute: a second tab is no trouble.
    """
    consents = Consent.objects.filter(
        agency=agency, user=user, created_at__gt=Now() - timedelta(hours=1)
    )
    last = consents.order_by("provider", "-pk").distinct("provider")
    late = Consent.objects.filter(
        pk__in=last.values("pk"), used_at=None, created_at__lt=Now() - timedelta(seconds=30)
    )
    return set(late.values_list("provider", flat=True))


def slots_used(provider: str) -> int:
    """Connections that count against our app's tier there: organisations, whoever connected them."""
    live = Connection.objects.filter(~Q(state=ConnectionState.REVOKED), provider=provider)
    return live.values("tenant_id").distinct().count()


def one(workspace: Workspace, pk: int) -> Connection | None:
    found = workspace.connections.select_related(
        "workspace__agency", "agency", "grant", "connected_by", "connected_through"
    )
    return found.filter(pk=pk).first()


def detail(connection: Connection) -> Detail:
    grant = connection.grant
    siblings = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED),
        ~Q(pk=connection.pk),
        grant=grant,
        agency_id=connection.agency_id,
    )
    return Detail(
        row=rows([connection])[0],
        grant=grant,
        actions=_scopes_of_actions(connection.provider, set(grant.scopes if grant else ())),
        siblings=list(siblings.select_related("workspace").order_by("workspace__name", "name"))
        if grant
        else [],
        refreshes=list(grant.refreshes.order_by("-at")[:8]) if grant else [],
        events=list(connection.events.select_related("delivery").order_by("-received_at")[:10]),
    )


def unfinished(scope: Scope, user: User) -> list[Consent]:
    """This person's consents here whose organisations are still to be chosen."""
    mine = Consent.objects.filter(
        agency=scope.agency,
        workspace__in=scope.workspaces,
        user=user,
        grant__isnull=False,
        finished_at=None,
        created_at__gt=Now() - CHOOSE_WITHIN,
    )
    return list(mine.select_related("workspace", "agency").order_by("-created_at"))


def webhook_panel(scope: Scope, *, url: str, has_key: bool) -> WebhookPanel:
    deliveries = Delivery.objects.filter(provider="xero")
    refused = Refusal.objects.filter(provider="xero", minute__gt=Now() - SLOW_TO_DISABLE)
    return WebhookPanel(
        provider=providers["xero"],
        url=url,
        has_key=has_key,
        probes=_probes(),
        last_delivery_at=deliveries.aggregate(at=Max("received_at"))["at"],
        last_event_at=_in(scope).aggregate(at=Max("last_webhook_at"))["at"],
        refused_lately=sum(refused.values_list("count", flat=True)),
        waiting=deliveries.filter(state="waiting").count(),
        gaps=registry.webhooks["xero"].gaps(),
        verdicts=verdicts_lately(),
        health=webhook_health.concerning(scope),
    )


def _in(scope: Scope) -> QuerySet[Connection]:
    found = Connection.objects.filter(agency=scope.agency)
    return found if scope.workspace is None else found.filter(workspace=scope.workspace)


def _row(
    connection: Connection,
    workflows: list[str],
    left: Left | None,
    fresh: Freshness | None,
    writes: health.Writes,
    now: datetime,
) -> Row:
    return Row(
        connection=connection,
        workflows=workflows,
        left=left,
        day_limit=providers[connection.provider].daily_limit,
        fresh=fresh,
        writes=writes,
        checks=health.checks(connection, writes=writes, left=left, now=now),
    )


def _scopes_of_actions(provider: str, granted: set[str]) -> list[ActionScopes]:
    """An action's scopes are alternatives: any one of them is enough."""
    return [
        ActionScopes(
            action.title, not action.scopes or bool(action.scopes & granted), sorted(action.scopes)
        )
        for key, action in sorted(registry.actions.items())
        if key.startswith(f"{provider}/")
    ]


def _probes() -> list[Probes]:
    """The latest intent-to-receive checks: empty deliveries, with the refused requests around each."""
    checks = Delivery.objects.filter(provider="xero", verdict="intent to receive").order_by(
        "-received_at"
    )
    groups: list[list[datetime]] = []
    for at in checks.values_list("received_at", flat=True)[:30]:
        if groups and groups[-1][-1] - at < PROBE_GAP:
            groups[-1].append(at)
        else:
            groups.append([at])
    return [_probe(group) for group in groups[:3]]


def _probe(group: list[datetime]) -> Probes:
    around = Refusal.objects.filter(
        provider="xero", last_at__gt=group[-1] - PROBE_GAP, minute__lt=group[0] + PROBE_GAP
    )
    wrong = list(around.order_by("minute").values_list("minute", "count"))
    return Probes(group[-1], len(group), sum(count for _, count in wrong), group[::-1], wrong)


def workspaces_to_connect(agency: Agency) -> QuerySet[Workspace]:
    return agency.workspaces.filter(archived_at=None).order_by("name")
