"""Whether webhooks still come: refused, silent, and how long until the provider gives the
subscription up.

Nobody tells that deliveries fail. It shows in requests that only came with a wrong signature, and
in changes that were found by reading although no delivery told of them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection as database
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from connections.models import Connection, ConnectionState, Event
from taskjuice.workspaces.gate import Scope

GIVEN_UP_AFTER = timedelta(
    hours=24
)  # Xero repeats a failing delivery for so long, then disables the subscription
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
class Health:
    """`state`: well, refused (a wrong key?) or silent (changes that no delivery told of). One for
    the whole app.
    """

    state: str
    since: datetime | None = None
    last_at: datetime | None = None  # the latest correctly signed delivery
    missed: int = 0

    @property
    def given_up_at(self) -> datetime | None:
        """When the provider disables the subscription if its deliveries have failed since then."""
        return self.since + GIVEN_UP_AFTER if self.since else None

    @property
    def is_given_up(self) -> bool:
        return self.given_up_at is not None and self.given_up_at <= timezone.now()


def concerning(scope: Scope) -> Health:
    """The app's, as far as it concerns this scope: where nothing is connected, nothing is missed."""
    health = of_app()
    living = Connection.objects.filter(workspace__in=scope.workspaces, state=ConnectionState.ACTIVE)
    return health if health.state == "well" or living.exists() else Health("well")


def of_app(provider: str = "xero") -> Health:
    """One query, by indexes."""
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
        return Health("refused", refused_since, last_at, missed)
    if missed:
        return Health("silent", missed_since, last_at, missed)
    return Health("well", last_at=last_at)


def unheard(scope: Scope | None = None) -> QuerySet[Connection]:
    """Connections with changes lately that were found by reading, none of which a webhook told
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
