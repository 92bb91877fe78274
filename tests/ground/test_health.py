from datetime import timedelta

import pytest
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.test import Client

from taskjuice import health
from taskjuice.queue import heartbeat
from taskjuice.queue.models import Heartbeat, NodeKind
from tests.factories import make_grant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forget() -> None:
    health._are_migrations_applied.cache_clear()
    health._list_missing.cache_clear()


def ask(address: str, method: str = "get") -> tuple[int, object]:
    response = getattr(Client(), method)(address, headers={"host": "10.0.0.7"})
    return response.status_code, response.json()


def test_healthz_answers_without_the_database(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    with django_assert_num_queries(0):
        assert ask("/healthz") == (200, {"status": "ok"})


def test_readyz_is_ok_with_a_living_worker() -> None:
    heartbeat.record_heartbeat("node")
    expected = {
        "status": "ok",
        "database": True,
        "privileges": True,
        "migrations": True,
        "keys": True,
        "worker": True,
    }
    assert ask("/readyz") == (200, expected)


def test_readyz_says_that_no_worker_lives() -> None:
    heartbeat.record_heartbeat("node")
    Heartbeat.objects.update(beat_at=Now() - timedelta(minutes=5))
    heartbeat.record_heartbeat("a web process", NodeKind.WEB)
    expected = {
        "status": "unready",
        "database": True,
        "privileges": True,
        "migrations": True,
        "keys": True,
        "worker": False,
    }
    assert ask("/readyz") == (503, expected)


def test_readyz_says_that_migrations_are_missing_until_they_are_there() -> None:
    heartbeat.record_heartbeat("node")
    recorder = MigrationRecorder(connection)
    last = recorder.migration_qs.filter(app="workspaces").latest("id").name
    recorder.record_unapplied("workspaces", last)
    expected = {
        "status": "unready",
        "database": True,
        "privileges": True,
        "migrations": False,
        "keys": False,
        "worker": False,
    }
    assert ask("/readyz") == (503, expected)

    recorder.record_applied("workspaces", last)
    assert ask("/readyz")[0] == 200


def test_readyz_asks_for_privileges_and_migrations_once(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    heartbeat.record_heartbeat("node")
    ask("/readyz")
    with django_assert_num_queries(3):
        ask("/readyz")


def test_readyz_says_that_a_key_is_missing() -> None:
    heartbeat.record_heartbeat("node")
    make_grant(tokens="sealed elsewhere", key_id="0123456789ab")
    expected = {
        "status": "unready",
        "database": True,
        "privileges": True,
        "migrations": True,
        "keys": False,
        "worker": False,
    }
    assert ask("/readyz") == (503, expected)


def test_readyz_says_that_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise DatabaseError("could not connect to db.internal as app")

    monkeypatch.setattr(connection, "cursor", away)
    expected = {
        "status": "unready",
        "database": False,
        "privileges": False,
        "migrations": False,
        "keys": False,
        "worker": False,
        "error": "DatabaseError",
    }
    assert ask("/readyz") == (503, expected)


def test_page_says_that_the_database_is_away(
    as_owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("could not connect to db.internal as app")

    monkeypatch.setattr(connection, "cursor", away)
    as_owner.raise_request_exception = False
    page = as_owner.get("/northwind/")
    assert (page.status_code, page["Retry-After"]) == (503, "2")
    assert "Back in a moment" in page.text
    assert "db.internal" not in page.text
