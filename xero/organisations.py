"""What an organisation says of itself that pages and writes need to know."""

from typing import Any

from connections import lifecycle
from connections.models import Connection
from xero.api import time_zones
from xero.records.fields import Body
from xero.records.master_data import parse_organisation


def facts(body: Body) -> dict[str, Any]:
    """The fields of a Ledger from Xero's Organisation. Lock dates: nothing dated up to them can be
    changed.
    """
    organisation = parse_organisation(body)
    return {
        "base_currency": organisation.currency,
        "short_code": organisation.short_code,
        "period_lock_date": organisation.period_lock_date,
        "year_end_lock_date": organisation.year_end_lock_date,
        "organisation": dict(body),
    }


def describe(body: Body) -> dict[str, Any]:
    """Return what a connection keeps of its organisation."""
    organisation = parse_organisation(body)
    return {
        "name": organisation.name,
        "legal_name": organisation.legal_name,
        "country": organisation.country,
        "currency": organisation.currency,
        "timezone": time_zones.iana(organisation.time_zone),
        "timezone_name": time_zones.words(organisation.time_zone),
        "short_code": organisation.short_code,
        "demo": organisation.is_demo,
    }


def follow(connection: Connection, body: Body) -> None:
    """Have the connection say what its organisation says now; inside a transaction."""
    details = describe(body)
    current = (
        Connection.objects.select_for_update(no_key=True).select_related(None).get(pk=connection.pk)
    )
    if (details.pop("name") or current.name, details) != (current.name, current.details):
        lifecycle.follow_details(current, describe(body), by=None)
