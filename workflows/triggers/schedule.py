"""Due times of schedules, by the client's wall clock.

A run in a skipped hour follows as soon as the clocks have jumped; a run in a doubled hour happens
once, in the first round.
"""

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

LEAST_MINUTES, MOST_MINUTES = 5, 1440
MINUTES, DAY, WORKDAY, WEEK, MONTH = "minutes", "day", "workday", "week", "month"
WEEKDAYS = list(calendar.day_name)
LOOK_BACK = timedelta(days=32)  # the longest way from one due time to the next


EVERY = (
    (MINUTES, "every so many minutes"),
    (DAY, "every day"),
    (WORKDAY, "Monday to Friday"),
    (WEEK, "once a week"),
    (MONTH, "once a month"),
)


class ScheduleForm(forms.Form):
    every = forms.ChoiceField(
        label="Runs",
        initial=DAY,
        choices=EVERY,
    )
    at = forms.TimeField(
        label="At",
        required=False,
        initial="09:00",
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        help_text="In the organisation’s time zone. Not for minutes.",
    )
    minutes = forms.IntegerField(
        label="Minutes in between",
        required=False,
        min_value=LEAST_MINUTES,
        max_value=MOST_MINUTES,
        help_text=f"{LEAST_MINUTES} or more, counted from midnight.",
    )
    weekday = forms.ChoiceField(
        label="Weekday",
        required=False,
        initial="0",
        choices=[(str(number), name) for number, name in enumerate(WEEKDAYS)],
        help_text="For once a week.",
    )
    day = forms.IntegerField(
        label="Day of the month",
        required=False,
        min_value=1,
        max_value=31,
        initial=1,
        help_text="For once a month. 31 means the last day.",
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        needed = {MINUTES: ["minutes"], WEEK: ["weekday", "at"], MONTH: ["day", "at"]}
        for name in needed.get(data.get("every", ""), ["at"]):
            if name not in self.errors and data.get(name) in (None, ""):
                runs = dict(EVERY).get(data.get("every", ""), "by the clock")
                self.add_error(name, f"Fill this in, since it runs {runs}.")
        return data


@dataclass(frozen=True, slots=True)
class Schedule:
    every: str
    at: time = time(9)
    minutes: int = 60
    weekday: int = 0
    day: int = 1

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Schedule | None":
        """Read a schedule from settings; None where they are invalid, as in an unfinished draft."""
        form = ScheduleForm(data=dict(settings))
        if not form.is_valid():
            return None
        cleaned = form.cleaned_data
        return cls(
            cleaned["every"],
            cleaned["at"] or time(9),
            cleaned["minutes"] or 60,
            int(cleaned["weekday"] or 0),
            cleaned["day"] or 1,
        )

    def in_words(self) -> str:
        at = f"at {self.at:%H:%M}"
        match self.every:
            case "minutes":
                return f"Every {self.minutes} minutes"
            case "workday":
                return f"Monday to Friday {at}"
            case "week":
                return f"Every {WEEKDAYS[self.weekday]} {at}"
            case "month":
                return f"On {'the last day' if self.day == 31 else f'day {self.day}'} of each month {at}"
            case _:
                return f"Every day {at}"

    def next(self, after: datetime, zone: ZoneInfo) -> datetime:
        """Return the first due time after this one (UTC)."""
        first = after.astimezone(zone).date() - timedelta(days=1)
        return next(at for at in self._from(first, zone) if at > after)

    def latest(self, until: datetime, zone: ZoneInfo) -> datetime:
        """Return the last due time up to this one (UTC)."""
        latest = None
        for at in self._from(until.astimezone(zone).date() - self._way_back, zone):
            if at > until:
                break
            latest = at
        assert latest is not None  # the way back holds one
        return latest

    @property
    def _way_back(self) -> timedelta:
        return timedelta(days=1) if self.every == MINUTES else LOOK_BACK

    def _from(self, first: date, zone: ZoneInfo) -> Iterator[datetime]:
        """Yield the due times in order, from those of the local day `first`."""
        day = first
        while True:
            if self.every == MINUTES:
                yield from self._within(day, zone)
            elif self._is_on(day):
                yield _to_utc(day, self.at, zone)
            day += timedelta(days=1)

    def _is_on(self, day: date) -> bool:
        match self.every:
            case "workday":
                return day.weekday() < 5
            case "week":
                return day.weekday() == self.weekday
            case "month":
                return day.day == min(self.day, calendar.monthrange(day.year, day.month)[1])
            case _:
                return True

    def _within(self, day: date, zone: ZoneInfo) -> Iterator[datetime]:
        """Yield the times of one local day, in real minutes from midnight to midnight."""
        at, end = _to_utc(day, time(0), zone), _to_utc(day + timedelta(days=1), time(0), zone)
        while at < end:
            yield at
            at += timedelta(minutes=self.minutes)


def _to_utc(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return the UTC time of a local one.

    With fold 0 a doubled time means its first round, and a skipped one as long after the jump.
    """
    return datetime.combine(day, at, zone).astimezone(UTC)
