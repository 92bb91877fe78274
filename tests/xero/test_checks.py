"""What an admin is told about the app at Xero: its scopes, its tier, and a consent that did not
come back.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from connections.models import Consent
from taskjuice.environment import BROAD_SCOPES, GRANULAR_SCOPES
from taskjuice.workspaces.models import Agency, User, Workspace
from tests.factories import make_connection, make_consent
from xero.checks import describe_scopes

pytestmark = pytest.mark.django_db
CONNECT = "/northwind/connections/new/"
INVALID_SCOPE = "Did Xero say “invalid scope”?"


def read(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize(
    ("scopes", "advice"),
    [
        (
            BROAD_SCOPES,
            "only to apps made before 2 March 2026. For a newer app, set XERO_SCOPES=granular.",
        ),
        (GRANULAR_SCOPES, "These are granular scopes, which Xero grants to every app."),
    ],
)
def test_settings_connect_page_and_check_say_which_scopes_are_asked_for(
    as_admin: Client, workspace: Workspace, settings: Any, scopes: str, advice: str
) -> None:
    settings.XERO_SCOPES = scopes.split()
    for path in (CONNECT, "/northwind/settings/"):
        text = read(as_admin, path)
        assert advice in text
        assert [name for name in scopes.split() if f"<code>{name}</code>" not in text] == []
    (message,) = describe_scopes()
    assert message.msg == f"Xero is asked for: {scopes}."
    assert str(message.hint).endswith(advice.removeprefix("only "))


def begin_consent(workspace: Workspace, user: User, *, minutes_ago: int, **fields: Any) -> None:
    consent = make_consent(workspace, user, **fields)
    at = timezone.now() - timedelta(minutes=minutes_ago)
    Consent.objects.filter(pk=consent.pk).update(created_at=at)


def test_consent_that_did_not_come_back_is_met_with_the_likely_reason(
    as_admin: Client, admin: User, workspace: Workspace, other_workspace: Workspace
) -> None:
    assert INVALID_SCOPE not in read(as_admin, CONNECT)
    begin_consent(workspace, admin, minutes_ago=5, used_at=None)
    assert INVALID_SCOPE in read(as_admin, CONNECT)
    assert INVALID_SCOPE in read(as_admin, "/northwind/kauri-builders/connections/new/")
    begin_consent(other_workspace, admin, minutes_ago=2)  # this one came back
    assert INVALID_SCOPE not in read(as_admin, CONNECT)


def test_consent_under_way_or_of_somebody_else_is_not_met_with_it(
    as_admin: Client, admin: User, owner: User, workspace: Workspace
) -> None:
    begin_consent(workspace, owner, minutes_ago=5, used_at=None)
    begin_consent(workspace, admin, minutes_ago=0, used_at=None)
    begin_consent(workspace, admin, minutes_ago=300, used_at=None)
    assert INVALID_SCOPE not in read(as_admin, CONNECT)


def test_exempt_app_has_no_limit_of_connections(
    as_admin: Client, agency: Agency, workspace: Workspace, settings: Any
) -> None:
    make_connection(workspace)
    settings.XERO_CONNECTION_LIMIT, settings.XERO_TIER = None, "exempt"
    counts = as_admin.get("/northwind/connections/").context["counts"]
    assert (counts.slots_used, counts.slots, counts.is_full) == (1, None, False)
    assert "1 slots used" in read(as_admin, CONNECT)
    assert "<dt>Connections</dt><dd>1, without a limit</dd>" in read(
        as_admin, "/northwind/settings/"
    )
    settings.XERO_CONNECTION_LIMIT = 1
    assert "Every slot of your Xero tier is used." in read(as_admin, CONNECT)
