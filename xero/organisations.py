"""The facts of an organisation that pages and writes need."""

from typing import Any

from connections import lifecycle
from connections.models import Connection
from xero.api import time_zones
from xero.records.fields import Body
from xero.records.master_data import parse_organisation


def read_ledger_fields(body: Body) -> dict[str, Any]:
    """Return the fields of a Ledger from Xero's Organisation. Nothing dated up to a lock date can
    change.
    """
    organisation = parse_organisation(body)
    return {
        "base_currency": organisation.currency,
        "short_code": organisation.short_code,
        "period_lock_date": organisation.period_lock_date,
        "year_end_lock_date": organisation.year_end_lock_date,
        "organisation": dict(body),
    }


def read_connection_details(body: Body) -> dict[str, Any]:
    """Return the details that a connection keeps of its organisation."""
    organisation = parse_organisation(body)
    return {
        "name": organisation.name,
        "legal_name": organisation.legal_name,
        "country": organisation.country,
        "currency": organisation.currency,
        "timezone": time_zones.find_iana_name(organisation.time_zone),
        "timezone_name": time_zones.find_readable_name(organisation.time_zone),
        "short_code": organisation.short_code,
        "demo": organisation.is_demo,
    }


def update_connection(connection: Connection, body: Body) -> None:
    """Update the connection's name and details from its organisation, inside a transaction."""
    details = read_connection_details(body)
    current = (
        Connection.objects.select_for_update(no_key=True).select_related(None).get(pk=connection.pk)
    )
    if (details.pop("name") or current.name, details) != (current.name, current.details):
        lifecycle.store_details(current, read_connection_details(body), by=None)
