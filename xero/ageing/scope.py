"""Whose books an ageing page adds up: the living organisations of an agency's clients, or of one
client.
"""

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
class Book:
    """One organisation's ledger. `read_at` None: never read to its end."""

    connection_id: int
    organisation: str
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
class Books:
    """Ordered by client, then organisation.

    Each organisation has its own day; `today` is the latest of them, which the page names.
    """

    all: tuple[Book, ...]

    @cached_property
    def today(self) -> date:
        return max((book.today for book in self.all), default=timezone.localdate())

    @cached_property
    def connection_ids(self) -> list[int]:
        return [book.connection_id for book in self.all]

    @cached_property
    def workspace_ids(self) -> list[int]:
        """In the order of the clients' names."""
        return list(dict.fromkeys(book.workspace_id for book in self.all))

    @cached_property
    def by_connection(self) -> dict[int, Book]:
        return {book.connection_id: book for book in self.all}

    @cached_property
    def by_workspace(self) -> dict[int, Book]:
        """One of each client's: enough to name the client."""
        return {book.workspace_id: book for book in reversed(self.all)}

    @cached_property
    def late(self) -> list[Book]:
        """Those whose figures are not of today: never read, or not lately."""
        return [book for book in self.all if book.is_late]

    @cached_property
    def days_differ(self) -> bool:
        return len({book.today for book in self.all}) > 1

    def narrowed(self, connection_id: str) -> "Books":
        """Only this organisation, if it is one of them."""
        found = next((book for book in self.all if str(book.connection_id) == connection_id), None)
        return Books((found,)) if found else self


def of(scope: Scope) -> Books:
    """One query. Of an agency: clients that are not archived."""
    rows = Connection.objects.filter(
        ~Q(state=ConnectionState.REVOKED), provider="xero", agency=scope.agency
    ).order_by("workspace__name", "workspace_id", "name", "pk")
    if scope.workspace is None:
        rows = rows.filter(workspace__archived_at=None)
    else:
        rows = rows.filter(workspace=scope.workspace)
    now = timezone.now()
    found: Iterable[tuple[Any, ...]] = rows.values_list(
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
    return Books(tuple(_book(row, now) for row in found))


def _book(row: tuple[Any, ...], now: datetime) -> Book:
    own_zone, client_zone, *facts = row
    zone = organisation_time.find_zone({"timezone": own_zone}) or ZoneInfo(client_zone)
    facts.append(now.astimezone(zone).date())
    return Book(*facts)
