"""What the clock does to tokens. It runs only forwards in the sandbox, so these tests have one of
their own each.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db.models.functions import Now
from django.test import Client

from connections import errors
from connections.models import Connection, ConnectionState, Grant, TokenRefresh
from connections.oauth import encryption, grants
from connections.providers import providers
from taskjuice.workspaces.models import AuditEntry, Workspace
from tests.connections.conftest import connect, point_at
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def own_sandbox(settings: Any, db: None) -> Iterator[SandboxProcess]:
    with SandboxProcess() as sandbox:
        point_at(settings, sandbox)
        cache.clear()
        yield sandbox


def test_killed_refresh_found_after_the_grace_asks_for_consent_once(
    as_admin: Client, workspace: Workspace, own_sandbox: SandboxProcess
) -> None:
    connect(as_admin, workspace, own_sandbox, own_sandbox.organisation()["tenant_id"])
    grant = Grant.objects.get()
    owner = grants.build_owner_name(grant.provider, grant.app_id, grant.provider_user_id)
    # The answer is lost.
    providers["xero"].refresh(encryption.unseal(owner, grant.tokens)["refresh_token"])
    own_sandbox.api("POST", "clock", {"advance_seconds": 31 * 60})
    Grant.objects.update(access_expires_at=Now())
    for _ in range(3):
        with pytest.raises(errors.NeedsConsent):
            grants.get_access_token(grant)
    connection = Connection.objects.get()
    assert (connection.state, connection.problem) == (ConnectionState.ERROR, "grant-refused")
    assert AuditEntry.objects.filter(verb="connection broken").count() == 1
    assert list(TokenRefresh.objects.values_list("outcome", flat=True)) == ["refused"]
    assert own_sandbox.api("GET", "state")["issued"]["invalid_grant"] == 1
