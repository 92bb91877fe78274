"""The content of a 429: which limit was met and for how long (facts 2 and 10).

`Retry-After` is a number of seconds as a rule; behind some proxies it is a date, and it can be
missing or nonsense. Which limit was met stands in `X-Rate-Limit-Problem`; without that, it is the
limit of which nothing is left.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from django.utils import timezone

MINUTE, DAY, CONCURRENT, APP = "minute", "day", "concurrent", "app"
MINUTE_SECONDS = 60.0
DAY_SECONDS = 86_400.0
# A window of Xero's cannot last longer than this, whatever the header claims.
LONGEST = {
    MINUTE: MINUTE_SECONDS,
    APP: MINUTE_SECONDS,
    CONCURRENT: MINUTE_SECONDS,
    DAY: DAY_SECONDS,
}
REMAINING = {
    "X-DayLimit-Remaining": DAY,
    "X-MinLimit-Remaining": MINUTE,
    "X-AppMinLimit-Remaining": APP,
}
REASONS = {
    MINUTE: "Xero takes no more calls a minute for this organisation.",
    DAY: "Xero takes no more calls a day for this organisation.",
    CONCURRENT: "Xero takes no more calls at once for this organisation.",
    APP: "Xero takes no more calls a minute from TaskJuice.",
    "": "Xero takes no more calls in this time.",
}
SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
COUNT = re.compile(r"\d{1,9}", re.ASCII)
MARGIN_SECONDS = (
    0.2  # after the end that Xero names, so that the next call is not a moment too early
)


@dataclass(frozen=True, slots=True)
class MetLimit:
    """A limit that was met. `kind` is a key of REASONS; `seconds` is None without a usable time."""

    kind: str
    seconds: float | None


def read_refusal(headers: Mapping[str, str]) -> MetLimit:
    """Return which limit the headers of a 429 are about, and for how long it holds."""
    kind = _read_kind(headers)
    seconds = read_retry_after(headers)
    if seconds is None:
        return MetLimit(kind, None)
    return MetLimit(kind, min(seconds + MARGIN_SECONDS, LONGEST.get(kind, DAY_SECONDS)))


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for; None where it says nothing usable, or nothing
    to wait for.
    """
    text = headers.get("Retry-After", "").strip()
    seconds = (
        float(text) if SECONDS.fullmatch(text) else _seconds_until(text, headers.get("Date", ""))
    )
    return seconds if seconds and seconds > 0 else None


def read_count(headers: Mapping[str, str], name: str) -> int | None:
    """Return a header's whole number; None where it is missing or no such number."""
    text = headers.get(name, "").strip()
    return int(text) if COUNT.fullmatch(text) else None


def _read_kind(headers: Mapping[str, str]) -> str:
    problem = headers.get("X-Rate-Limit-Problem", "").strip().lower()
    if problem.startswith(APP):
        return APP
    if problem in REASONS and problem:
        return problem
    return next((kind for name, kind in REMAINING.items() if read_count(headers, name) == 0), "")


def _seconds_until(text: str, sent_at: str) -> float | None:
    """Return the seconds from the answer's own Date: the clocks of two machines differ."""
    until = _http_date(text)
    if until is None:
        return None
    return (until - (_http_date(sent_at) or timezone.now())).total_seconds()


def _http_date(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
