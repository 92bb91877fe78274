"""The organisations that an ageing page adds up: those of an agency's clients, or of one client."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.utils import timezone

from connections import organisation_time
from connections.freshness import LATE
from connections.models import Connection, ConnectionState
from taskjuice.workspaces.gate import Scope


@dataclass(frozen=True, slots=True)
class AgeingOrganisation:
    """An organisation and its client. `read_at` is None if its ledger was never read to the end."""

    connection_id: int
    name: str
    state: str
    workspace_id: int
    client: str
    slug: str
    read_at: datetime | None
    today: date

    @property
    def is_late(self) -> bool:
        return self.read_at is None or self.read_at < timezone.now() - LATE


@dataclass(frozen=True)
class AgeingOrganisations:
    """Organisations ordered by client and name.

    Each one has its own day; `today` is the latest of them, which the page names.
    """

    all: tuple[AgeingOrganisation, ...]

    @cached_property
    def today(self) -> date:
        return max((organisation.today for organisation in self.all), default=timezone.localdate())

    @cached_property
    def connection_ids(self) -> list[int]:
        return [organisation.connection_id for organisation in self.all]

    @cached_property
    def workspace_ids(self) -> list[int]:
        """Return the clients in the order of their names."""
        return list(dict.fromkeys(organisation.workspace_id for organisation in self.all))

    @cached_property
    def by_connection(self) -> dict[int, AgeingOrganisation]:
        return {organisation.connection_id: organisation for organisation in self.all}

    @cached_property
    def by_workspace(self) -> dict[int, AgeingOrganisation]:
        """Return one organisation of each client, which is enough to name the client."""
        return {organisation.workspace_id: organisation for organisation in reversed(self.all)}

    @cached_property
    def late(self) -> list[AgeingOrganisation]:
        """Return the organisations that were never read, or not recently."""
        return [organisation for organisation in self.all if organisation.is_late]

    @cached_property
    def days_differ(self) -> bool:
        return len({organisation.today for organisation in self.all}) > 1

    def narrow_to(self, connection_id: str) -> "AgeingOrganisations":
        """Return only this organisation, or all of them if it is not among them."""
        chosen = tuple(row for row in self.all if str(row.connection_id) == connection_id)
        return AgeingOrganisations(chosen) if chosen else self


def list_organisations(scope: Scope) -> AgeingOrganisations:
    """Return the organisations of the client, or of all clients that are not archived."""
    rows = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED), provider="xero", agency=scope.agency
    ).order_by("workspace__name", "workspace_id", "name", "pk")
    if scope.workspace is None:
        rows = rows.filter(workspace__archived_at=None)
    else:
        rows = rows.filter(workspace=scope.workspace)
    now = timezone.now()
    facts: Iterable[tuple[Any, ...]] = rows.values_list(
        "details__timezone",
        "workspace__timezone",
        "pk",
        "name",
        "state",
        "workspace_id",
        "workspace__name",
        "workspace__slug",
        "ledger__finished_at",
    )
    return AgeingOrganisations(tuple(_parse_row(row, now) for row in facts))


def _parse_row(row: tuple[Any, ...], now: datetime) -> AgeingOrganisation:
    own_zone, client_zone, *facts = row
    zone = organisation_time.find_zone({"timezone": own_zone}) or ZoneInfo(client_zone)
    facts.append(now.astimezone(zone).date())
    return AgeingOrganisation(*facts)
