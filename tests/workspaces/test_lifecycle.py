"""Agencies and clients come to be, change, are put away; the trail notes each."""

import threading

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from taskjuice.workspaces import lifecycle, slugs
from taskjuice.workspaces.models import Agency, AuditEntry, Membership, User, Workspace
from tests.factories import make_user


def trail() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("id").values_list("verb", "subject"))


def test_agency_created_belongs_to_its_founder(db: None) -> None:
    person = make_user()
    agency = lifecycle.create_agency(name="Tūī Books", slug="tui-books", by=person)
    membership = Membership.objects.get(agency=agency)
    assert (membership.user, membership.role) == (person, "owner")
    assert trail() == [("agency created", "Tūī Books")]


@pytest.mark.parametrize(
    "slug", ["accounts", "connections", "me", "static", "healthz", "welcome", "design"]
)
def test_agency_cannot_take_the_products_own_addresses(db: None, slug: str) -> None:
    with pytest.raises(ValidationError, match="taken"):
        lifecycle.create_agency(name="X", slug=slug, by=make_user())


@pytest.mark.parametrize("slug", ["", "Ab", "a b", "-a", "a-", "a--b", "ä", "a/b", "a\n", "../x"])
def test_agency_refuses_misshapen_slugs(db: None, slug: str) -> None:
    with pytest.raises(ValidationError):
        lifecycle.create_agency(name="X", slug=slug, by=make_user())


def test_agency_refuses_a_taken_slug(agency: Agency) -> None:
    with pytest.raises(ValidationError, match="taken"):
        lifecycle.create_agency(name="X", slug=agency.slug, by=make_user())
    assert trail() == []


@pytest.mark.parametrize(
    "slug", ["connections", "invoices", "workflows", "clients", "settings", "audit"]
)
def test_client_cannot_take_an_address_of_a_page(agency: Agency, owner: User, slug: str) -> None:
    with pytest.raises(ValidationError, match="taken"):
        lifecycle.create_workspace(agency=agency, name="X", slug=slug, by=owner)


@pytest.mark.django_db(transaction=True)
def test_slug_raced_by_two_people_goes_to_one(agency: Agency, owner: User) -> None:
    barrier = threading.Barrier(2)
    won: list[str] = []

    def create() -> None:
        try:
            barrier.wait()
            lifecycle.create_workspace(agency=agency, name="Race", slug="race", by=owner)
            won.append("yes")
        except ValidationError as error:
            won.append(error.messages[0])
        finally:
            connection.close()

    people = [threading.Thread(target=create) for _ in range(2)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(won) == ["This address is taken.", "yes"]
    assert Workspace.objects.filter(slug="race").count() == 1


def test_client_renamed_keeps_its_address(workspace: Workspace, owner: User) -> None:
    lifecycle.rename_workspace(workspace=workspace, name="Harbour Bistro", by=owner)
    workspace.refresh_from_db()
    assert (workspace.name, workspace.slug) == ("Harbour Bistro", "harbour-cafe")
    assert AuditEntry.objects.get().details == {"before": "Harbour Café", "after": "Harbour Bistro"}


def test_rename_to_the_same_name_leaves_no_trace(
    agency: Agency, workspace: Workspace, owner: User
) -> None:
    lifecycle.rename_workspace(workspace=workspace, name=workspace.name, by=owner)
    lifecycle.rename_agency(agency=agency, name=agency.name, by=owner)
    assert trail() == []


def test_archiving_twice_is_once(workspace: Workspace, owner: User) -> None:
    lifecycle.archive_workspace(workspace=workspace, by=owner)
    lifecycle.archive_workspace(workspace=workspace, by=owner)
    lifecycle.unarchive_workspace(workspace=workspace, by=owner)
    lifecycle.unarchive_workspace(workspace=workspace, by=owner)
    assert trail() == [("client archived", "Harbour Café"), ("client brought back", "Harbour Café")]
    workspace.refresh_from_db()
    assert workspace.archived_at is None


def test_profile_refuses_an_unknown_time_zone(owner: User) -> None:
    with pytest.raises(ValidationError):
        lifecycle.set_profile(user=owner, name="O", time_zone="Mars/Olympus")
    owner.refresh_from_db()
    assert (owner.name, owner.timezone) == ("Olivia Owner", "UTC")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Harbour Café Ltd.", "harbour-cafe-ltd"),
        ("  Tūī & Sons  ", "tui-sons"),
        ("漢字", ""),
        ("a" * 60, "a" * 50),
        ("-- 24/7 --", "24-7"),
    ],
)
def test_slug_of_a_name(name: str, slug: str) -> None:
    assert slugs.slug_of(name) == slug


def test_free_slug_counts_past_the_taken_ones(agency: Agency, workspace: Workspace) -> None:
    assert slugs.free_workspace_slug(agency, "Harbour Café") == "harbour-cafe-2"
    assert slugs.free_workspace_slug(agency, "Invoices") == "invoices-2"
    assert slugs.free_workspace_slug(agency, "漢字") == "client"


def test_free_slug_of_a_long_name_stays_within_its_length() -> None:
    long = "a" * 50
    assert slugs.first_free(long, {long}) == "a" * 48 + "-2"
