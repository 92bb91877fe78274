"""The shared budget: its rows alone, and 300 calls against a sandbox whose minute has 6 seconds."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection as database
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connections.errors import RetryLater
from connections.models import Budget, Connection
from taskjuice.workspaces.models import Workspace
from tests.sandbox_process import SandboxProcess
from tests.xero.linked import link, point_at
from xero.api import rate_limits
from xero.api.client import client_for
from xero.api.rate_limits import PAGE, SYNC, WORK, CallSlot

pytestmark = pytest.mark.django_db
TENANT = uuid4()


def left(minute: int, day: int = 4000, app: int = 9000) -> dict[str, str]:
    return {
        "X-MinLimit-Remaining": str(minute),
        "X-DayLimit-Remaining": str(day),
        "X-AppMinLimit-Remaining": str(app),
    }


def call(purpose: str = WORK, *, tenant: UUID = TENANT, minute: int | None = None) -> CallSlot:
    """One call that Xero counted like we did, unless `minute` says what it has left."""
    place = rate_limits.take_slot(tenant, purpose)
    rate_limits.return_slot(place, left(60 - place.nth if minute is None else minute), status=200)
    return place


def refused(purpose: str = WORK, tenant: UUID = TENANT) -> RetryLater:
    with pytest.raises(RetryLater) as caught:
        rate_limits.take_slot(tenant, purpose)
    assert caught.value.tenant_wide
    return caught.value


def row() -> Budget:
    return Budget.objects.get(tenant_id=TENANT)


def age(seconds: float) -> None:
    """As if everything had happened so much earlier."""
    span = timedelta(seconds=seconds)
    Budget.objects.update(
        minute_ends=F("minute_ends") - span,
        minute_seen=F("minute_seen") - span,
        day_ends=F("day_ends") - span,
        day_seen=F("day_seen") - span,
    )
    Budget.objects.exclude(parked_until=None).update(parked_until=F("parked_until") - span)


def test_a_call_costs_two_statements() -> None:
    call()
    with CaptureQueriesContext(database) as queries:
        call()
    assert len(queries) == 2


def test_work_leaves_a_share_for_people() -> None:
    for _ in range(55):
        call()
    assert str(refused()) == "Xero takes no more calls a minute for this organisation."
    assert [call(PAGE).nth for _ in range(5)] == [56, 57, 58, 59, 60]
    error = refused(PAGE)
    assert error.at is not None
    assert abs((error.at - row().minute_ends).total_seconds()) < 0.1


def test_sync_spends_what_is_left_over() -> None:
    for _ in range(28):
        call(SYNC)
    refused(SYNC)
    assert call(WORK).nth == 29


def test_last_calls_are_spread_over_the_time_in_which_the_window_may_end() -> None:
    for _ in range(55):
        call()
    first = refused().at
    assert first is not None
    assert 25 < (first - timezone.now()).total_seconds() < 31  # halfway to the latest end
    age(31)
    call()
    second = refused().at
    assert second is not None
    assert 10 < (second - timezone.now()).total_seconds() < 16  # and halfway again


def test_answer_with_more_left_than_before_shows_a_new_window() -> None:
    for _ in range(55):
        call()
    age(31)
    call(minute=59)  # counted as the first of a new minute
    found = row()
    assert found.minute_used == 1
    assert 59 < (found.minute_ends - timezone.now()).total_seconds() <= 60
    assert found.minute_seen < found.minute_ends
    assert [call().nth for _ in range(54)] == list(range(2, 56))


def test_windows_begun_anew_too_early_never_make_anybody_wait_longer_than_one() -> None:
    for _ in range(
        5
    ):  # Xero's limit was raised, or its count begins anew, again and again within one minute
        for _ in range(10):
            call()
        call(minute=59)
    found = row()
    assert found.minute_seen <= found.minute_ends
    for _ in range(60 - found.minute_used - 5):
        call()
    at = refused().at
    assert at is not None
    assert at <= row().minute_ends + timedelta(milliseconds=20)


def test_what_others_used_is_taken_over() -> None:
    call()
    call(minute=10)  # another program of the same app
    assert row().minute_used == 50
    assert rate_limits.read_remaining([TENANT])[TENANT].minute_left == 10


def test_window_rolls_on_by_whole_minutes() -> None:
    call()
    before = row()
    age(125)
    place = call()
    assert place.nth == 1
    assert row().minute_ends - before.minute_ends + timedelta(seconds=125) == timedelta(seconds=120)


def test_four_places_for_work_and_one_more_for_a_page() -> None:
    held = [rate_limits.take_slot(TENANT, WORK) for _ in range(4)]
    assert str(refused()) == "Xero takes no more calls at once for this organisation."
    last = rate_limits.take_slot(TENANT, PAGE)
    started = time.monotonic()
    refused(PAGE)
    assert rate_limits.PAGE_PATIENCE <= time.monotonic() - started < rate_limits.PAGE_PATIENCE + 1
    rate_limits.return_slot(last, None)
    for place in held:
        rate_limits.return_slot(place, None)
    assert row().slots == []


def test_place_of_a_dead_process_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "LEASE_SECONDS", 0.05)
    for _ in range(4):
        rate_limits.take_slot(TENANT, WORK)
    time.sleep(0.06)
    assert rate_limits.take_slot(TENANT, WORK).others == 0


def test_call_that_was_not_sent_is_not_counted() -> None:
    rate_limits.return_slot(rate_limits.take_slot(TENANT), {})
    assert (row().minute_used, row().day_used) == (0, 0)


@pytest.mark.parametrize(
    ("problem", "retry", "seconds"),
    [("minute", "30", 30.2), ("day", "20000", 20000.2), ("concurrent", "", 0.75)],
)
def test_refusal_parks_the_organisation(problem: str, retry: str, seconds: float) -> None:
    headers = {"X-Rate-Limit-Problem": problem} | ({"Retry-After": retry} if retry else {})
    rate_limits.return_slot(rate_limits.take_slot(TENANT), headers, status=429)
    error = refused()
    assert error.at is not None
    assert abs((error.at - timezone.now()).total_seconds() - seconds) < 0.6
    assert rate_limits.read_remaining([TENANT])[TENANT].why == problem
    assert rate_limits.take_slot(uuid4()).nth == 1  # nobody else waits
    age(seconds + 1)
    assert rate_limits.take_slot(TENANT).nth == (1 if problem == "minute" else row().minute_used)


@pytest.mark.parametrize(
    "retry",
    [
        "",
        "0",
        "-5",
        "soon",
        "²",
        "1e9",
        "5, 7",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Xyz, 99 Foo 2026 99:99:99 GMT",
    ],
)
@pytest.mark.parametrize(("problem", "day_left"), [("day", 3000), ("", 0)])
def test_day_limit_that_does_not_say_how_long_holds_until_the_day_is_over(
    problem: str, day_left: int, retry: str
) -> None:
    call()
    ends = row().day_ends
    headers = left(50, day=day_left) | {"X-Rate-Limit-Problem": problem, "Retry-After": retry}
    until = rate_limits.return_slot(rate_limits.take_slot(TENANT), headers, status=429)
    assert until == refused(PAGE).at == ends
    assert str(refused()) == "Xero takes no more calls a day for this organisation."
    age(23 * 3600)
    assert rate_limits.read_remaining([TENANT])[TENANT].day_left == 0
    refused(PAGE)
    age(3600)
    assert rate_limits.take_slot(TENANT).day_nth == 1
    assert rate_limits.read_remaining([TENANT])[TENANT].day_left == 4999


def test_day_limit_of_which_a_date_is_said_holds_until_then() -> None:
    now = timezone.now()
    headers = {
        "X-Rate-Limit-Problem": "day",
        "Date": format_datetime(
            now - timedelta(hours=1), usegmt=True
        ),  # its clock is an hour behind ours
        "Retry-After": format_datetime(now + timedelta(hours=4), usegmt=True),
    }
    until = rate_limits.return_slot(rate_limits.take_slot(TENANT), headers, status=429)
    assert until is not None
    assert abs((until - now).total_seconds() - 5 * 3600) < 2
    assert row().day_ends == until
    assert rate_limits.read_remaining([TENANT])[TENANT].day_left == 0


@pytest.mark.parametrize(
    ("problem", "retry", "seconds"),
    [
        ("minute", "", 60),
        ("minute", "999999999", 60),
        ("minute", "7.5", 7.7),
        ("day", "999999999", 86_400),
        ("day", "Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ("", "", 30),
        ("", "90", 90.2),
        ("concurrent", "-1", 0.75),
    ],
)
def test_refusal_holds_no_longer_than_its_window(problem: str, retry: str, seconds: float) -> None:
    headers = {"X-Rate-Limit-Problem": problem, "Retry-After": retry}
    until = rate_limits.return_slot(rate_limits.take_slot(TENANT), headers, status=429)
    assert until is not None
    assert abs((until - timezone.now()).total_seconds() - seconds) < 0.8


def test_apps_limit_that_does_not_say_how_long_parks_everybody_for_a_while() -> None:
    headers = {"X-Rate-Limit-Problem": "appminute", "Retry-After": "tomorrow"}
    until = rate_limits.return_slot(rate_limits.take_slot(TENANT), headers, status=429)
    assert refused(tenant=uuid4()).at == until


def test_nonsense_in_headers_is_no_count() -> None:
    nonsense = dict.fromkeys(
        ["X-MinLimit-Remaining", "X-DayLimit-Remaining", "X-AppMinLimit-Remaining"], "²"
    )
    rate_limits.return_slot(rate_limits.take_slot(TENANT), nonsense, status=200)
    assert rate_limits.take_slot(TENANT).nth == 1  # not counted by Xero, as far as anybody can say


def test_apps_own_limit_parks_everybody() -> None:
    rate_limits.return_slot(rate_limits.take_slot(TENANT), left(59, app=100), status=200)
    assert str(refused(tenant=uuid4())) == "Xero takes no more calls a minute from TaskJuice."
    age(6)
    assert call().nth == 2


def test_days_share_is_kept_for_people_and_looked_at_again(settings: Any) -> None:
    settings.XERO_DAILY_LIMIT = 1000
    rate_limits.return_slot(rate_limits.take_slot(TENANT), left(59, day=10), status=200)
    assert str(refused()) == "Xero takes no more calls a day for this organisation."
    assert call(PAGE, minute=58).day_nth == 991
    age(rate_limits.DAY_PROBE_SECONDS + 1)
    probe = rate_limits.take_slot(TENANT)  # looks whether a new day began
    rate_limits.return_slot(probe, left(59, day=999), status=200)
    assert row().day_used == 1
    assert call().day_nth == 2


def test_more_than_the_known_limit_is_used(settings: Any) -> None:
    for _ in range(100):
        call(minute=5000)
    assert row().minute_used <= 1


# -- against the sandbox
# --------------------------------------------------------------------------------------


MINUTE = 6


@pytest.fixture(scope="module")
def fast_sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_seconds=MINUTE, latency_ms=10) as sandbox:
        yield sandbox


class Queue:
    """Calls that wait for one organisation, as the lanes of two workers run them."""

    def __init__(self, connection: Connection, calls: int) -> None:
        self.connection, self.left = connection, calls
        self.lock = threading.Lock()
        self.finished_at = 0.0
        self.threads = [threading.Thread(target=self._drain) for _ in range(2)]

    def _take(self, count: int) -> bool:
        with self.lock:
            self.left -= count
            return self.left >= 0

    def _drain(self) -> None:
        while self._take(1):
            self._until_done()
        self.finished_at = time.monotonic()
        database.close()

    def _until_done(self) -> None:
        while True:
            try:
                client_for(self.connection).get("/Organisation")
                return
            except RetryLater as error:
                wait = (error.at or timezone.now()) - timezone.now()
                time.sleep(max(0.0, wait.total_seconds()))

    def start(self) -> "Queue":
        for thread in self.threads:
            thread.start()
        return self


@pytest.mark.django_db(transaction=True)
def test_300_calls_use_every_minute_and_disturb_nobody(
    fast_sandbox: SandboxProcess,
    workspace: Workspace,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limits, "MINUTE_SECONDS", float(MINUTE))
    point_at(settings, fast_sandbox)
    busy, other = link(fast_sandbox, workspace, 0), link(fast_sandbox, workspace, 1)
    started = time.monotonic()
    queue = Queue(busy, 300).start()
    waits = {"page": 0.0, "other": 0.0}
    clicks = 0
    while any(thread.is_alive() for thread in queue.threads):
        for name, target, purpose in (("page", busy, PAGE), ("other", other, WORK)):
            begun = time.monotonic()
            client_for(target, purpose=purpose).get("/Organisation")
            waits[name] = max(waits[name], time.monotonic() - begun)
        clicks += 1
        time.sleep(MINUTE / 2.5)
    took = queue.finished_at - started
    calls = fast_sandbox.api("GET", "calls")
    answered = Counter(
        (entry["tenant_id"], entry["status"]) for entry in calls if entry["tenant_id"]
    )
    assert answered == {
        (str(busy.tenant_id), 200): 300 + clicks,
        (str(other.tenant_id), 200): clicks,
    }
    assert waits["page"] < 2
    assert waits["other"] < 2
    # so many whole minutes, the part of the first that was left, and one for a machine that does
    # other things too
    assert took < ((300 + clicks) / 57 + 1.5) * MINUTE


@pytest.mark.django_db(transaction=True)
def test_many_processes_at_once_stay_below_five(
    fast_sandbox: SandboxProcess,
    workspace: Workspace,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limits, "MINUTE_SECONDS", float(MINUTE))
    fast_sandbox.api("POST", "reset", {"connections": True})
    fast_sandbox.api("POST", "settings", {"latency_ms": 100})
    point_at(settings, fast_sandbox)
    connection = link(fast_sandbox, workspace)
    client_for(connection).get("/Organisation")
    queues = [Queue(connection, 10).start() for _ in range(4)]
    for thread in (thread for queue in queues for thread in queue.threads):
        thread.join()
    (limits,) = (
        meter
        for name, meter in fast_sandbox.api("GET", "state")["limits"].items()
        if name.endswith(str(connection.tenant_id))
    )
    assert 2 <= limits["most"] <= 5
    answered = Counter(
        entry["status"] for entry in fast_sandbox.api("GET", "calls") if entry["tenant_id"]
    )
    assert answered == {200: 41}
