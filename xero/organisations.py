"""What an organisation says of itself that pages and writes need to know."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from xero import wire


def facts(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Ledger from Xero's Organisation. Lock dates: nothing dated up to them can be changed."""
    return {
        "base_currency": str(body.get("BaseCurrency") or "")[:10],
        "short_code": str(body.get("ShortCode") or "")[:20],
        "period_lock_date": _day(body.get("PeriodLockDate")),
        "year_end_lock_date": _day(body.get("EndOfYearLockDate")),
        "organisation": dict(body),
    }


def _day(text: Any) -> date | None:
    try:
        return wire.day(text) if isinstance(text, str) else None
    except ValueError:
        return None
