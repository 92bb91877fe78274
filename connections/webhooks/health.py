"""The health of webhooks: refused, silent, and how long until the provider disables the
subscription.

The provider does not report failing deliveries. They show in requests that only came with a wrong
signature, and in changes found by reading that no delivery reported.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection as database
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from connections.models import Connection, ConnectionState, Event
from taskjuice.workspaces.gate import Scope

# Xero repeats a failing delivery for so long, then disables the subscription.
GIVEN_UP_AFTER = timedelta(hours=24)
LOOKED_AT = timedelta(hours=24)
REFUSED_MINUTES = (
    3  # in fewer different minutes it may be anybody's noise, or the provider's own check
)

HEALTH = """
WITH last AS (
    SELECT max(received_at) AS at FROM (
        SELECT received_at FROM connections_delivery WHERE provider = %(provider)s
         ORDER BY received_at DESC LIMIT 1) d
)
SELECT last.at, refused.minutes, refused.since, missed.number, missed.since
  FROM last,
       LATERAL (SELECT count(*) AS minutes, min(minute) AS since FROM connections_refusal
                 WHERE provider = %(provider)s AND minute > clock_timestamp() - %(hours)s * interval '1 hour'
                   AND (last.at IS NULL OR minute > last.at)) refused,
       LATERAL (SELECT count(*) AS number, min(e.occurred_at) AS since FROM connections_event e
                 WHERE e.recovered AND e.received_at > clock_timestamp() - %(hours)s * interval '1 hour'
                   AND (last.at IS NULL OR e.occurred_at > last.at)) missed
"""


@dataclass(frozen=True, slots=True)
class WebhookHealth:
    """The health of the app's one subscription.

    `state` is well, refused (a wrong key?) or silent (changes that no delivery reported).
    """

    state: str
    since: datetime | None = None
    last_at: datetime | None = None  # the latest correctly signed delivery
    missed: int = 0

    @property
    def given_up_at(self) -> datetime | None:
        """Return when the provider disables the subscription if deliveries have failed since then."""
        return self.since + GIVEN_UP_AFTER if self.since else None

    @property
    def is_given_up(self) -> bool:
        return self.given_up_at is not None and self.given_up_at <= timezone.now()


def get_scope_health(scope: Scope) -> WebhookHealth:
    """Return the app's health as it concerns this scope: without a connection nothing is missed."""
    health = get_app_health()
    living = Connection.objects.filter(workspace__in=scope.workspaces, state=ConnectionState.ACTIVE)
    return health if health.state == "well" or living.exists() else WebhookHealth("well")


def get_app_health(provider: str = "xero") -> WebhookHealth:
    """Return the health of the app's subscription, in one query by indexes."""
    with database.cursor() as cursor:
        cursor.execute(HEALTH, {"provider": provider, "hours": LOOKED_AT.total_seconds() / 3600})
        last_at, minutes, refused_since, missed, missed_since = cursor.fetchone() or (
            None,
            0,
            None,
            0,
            None,
        )
    if minutes >= REFUSED_MINUTES:
        return WebhookHealth("refused", refused_since, last_at, missed)
    if missed:
        return WebhookHealth("silent", missed_since, last_at, missed)
    return WebhookHealth("well", last_at=last_at)


def list_silent_connections(scope: Scope | None = None) -> QuerySet[Connection]:
    """List connections with recent changes found by reading, none of which a webhook reported
    since.
    """
    found = Event.objects.filter(
        Q(connection__last_webhook_at=None) | Q(occurred_at__gt=F("connection__last_webhook_at")),
        recovered=True,
        received_at__gt=Now() - LOOKED_AT,
    )
    if scope is not None:
        found = found.filter(workspace__in=scope.workspaces)
    connections = Connection.objects.filter(
        pk__in=found.values("connection"), state=ConnectionState.ACTIVE
    )
    return connections.order_by("workspace__name", "name", "pk")
