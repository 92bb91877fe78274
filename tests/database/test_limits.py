"""Nothing waits for the database without end: neither for a slow statement, nor for a network that
swallows.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.utils import ConnectionHandler

from taskjuice import environment
from taskjuice.database import limits
from taskjuice.database.breaker import breaker
from tests.database.relay import Relay

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(limits._process, "statement", 1.0)
    yield
    breaker._failed_at = None


@pytest.fixture
def relay() -> Iterator[Relay]:
    settings = connection.settings_dict
    host, port = settings["HOST"] or settings["OPTIONS"].get("host", ""), settings["PORT"] or 5432
    where = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, int(port))
    with Relay(where) as relay:
        yield relay


def through(relay: Relay, **options: Any) -> Any:
    """A connection of Django's by way of the relay, as the product makes it."""
    described = environment.parse_database_url(
        relay.url(f"postgres://postgres:@/{connection.settings_dict['NAME']}")
    )
    described |= {"ENGINE": "taskjuice.database", "CONN_HEALTH_CHECKS": True}
    described["OPTIONS"] = described.get("OPTIONS", {}) | options
    return ConnectionHandler({"default": described})["default"]


def seconds_of(action: Any) -> float:
    began = time.monotonic()
    with pytest.raises(OperationalError):
        action()
    return time.monotonic() - began


def ask(database: Any, statement: str = "SELECT 1") -> Any:
    with database.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


def test_a_slow_statement_ends_in_time_and_its_connection_works_on(relay: Relay) -> None:
    database = through(relay)
    assert 0.9 < seconds_of(lambda: ask(database, "SELECT pg_sleep(30)")) < 3
    assert ask(database) == (1,)
    assert relay.count <= 2  # the second is the one that cancelled
    database.close()


def test_a_statement_that_the_network_swallows_ends_in_time_and_the_next_one_works(
    relay: Relay,
) -> None:
    database = through(relay)
    ask(database)
    relay.swallow()
    assert seconds_of(lambda: ask(database)) < 3
    relay.heal()
    database.close_if_unusable_or_obsolete()
    assert ask(database) == (1,)
    database.close()


def test_all_that_a_thread_asks_for_ends_within_what_it_was_given(relay: Relay) -> None:
    relay.swallow()
    database = through(relay, pool=limits.POOL)
    with limits.set_deadline(0.5):
        assert seconds_of(lambda: ask(database)) < 1.5
    database.close_pool()


def test_a_pool_whose_connections_were_all_swallowed_works_at_once_when_the_network_is_back(
    relay: Relay,
) -> None:
    database = through(relay, pool=limits.POOL | {"min_size": 4})
    database.pool.open(wait=True)
    database.pool.wait(10)
    relay.swallow()
    relay.heal()
    began = time.monotonic()
    assert ask(database) == (1,)
    assert time.monotonic() - began < 4
    database.close()
    database.close_pool()


def test_nobody_queues_up_behind_a_database_that_does_not_answer(relay: Relay) -> None:
    relay.swallow()
    database = through(relay, pool=limits.POOL)
    with limits.set_deadline(1):
        seconds_of(lambda: ask(database))
    again = through(relay, pool=limits.POOL)
    assert seconds_of(lambda: ask(again)) < 0.2
    database.close_pool()
    again.close_pool()


def test_the_limits_hold_in_each_transaction_and_leave_the_session_as_it_was() -> None:
    connection.close()
    with transaction.atomic():
        assert ask(connection, "SHOW statement_timeout") == ("1s",)
    assert ask(connection, "SHOW statement_timeout") == ("0",)
    assert ask(connection, "SHOW idle_in_transaction_session_timeout") == ("5s",)


def test_upkeep_may_take_longer() -> None:
    connection.close()
    with limits.allow_slow_statements(60), transaction.atomic():
        assert ask(connection, "SHOW statement_timeout") == ("1min",)
        ask(connection, "SELECT pg_sleep(1.2)")


def test_what_a_node_cut_off_in_a_transaction_holds_is_free_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its connection stays as it is; the server ends it."""
    monkeypatch.setitem(limits.SESSION, "idle_in_transaction_session_timeout", "300ms")
    connection.close()
    cut_off = connection.copy()
    cut_off.set_autocommit(False)
    with cut_off.cursor() as cursor:
        cursor.execute("LOCK TABLE queue_wake IN ACCESS EXCLUSIVE MODE")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE queue_wake IN ACCESS EXCLUSIVE MODE")
    cut_off.close()
