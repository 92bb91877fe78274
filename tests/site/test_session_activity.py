"""The list of sessions stays true without a write at each request."""

from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client

pytestmark = pytest.mark.django_db

WRITES = ("INSERT", "UPDATE", "DELETE")


def writes(queries: Any) -> list[str]:
    return [query["sql"] for query in queries.captured_queries if query["sql"].startswith(WRITES)]


def test_first_request_notes_the_session_and_polls_write_nothing(
    as_member: Client, django_assert_max_num_queries: Any
) -> None:
    as_member.get("/northwind/activations/")
    assert UserSession.objects.count() == 1
    with django_assert_max_num_queries(60) as queries:
        for _ in range(3):
            as_member.get("/northwind/activations/", headers={"HX-Request": "true", "HX-Target": "live"})
    assert writes(queries) == []


def test_another_address_or_browser_is_noted_at_once(as_member: Client) -> None:
    as_member.get("/northwind/", headers={"User-Agent": "Firefox"})
    as_member.get("/northwind/", headers={"User-Agent": "Safari"})
    assert UserSession.objects.get().user_agent == "Safari"
    as_member.get("/northwind/", REMOTE_ADDR="203.0.113.7", headers={"User-Agent": "Safari"})
    assert UserSession.objects.get().ip == "203.0.113.7"
