"""From where somebody acts, as the audit trail notes it."""

import pytest
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from taskjuice.workspaces import addresses
from taskjuice.workspaces.models import Agency, AuditEntry


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
    ],
)
def test_address_is_what_trusted_proxies_vouch_for(
    settings: Settings, proxies: int, forwarded: str, expected: str | None
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.9", headers=headers)
    assert addresses.address_of(request) == expected


def test_audit_entry_notes_the_address_of_the_request(as_owner: Client, agency: Agency) -> None:
    as_owner.post("/northwind/settings/", {"name": "Northwind Ledgers"}, REMOTE_ADDR="192.0.2.44")
    assert AuditEntry.objects.get().address == "192.0.2.44"
    assert addresses.current() is None
