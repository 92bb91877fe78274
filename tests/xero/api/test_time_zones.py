"""Xero's names of time zones, and what a client's days are reckoned by."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

import pytest
from django.test import Client

from taskjuice.workspaces import lifecycle
from taskjuice.workspaces.models import AuditEntry, User, Workspace
from tests.connections.conftest import connect
from tests.sandbox_process import SandboxProcess
from tests.xero.books import fresh
from tests.xero.sandbox import openapi
from xero.api import time_zones


def test_every_time_zone_of_xeros_file_is_known() -> None:
    names = openapi.load("accounting.yaml")["components"]["schemas"]["TimeZone"]["enum"]
    assert {time_zones.find_iana_name(name) for name in names} <= available_timezones()
    assert [
        name
        for name in names
        if not name.startswith("UTC") and time_zones.find_readable_name(name) == name
    ] == []


@pytest.mark.parametrize(
    ("name", "zone", "words"),
    [
        ("NEWZEALANDSTANDARDTIME", "Pacific/Auckland", "New Zealand"),
        ("AUSEASTERNSTANDARDTIME", "Australia/Sydney", "AUS Eastern"),
        ("EASTERNSTANDARDTIME(MEXICO)", "America/Cancun", "Eastern (Mexico)"),
        ("GMTSTANDARDTIME", "Europe/London", "GMT"),
        ("UTC", "UTC", "UTC"),
        ("UTC02", "Etc/GMT+2", "UTC-02"),
        ("MARSSTANDARDTIME", "", "MARSSTANDARDTIME"),
        ("", "", ""),
    ],
)
def test_name_stands_for_a_zone_and_words(name: str, zone: str, words: str) -> None:
    assert (time_zones.find_iana_name(name), time_zones.find_readable_name(name)) == (zone, words)


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess(bulk_connect=True, minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: SandboxProcess, settings: Any) -> SandboxProcess:
    return fresh(running, settings)


@pytest.mark.django_db
def test_first_organisation_settles_the_time_zone_of_its_client(
    as_admin: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    connect(as_admin, workspace, sandbox, sandbox.organisation(0)["tenant_id"])
    workspace.refresh_from_db()
    assert (workspace.timezone, workspace.timezone_settled) == ("Pacific/Auckland", True)
    noted = AuditEntry.objects.get(verb="client’s time zone changed")
    assert (noted.actor_name, noted.details) == (
        "admin@northwind.example",
        {"before": "UTC", "after": "Pacific/Auckland"},
    )
    page = as_admin.get(f"/northwind/harbour-cafe/connections/{workspace.connections.get().pk}/")
    assert "<dt>Time zone</dt><dd>New Zealand</dd>" in page.content.decode()
    connect(as_admin, workspace, sandbox, sandbox.organisation(1)["tenant_id"])
    workspace.refresh_from_db()
    assert workspace.timezone == "Pacific/Auckland"


@pytest.mark.django_db
def test_time_zone_that_a_person_chose_stays(
    as_admin: Client, admin: User, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    lifecycle.set_time_zone(workspace=workspace, time_zone="UTC", by=admin)
    connect(as_admin, workspace, sandbox, sandbox.organisation(0)["tenant_id"])
    workspace.refresh_from_db()
    assert workspace.timezone == "UTC"
    assert not AuditEntry.objects.filter(verb="client’s time zone changed").exists()
