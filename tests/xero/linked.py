"""A connection to an organisation of the running sandbox, without the journey through the pages."""

from typing import Any
from uuid import UUID

import jwt
from django.conf import settings as django_settings

from connections.models import Connection
from connections.oauth import grants
from connections.providers import ConsentResult, TokenSet
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from tests.sandbox_process import SandboxProcess
from tests.xero.sandbox.app import SCOPES, App


def point_at(settings: Any, sandbox: SandboxProcess) -> None:
    settings.XERO_LOGIN_URL = settings.XERO_IDENTITY_URL = settings.XERO_API_URL = sandbox.base_url
    settings.XERO_CLIENT_ID, settings.XERO_CLIENT_SECRET = sandbox.client_id, sandbox.client_secret


def link(
    sandbox: SandboxProcess,
    workspace: Workspace,
    index: int = 0,
    *,
    scope: str = SCOPES,
    user: str = "mere",
) -> Connection:
    """An active connection of the workspace to the sandbox's organisation of this index."""
    assert sandbox.client_id == django_settings.XERO_CLIENT_ID, "point_at comes first"
    app = App(sandbox).connect(index, scope=scope, user=user)
    claims = jwt.decode(app.tokens["access_token"], options={"verify_signature": False})
    tokens = TokenSet(
        app.tokens["access_token"],
        app.tokens["refresh_token"],
        1800,
        tuple(app.tokens["scope"].split()),
    )
    grant = grants.store_grant(
        ConsentResult(tokens, claims["xero_userid"], "mere@sandbox.example", ""),
        provider="xero",
        by=None,
    )
    organisation = sandbox.organisation(index)
    return make_connection(
        workspace, name=organisation["name"], grant=grant, tenant_id=UUID(organisation["tenant_id"])
    )
