"""From where somebody acts, as the audit trail notes it."""

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from taskjuice.workspaces import addresses
from taskjuice.workspaces.models import Agency, AuditEntry, User
from tests.factories import PASSWORD


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "", "192.0.2.9"),
        (0, "203.0.113.5", "192.0.2.9"),  # nobody vouches for the header
        (1, "203.0.113.5", "203.0.113.5"),
        (1, "198.51.100.1, 203.0.113.5", "203.0.113.5"),  # the first was written by the client
        (2, "198.51.100.1, 203.0.113.5, 10.0.0.1", "203.0.113.5"),
        (2, "203.0.113.5", "192.0.2.9"),  # one proxy is missing: believe the peer
        (1, "not an address", None),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "198.51.100.7:40112", "198.51.100.7"),
        (1, "[2001:db8::7]:40112", "2001:db8::7"),
        (1, "[2001:db8::7]", "2001:db8::7"),
        (1, "fe80::7%eth0", "fe80::7"),
        (2, "198.51.100.1, 203.0.113.5:9, [2001:db8::1]:443", "203.0.113.5"),
        (1, "unknown", None),
        (1, "_hidden", None),
        (1, "203.0.113.5:port", None),
        (1, "[203.0.113.5", None),
    ],
)
def test_address_is_what_trusted_proxies_vouch_for(
    settings: Settings, proxies: int, forwarded: str, expected: str | None
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.9", headers=headers)
    assert addresses.address_of(request) == expected


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("forwarded", "noted"),
    [
        ("198.51.100.7:40112", "198.51.100.7"),
        ("[2001:db8::7]:40112", "2001:db8::7"),
        ("unknown", None),
    ],
)
def test_sign_in_works_whatever_form_a_proxy_gives_addresses(
    settings: Settings,
    client: Client,
    owner: User,
    agency: Agency,
    forwarded: str,
    noted: str | None,
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    headers = {"X-Forwarded-For": forwarded}
    typed = {"login": owner.email, "password": PASSWORD}
    assert client.post("/accounts/login/", typed, headers=headers).status_code == 302
    assert client.get("/northwind/", headers=headers).status_code == 200
    assert UserSession.objects.get().ip == (noted or "0.0.0.0")
    client.post("/northwind/settings/", {"name": "Northwind Ledgers"}, headers=headers)
    assert AuditEntry.objects.get(verb__startswith="agency").address == noted


def test_audit_entry_notes_the_address_of_the_request(as_owner: Client, agency: Agency) -> None:
    as_owner.post("/northwind/settings/", {"name": "Northwind Ledgers"}, REMOTE_ADDR="192.0.2.44")
    assert AuditEntry.objects.get().address == "192.0.2.44"
    assert addresses.current() is None
