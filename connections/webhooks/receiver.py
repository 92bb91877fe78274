"""The receiver of deliveries: stored before the provider gets its 200. Nothing is parsed here."""

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import connection
from django_q.conf import Conf
from psycopg import Cursor

from taskjuice.crash import crash_point
from taskjuice.database import limits
from taskjuice.database.outages import OUTAGE, is_transient
from taskjuice.group_commit import GroupCommit
from taskjuice.queue.wake import sign_message

# Together with the half second in which a statement is cancelled less than the five that a provider
# waits for.
WRITE_SECONDS = 2.0
WAIT_SECONDS = 2.0  # for the write before
AGAIN_SECONDS = 0.1  # until the next try while the database is away, as during a restart
MOST_WAITING = (
    5  # for a write that does not end: of eight threads some stay free for everything else
)
FAN_OUT = "fan-out"
FAN_OUT_TASK = "connections.tasks.fan_out"

WAKE = """
WITH flag AS (
    UPDATE queue_wake SET pending = true, since = clock_timestamp()
     WHERE name = %(flag)s AND NOT pending RETURNING 1
), message AS (
    INSERT INTO django_q_ormq (key, payload, lock)
    SELECT %(cluster)s, %(package)s, clock_timestamp() - interval '1 second' FROM flag
)
"""
# One statement, so one round trip and one commit: the deliveries, and their wake-up unless one is
# queued already.
STORE = f"""{WAKE}
INSERT INTO connections_delivery (provider, body, sha256, answer_ms)
SELECT provider, body, sha256, elapsed + 1000 * extract(epoch FROM clock_timestamp() - statement_timestamp())
  FROM unnest(%(providers)s::text[], %(bodies)b::bytea[], %(digests)b::bytea[], %(elapsed)s::float8[])
    AS new (provider, body, sha256, elapsed)
RETURNING EXISTS (SELECT FROM flag)
"""  # noqa: S608 - made of the constant above
# After the commit: the wake-up that was queued already may have been taken before this delivery
# could be seen.
STILL_QUEUED = "SELECT pending FROM queue_wake WHERE name = %(flag)s"
WAKE_LATE = f"{WAKE} SELECT FROM flag"

COUNT_REFUSED = """
INSERT INTO connections_refusal (provider, minute, count, last_at)
VALUES (%s, date_trunc('minute', clock_timestamp()), %s, clock_timestamp())
ON CONFLICT (provider, minute)
DO UPDATE SET count = connections_refusal.count + excluded.count, last_at = excluded.last_at
"""


class ReceivedDelivery(NamedTuple):
    """A correctly signed delivery. `began`: time.perf_counter() when it arrived."""

    provider: str
    body: bytes
    began: float | None


def store_delivery(provider: str, body: bytes, *, began: float | None = None) -> None:
    """Store a correctly signed delivery and wake the fan-out.

    Deliveries that arrive at the same time are stored together. The time that an answer took goes
    into the same statement, so that knowing it costs no second write.
    """
    deliveries.add(ReceivedDelivery(provider, body, began))


def _insert(arrived: Sequence[ReceivedDelivery]) -> None:
    """Insert the deliveries, again while the database is away: a duplicate has its effect only
    once.
    """
    ends = time.monotonic() + WRITE_SECONDS
    with limits.set_deadline(WRITE_SECONDS):
        while True:
            try:
                _insert_once(arrived)
            except OUTAGE as error:
                if not is_transient(error) or time.monotonic() > ends - AGAIN_SECONDS:
                    raise
                connection.close()
                time.sleep(AGAIN_SECONDS)
            else:
                return


def _insert_once(arrived: Sequence[ReceivedDelivery]) -> None:
    crash_point("receiver.before_write")
    now = time.perf_counter()
    values: dict[str, str | list[str] | list[bytes] | list[float | None]] = {
        "flag": FAN_OUT,
        "cluster": Conf.CLUSTER_NAME,
        "package": _build_wake_message(),
        "providers": [one.provider for one in arrived],
        "bodies": [one.body for one in arrived],
        "digests": [hashlib.sha256(one.body).digest() for one in arrived],
        "elapsed": [None if one.began is None else 1000 * (now - one.began) for one in arrived],
    }
    # Django's own cursor would write the values into the statement, which is then read and planned
    # anew each time.
    with (
        connection.wrap_database_errors,
        connection.cursor() as checked,
        _preparing(checked.connection),
        Cursor(checked.connection) as cursor,
    ):
        cursor.execute(STORE, values, prepare=True)
        if cursor.fetchone() == (False,):
            cursor.execute(STILL_QUEUED, values, prepare=True)
            if cursor.fetchone() == (False,):
                cursor.execute(WAKE_LATE, values)
    crash_point("receiver.after_commit")


@contextmanager
def _preparing(session: Any) -> Iterator[None]:
    """Allow prepared statements, which Django disables on its connections.

    Behind a pooler (PgBouncer in transaction mode) nothing is prepared: the next statement may run
    in another session.
    """
    session.prepare_threshold = 0 if session.is_direct else None
    try:
        yield
    finally:
        session.prepare_threshold = None


deliveries = GroupCommit(_insert, seconds=WAIT_SECONDS, most=MOST_WAITING)


class Refusals:
    """A counter of refused requests that writes a few times a second per process at most.

    A flood of requests does not burden the database. Counts that are not written at once go with
    the next write.
    """

    WRITES_A_SECOND = 10

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, int] = {}
        self._second = 0
        self._writes = 0

    def add(self, provider: str) -> None:
        with self._lock:
            self._waiting[provider] = self._waiting.get(provider, 0) + 1
            second = int(time.monotonic())
            self._writes = self._writes + 1 if second == self._second else 1
            self._second = second
            if self._writes > self.WRITES_A_SECOND:
                return
            counts, self._waiting = self._waiting, {}
        with limits.set_deadline(WRITE_SECONDS), connection.cursor() as cursor:
            cursor.executemany(COUNT_REFUSED, list(counts.items()))


refusals = Refusals()
_packages: dict[str, str] = {}


def _build_wake_message() -> str:
    """Return the wake-up message, signed once per process: it is the same for every delivery."""
    if FAN_OUT_TASK not in _packages:
        _packages[FAN_OUT_TASK] = sign_message(FAN_OUT_TASK)
    return _packages[FAN_OUT_TASK]
