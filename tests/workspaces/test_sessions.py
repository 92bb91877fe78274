"""A session is noted when it begins to be used, once a minute, and when browser or address change."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

pytestmark = pytest.mark.django_db


def written(client: Client, agent: str = "Firefox") -> int:
    """How many statements about sessions a page writes."""
    with CaptureQueriesContext(database) as queries:
        assert client.get("/me/", headers={"User-Agent": agent}).status_code == 200
    changes = ("INSERT INTO", "UPDATE")
    return sum("usersessions" in one["sql"] and one["sql"].startswith(changes) for one in queries)


def test_session_is_written_once_a_minute(as_member: Client) -> None:
    assert [written(as_member) for _ in range(3)] == [1, 0, 0]
    UserSession.objects.update(last_seen_at=timezone.now() - timedelta(seconds=61))
    assert [written(as_member) for _ in range(2)] == [1, 0]


def test_change_of_browser_is_noted_at_once(as_member: Client) -> None:
    written(as_member)
    assert [written(as_member, "Chrome"), written(as_member, "Chrome")] == [1, 0]
    assert UserSession.objects.get().user_agent == "Chrome"
