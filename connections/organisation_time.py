"""The local date and time of an organisation, for pages, forms, ageing, triggers, steps and
schedules.

Documents belong to an organisation, and its days are those of its own time zone at the provider,
wherever the person who looks is, and whichever other organisations the client has. The client's
zone is the fallback where the organisation's is not known.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import F, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, NullIf
from django.utils import timezone

from connections.models import Connection

# What `name_zone` returns, as a query of rows with a connection has it.
ZONE_NAME = Coalesce(
    NullIf(KeyTextTransform("timezone", "connection__details"), Value("")),
    F("connection__workspace__timezone"),
)


def zone_of(connection: Connection) -> ZoneInfo:
    """Return the organisation's time zone. Load `connection` with its workspace to save a query."""
    return find_zone(connection.details) or ZoneInfo(connection.workspace.timezone)


def name_zone(connection: Connection) -> str:
    """Return the name of the organisation's time zone as the provider gives it, else the client's."""
    return str(connection.details.get("timezone") or connection.workspace.timezone)


def find_zone(details: Mapping[str, Any]) -> ZoneInfo | None:
    """Return the zone that an organisation's details name; None where the name is missing or
    unknown.
    """
    name = details.get("timezone")
    try:
        return ZoneInfo(name) if isinstance(name, str) and name else None
    except (ZoneInfoNotFoundError, ValueError):  # ValueError: no name of a zone at all
        return None


def now_in(connection: Connection) -> datetime:
    return timezone.now().astimezone(zone_of(connection))


def use_time_zone(connection: Connection) -> timezone.override:
    """Return a context in which "today" of expressions and local times are the organisation's."""
    return timezone.override(zone_of(connection))


def today_in(connection: Connection) -> date:
    """Return the current date in the organisation."""
    return now_in(connection).date()
