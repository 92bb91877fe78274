"""What an unattended browser must not do: the password is asked again, and what was typed is kept."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver

from connections.models import Connection, Secret
from taskjuice.site.proofs import RULES, Proof
from taskjuice.workspaces import proof
from taskjuice.workspaces.models import Agency, Deletion, Invitation, Membership, User, Workspace
from tests import test_urls
from tests.factories import PASSWORD, make_connection, make_member
from tests.personas import address, not_offered
from tests.test_urls import TABLE

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
    return str(client.post(path, data).headers.get("Location", "")).startswith(
        "/accounts/reauthenticate/"
    )


values = test_urls.values  # the fixture: what the routes' parameters stand for


@pytest.fixture
def link(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Tui Studio")


# Every address that takes a POST, and what it asks for: the other half of the persona table.
ASKED_ALWAYS_ALIKE = {name: rule for name, rule in RULES.items() if isinstance(rule, Proof)}
# What some of them ask for is decided by what is sent.
ASKED_BY_CONTENT: list[tuple[str, dict[str, object], Proof]] = [
    ("/northwind/team/invite/", {"email": "x@y.nz", "as_role": "admin"}, Proof.FRESH),
    ("/northwind/team/invite/", {"email": "x@y.nz", "as_role": "member"}, Proof.TODAY),
    (f"{HERE}/team/invite/", {"email": "x@y.nz"}, Proof.TODAY),
    (f"{HERE}/invoices/new/", {"do": "approve"}, Proof.TODAY),
    (f"{HERE}/invoices/new/", {"do": "draft"}, Proof.TODAY),
    (f"{HERE}/invoices/new/", {"do": "add1"}, Proof.NONE),
    (f"{HERE}/bills/new/", {"do": "approve"}, Proof.TODAY),
    ("/northwind/workflows/{workflow}/edit/", {"do": "publish"}, Proof.TODAY),
    ("/northwind/workflows/{workflow}/edit/", {"do": "save"}, Proof.NONE),
]


def named_routes() -> Iterator[tuple[str, str]]:
    """Route and name of each."""
    waiting: list[tuple[Any, str, str]] = [(entry, "", "") for entry in get_resolver().url_patterns]
    while waiting:
        entry, prefix, space = waiting.pop()
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inside = f"{space}{entry.namespace}:" if entry.namespace else space
            waiting += [(below, route, inside) for below in entry.url_patterns]
        else:
            yield route, space + (entry.name or "")


def test_every_address_that_takes_a_post_has_its_rule() -> None:
    post = {
        route
        for route, row in TABLE.items()
        if row.post is not not_offered and not route.startswith(("accounts/social", "webhooks/"))
    }
    names = {name for route, name in named_routes() if route in post}
    assert names - RULES.keys() == set(), (
        "say in taskjuice/site/proofs.py what each of these asks for"
    )
    assert RULES.keys() - {name for _, name in named_routes()} == set()


def test_each_post_asks_for_the_proof_that_the_table_says(
    client: Client, owner: User, values: dict[str, object]
) -> None:
    """Of one who signed in an hour ago, and of one who did so yesterday."""
    name_of = dict(named_routes())
    wrong = []
    for hours, kinds in ((0.1, set[Proof]()), (1, {Proof.FRESH}), (13, {Proof.FRESH, Proof.TODAY})):
        for route, row in TABLE.items():
            rule = ASKED_ALWAYS_ALIKE.get(name_of[route])
            if rule is None or row.post is not_offered or name_of[route] in ITSELF:
                continue
            with transaction.atomic():
                is_asked = asked(seen(client, owner, hours), address(route, row, values), {})
                transaction.set_rollback(True)
            if is_asked is not (rule in kinds):
                wrong.append((hours, route, rule))
    assert wrong == []


ITSELF = (
    {
        "account_logout",
        "account_reauthenticate",
        "mfa_reauthenticate",
        "mfa_reauthenticate_webauthn",
    }
    | {
        # allauth asks for these by itself
        name
        for name in RULES
        if name.startswith(("mfa_", "socialaccount_", "openid_"))
    }
    | {"account_email", "account_change_password"}
)


@pytest.mark.parametrize(("path", "data", "rule"), ASKED_BY_CONTENT)
def test_what_is_sent_decides_the_proof(
    client: Client,
    owner: User,
    values: dict[str, object],
    path: str,
    data: dict[str, object],
    rule: Proof,
) -> None:
    path = path.format(**values)
    found = []
    for hours in (1, 13):
        with transaction.atomic():
            found.append(asked(seen(client, owner, hours), path, data))
            transaction.set_rollback(True)
    assert found == [rule is Proof.FRESH, rule is not Proof.NONE]


def test_asking_comes_before_anything_is_done(
    client: Client, owner: User, agency: Agency, link: Connection
) -> None:
    seen(client, owner, 0.5)
    member = make_member(agency).memberships.get()
    client.post(f"/northwind/team/{member.pk}/role/", {"role": "admin"})
    client.post(f"{HERE}/settings/delete/", {"name": "Harbour Café"})
    client.post("/northwind/team/invite/", {"email": "x@y.nz", "as_role": "admin"})
    client.post(
        "/northwind/settings/secrets/add/", {"name": "crm", "host": "a.example", "value": "v"}
    )
    counts = (Deletion.objects.count(), Membership.objects.filter(role="admin").count())
    assert (*counts, Invitation.objects.count(), Secret.objects.count()) == (0, 0, 0, 0)


def test_secret_that_waits_for_the_password_is_not_kept_readable(
    client: Client, owner: User, agency: Agency
) -> None:
    seen(client, owner, 1)
    value = "sk-plain-value-of-the-secret"
    sent = {"name": "crm", "host": "api.example.com", "value": value}
    answer = client.post("/northwind/settings/secrets/add/", sent)
    session = Session.objects.get(session_key=client.session.session_key)
    assert value not in str(session.get_decoded())
    assert client.post(answer["Location"], {"password": PASSWORD}).status_code == 302
    assert Secret.objects.get().name == "crm"


def test_htmx_is_sent_with_the_whole_page(client: Client, owner: User, agency: Agency) -> None:
    seen(client, owner, 13)
    answer = client.post(
        "/northwind/activations/bulk/", {"do": "replay"}, headers={"HX-Request": "true"}
    )
    assert answer["HX-Redirect"].startswith("/accounts/reauthenticate/")


def test_what_was_given_up_is_not_done_later(
    client: Client, owner: User, workspace: Workspace
) -> None:
    seen(client, owner, 1)
    client.post(f"{HERE}/settings/delete/", {"name": "Harbour Café"})
    answer = client.post(
        "/accounts/reauthenticate/?next=/me/", {"password": PASSWORD, "next": "/me/"}
    )
    assert (answer["Location"], Deletion.objects.count()) == ("/me/", 0)


def test_stranger_who_shows_it_is_turned_away_as_before(
    client: Client, stranger: User, foreign_agency: Agency, workspace: Workspace
) -> None:
    seen(client, stranger, 1)
    answer = client.post(f"{HERE}/settings/delete/", {"name": "Harbour Café"})
    assert client.post(answer["Location"], {"password": PASSWORD}).status_code == 404
    assert Deletion.objects.count() == 0


def test_what_was_posted_is_done_after_the_password(
    client: Client, owner: User, workspace: Workspace
) -> None:
    seen(client, owner, 1)
    answer = client.post(f"{HERE}/settings/delete/", {"name": "Harbour Café"})
    assert client.post(answer["Location"], {"password": "a guess"}).status_code == 200
    assert Deletion.objects.count() == 0
    assert (
        client.post(answer["Location"], {"password": PASSWORD})["Location"]
        == "/northwind/settings/data/"
    )
    assert Deletion.objects.get().name == "Harbour Café"


def test_person_without_anything_to_show_chooses_a_password_first(
    client: Client, owner: User, link: Connection
) -> None:
    owner.set_unusable_password()
    owner.save()
    seen(client, owner, 13)
    answer = client.post(f"{HERE}/connections/{link.pk}/reconnect/")
    assert answer["Location"].startswith("/accounts/password/reset/")


def test_person_who_has_just_come_in_by_a_letters_link_is_not_asked(
    client: Client, owner: User, link: Connection
) -> None:
    client.force_login(owner)  # as after sign-up: a session, and no record of how it came about
    assert not asked(client, f"{HERE}/connections/{link.pk}/reconnect/", {})
