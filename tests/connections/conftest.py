"""The real sandbox, one process for all tests of a module, with the product's settings pointed at
it.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.test import Client

from connections.models import Consent
from taskjuice.workspaces.models import Workspace
from tests.sandbox_process import SandboxProcess


@pytest.fixture(scope="module")
def sandbox_process() -> Iterator[SandboxProcess]:
    with SandboxProcess(bulk_connect=True, minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess, settings: Any, db: None) -> SandboxProcess:
    """Without faults, connections and tokens of earlier tests."""
    sandbox_process.api("POST", "reset", {"connections": True})
    point_at(settings, sandbox_process)
    cache.clear()
    return sandbox_process


def point_at(settings: Any, sandbox: SandboxProcess) -> None:
    settings.XERO_LOGIN_URL = settings.XERO_IDENTITY_URL = settings.XERO_API_URL = sandbox.base_url
    settings.XERO_CLIENT_ID = sandbox.client_id
    settings.XERO_CLIENT_SECRET = sandbox.client_secret


def start(client: Client, workspace: Workspace) -> str:
    """Press Connect; the consent page's address."""
    answer = client.post(f"/{workspace.agency.slug}/{workspace.slug}/connections/xero/connect/")
    assert answer.status_code == 302
    return str(answer["Location"])


def callback_path(redirect: str) -> str:
    """The redirect to our callback, without scheme and host."""
    parts = urlsplit(redirect)
    return f"{parts.path}?{parts.query}"


def come_back(client: Client, redirect: str) -> Any:
    return client.get(callback_path(redirect))


def connect(
    client: Client,
    workspace: Workspace,
    sandbox: SandboxProcess,
    *organisations: str,
    user: str = "mere",
) -> Any:
    """The whole journey over the product's pages; the answer to choosing all of `organisations`
    (tenant ids).
    """
    answer = come_back(client, sandbox.allow(start(client, workspace), *organisations, user=user))
    consent = Consent.objects.get(used_at__isnull=False, finished_at=None)
    assert answer["Location"].endswith(f"/connections/choose/{consent.pk}/"), answer.content
    return client.post(answer["Location"], {"tenants": list(organisations)})
