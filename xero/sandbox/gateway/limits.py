"""Xero's rate limits: 5 at once, 60 a minute and N a day per organisation and app, 10,000 a minute
per app.

Fixed windows whose start differs per organisation. Refused calls are not counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from zlib import crc32

from xero.sandbox.clock import Clock
from xero.sandbox.config import Config
from xero.sandbox.storage import Storage

DAY = 24 * 3600


@dataclass(frozen=True)
class Refusal:
    """A refused call.

    `problem` is X-Rate-Limit-Problem; `retry_after` is in seconds, None if Xero sends no
    Retry-After.
    """

    problem: str
    retry_after: int | None


@dataclass
class RateWindow:
    """A fixed window of `seconds`, shifted by `offset`; `used` counts since it began."""

    seconds: int
    offset: int
    index: int = -1
    used: int = 0

    def roll(self, now: float) -> None:
        index = int((now + self.offset) // self.seconds)
        if index != self.index:
            self.index, self.used = index, 0

    def seconds_left(self, now: float) -> int:
        return max(1, ceil((self.index + 1) * self.seconds - self.offset - now))


@dataclass
class Meter:
    """The use of one organisation by one app."""

    minute: RateWindow
    day: RateWindow
    in_flight: int = 0
    most_in_flight: int = 0
    changed: bool = False


def _new_meter(name: str, minute: int) -> Meter:
    """Return a meter; `minute` is the length of a minute in seconds."""
    start = crc32(name.encode())
    return Meter(RateWindow(minute, start % minute), RateWindow(DAY, start % DAY))


@dataclass
class Limits:
    storage: Storage
    clock: Clock
    config: Config
    meters: dict[str, Meter] = field(default_factory=dict)
    apps: dict[str, RateWindow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, day in self.storage.load("day_limits").items():
            meter = self.meters[name] = _new_meter(name, self.config.minute_seconds)
            meter.day.index, meter.day.used = day["index"], day["used"]

    def meter(self, client_id: str, tenant_id: str) -> Meter:
        name = f"{client_id}:{tenant_id}"
        known = self.meters.get(name)
        if known is None:
            known = self.meters[name] = _new_meter(name, self.config.minute_seconds)
        return known

    def _app(self, client_id: str) -> RateWindow:
        minute = self.config.minute_seconds
        return self.apps.setdefault(
            client_id, RateWindow(minute, crc32(client_id.encode()) % minute)
        )

    def enter(self, client_id: str, meter: Meter) -> Refusal | None:
        """Count the call in, unless a limit refuses it. Each call that enters must `leave`."""
        app = self._app(client_id)
        refusal = self._refusal(app, meter)
        if refusal is None:
            meter.in_flight += 1
            meter.most_in_flight = max(meter.most_in_flight, meter.in_flight)
            meter.minute.used += 1
            meter.day.used += 1
            meter.changed = True
            app.used += 1
        return refusal

    def _refusal(self, app: RateWindow, meter: Meter) -> Refusal | None:
        now = self.clock.timestamp()
        meter.minute.roll(now)
        meter.day.roll(now)
        app.roll(now)
        if meter.in_flight >= self.config.concurrent_limit:
            return Refusal("concurrent", None)
        if meter.day.used >= self.config.daily_limit:
            return Refusal("day", meter.day.seconds_left(now))
        if meter.minute.used >= self.config.minute_limit:
            return Refusal("minute", meter.minute.seconds_left(now))
        if app.used >= self.config.app_minute_limit:
            return Refusal("appminute", app.seconds_left(now))
        return None

    def leave(self, meter: Meter) -> None:
        meter.in_flight -= 1

    def headers(self, client_id: str, meter: Meter) -> Mapping[str, str]:
        config = self.config
        return {
            "X-DayLimit-Remaining": str(max(0, config.daily_limit - meter.day.used)),
            "X-MinLimit-Remaining": str(max(0, config.minute_limit - meter.minute.used)),
            "X-AppMinLimit-Remaining": str(
                max(0, config.app_minute_limit - self._app(client_id).used)
            ),
        }

    def flush(self) -> None:
        """Save day counts, which outlive the process; called every few seconds instead of at every
        call.
        """
        changed = {name: meter for name, meter in self.meters.items() if meter.changed}
        if not changed:
            return
        days = {
            name: {"index": meter.day.index, "used": meter.day.used}
            for name, meter in changed.items()
        }
        self.storage.save_many("day_limits", days)
        for meter in changed.values():
            meter.changed = False

    def reset(self) -> None:
        for meter in self.meters.values():
            meter.minute.used = meter.day.used = meter.most_in_flight = 0
            meter.changed = True
        for app in self.apps.values():
            app.used = 0
        self.flush()
