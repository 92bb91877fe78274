"""What an unattended browser must not do: the password is asked again, and what was typed is kept."""

import time

import pytest
from django.test import Client

from connections.models import Connection
from taskjuice.workspaces import proof
from taskjuice.workspaces.models import Agency, Deletion, Membership, User, Workspace
from tests.factories import PASSWORD, make_connection, make_ledger, make_member

HOUR = 3600
HERE = "/northwind/harbour-cafe"


def seen(client: Client, user: User, hours: float) -> Client:
    """Signed in, the password given so many hours ago."""
    client.force_login(user)
    session = client.session
    record = {
        "method": "password",
        "at": time.time() - hours * HOUR,
        "email": user.email,
        "reauthenticated": True,
    }
    session["account_authentication_methods"] = [record]
    session[proof.BEGAN] = record["at"]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return client


def asked(client: Client, path: str, data: dict[str, object]) -> bool:
    return str(client.post(path, data).headers.get("Location", "")).startswith("/accounts/reauthenticate/")


@pytest.fixture
def link(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Tui Studio")


def rare(agency: Agency, link: Connection) -> dict[str, dict[str, object]]:
    member = make_member(agency).memberships.get()
    return {
        f"/northwind/team/{member.pk}/role/": {"role": "admin"},
        f"{HERE}/settings/data/export/": {},
        f"{HERE}/settings/delete/": {"name": "Harbour Café"},
    }


def daily(link: Connection) -> dict[str, dict[str, object]]:
    ids = make_ledger(link)
    return {
        f"{HERE}/connections/xero/connect/": {},
        f"{HERE}/connections/{link.pk}/reconnect/": {},
        f"{HERE}/connections/{link.pk}/disconnect/": {"name": link.name},
        f"{HERE}/invoices/{ids['document']}/approve/": {},
    }


def test_rare_things_ask_after_minutes(client: Client, owner: User, agency: Agency, link: Connection) -> None:
    seen(client, owner, 0.2)
    things = rare(agency, link)
    assert [path for path, data in things.items() if not asked(client, path, data)] == []
    assert (Deletion.objects.count(), Membership.objects.filter(role="admin").count()) == (0, 0)


def test_daily_things_ask_once_a_day(client: Client, owner: User, link: Connection) -> None:
    things = daily(link)
    seen(client, owner, 13)
    assert [path for path, data in things.items() if not asked(client, path, data)] == []
    seen(client, owner, 11)
    assert [path for path, data in things.items() if asked(client, path, data)] == []


def test_what_was_posted_is_done_after_the_password(
    client: Client, owner: User, workspace: Workspace
) -> None:
    seen(client, owner, 1)
    answer = client.post(f"{HERE}/settings/delete/", {"name": "Harbour Café"})
    assert client.post(answer["Location"], {"password": "a guess"}).status_code == 200
    assert Deletion.objects.count() == 0
    assert client.post(answer["Location"], {"password": PASSWORD})["Location"] == "/northwind/settings/data/"
    assert Deletion.objects.get().name == "Harbour Café"


def test_person_without_password_and_second_step_is_not_locked_out(
    client: Client, owner: User, link: Connection
) -> None:
    owner.set_unusable_password()
    owner.save()
    seen(client, owner, 13)
    assert not asked(client, f"{HERE}/connections/{link.pk}/reconnect/", {})


def test_person_who_has_just_come_in_by_a_letters_link_is_not_asked(
    client: Client, owner: User, link: Connection
) -> None:
    client.force_login(owner)  # as after sign-up: a session, and no record of how it came about
    assert not asked(client, f"{HERE}/connections/{link.pk}/reconnect/", {})
