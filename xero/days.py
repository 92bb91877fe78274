"""Accounting days: plain dates, and dates relative to another ("+30", "eom") that are resolved when
a step runs.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

from taskjuice.json_dates import parse_json_date

RELATIVE = re.compile(r"([+-])\s*(\d{1,4})\s*([dwm]?)", re.IGNORECASE)
WORDS = {"today": 0, "tomorrow": 1, "yesterday": -1}
EARLIEST, LATEST = date(1900, 1, 1), date(2999, 12, 31)


@dataclass(frozen=True, slots=True)
class Day:
    """A day as a form holds it: fixed, or a number of days, months or month ends after another."""

    fixed: date | None = None
    days: int = 0
    months: int = 0
    end_of_month: bool = False

    def on(self, base: date) -> date:
        """Return the date, counted from `base`. Raises ValueError where the calendar ends."""
        if self.fixed is not None:
            return self.fixed
        try:
            day = _add_months(base, self.months) + timedelta(days=self.days)
        except OverflowError as error:
            raise ValueError("beyond the calendar") from error
        return day.replace(day=_days_in(day)) if self.end_of_month else day


def parse_day(text: str) -> Day:
    """Parse a date or a relative day; raise ValueError for anything else.

    Dates: 2026-11-30, 30/11/2026, and Xero's own /Date(1763856000000+0000)/. Relative: "+30",
    "+2w", "+1m", "eom", "eom +10", "today". "eom" is the last day of the month of the day it is
    counted from, "+1m eom" that of the next.
    """
    words = text.strip().lower()
    if words in WORDS:
        return Day(days=WORDS[words])
    if words == "eom":
        return Day(end_of_month=True)
    if words.endswith("eom") and (match := RELATIVE.fullmatch(words.removesuffix("eom").strip())):
        relative = _parse_relative(match)
        return Day(days=relative.days, months=relative.months, end_of_month=True)
    if match := RELATIVE.fullmatch(words):
        return _parse_relative(match)
    return Day(fixed=_parse_date(text.strip()))


def _parse_relative(match: re.Match[str]) -> Day:
    count = int(match[1] + match[2])
    unit = match[3].lower()
    if unit == "m":
        return Day(months=count)
    return Day(days=count * (7 if unit == "w" else 1))


def _parse_date(text: str) -> date:
    if match := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)(?:T00:00:00)?", text, re.ASCII):
        day = date(int(match[1]), int(match[2]), int(match[3]))
    elif match := re.fullmatch(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})", text, re.ASCII):
        day = date(int(match[3]), int(match[2]), int(match[1]))
    elif instant := parse_json_date(text):
        day = instant.date()
    else:
        raise ValueError(f"not a day: {text!r}")
    if not EARLIEST <= day <= LATEST:
        raise ValueError(f"out of range: {text!r}")
    return day


def _add_months(base: date, months: int) -> date:
    month_count = base.year * 12 + base.month - 1 + months
    year, month = divmod(month_count, 12)
    if not EARLIEST.year <= year <= LATEST.year:
        raise ValueError("beyond the calendar")
    return base.replace(
        year=year, month=month + 1, day=min(base.day, monthrange(year, month + 1)[1])
    )


def _days_in(day: date) -> int:
    return monthrange(day.year, day.month)[1]
