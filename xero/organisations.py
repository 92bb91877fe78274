"""What an organisation says of itself that pages and writes need to know."""

from typing import Any

from xero.body_fields import Body
from xero.master_records import parse_organisation


def facts(body: Body) -> dict[str, Any]:
    """The fields of a Ledger from Xero's Organisation. Lock dates: nothing dated up to them can be changed."""
    organisation = parse_organisation(body)
    return {
        "base_currency": organisation.currency,
        "short_code": organisation.short_code,
        "period_lock_date": organisation.period_lock_date,
        "year_end_lock_date": organisation.year_end_lock_date,
        "organisation": dict(body),
    }
