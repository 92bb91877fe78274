"""Who passes the gate where."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.test import Client, RequestFactory
from django.utils import timezone

from taskjuice.workspaces import gate
from taskjuice.workspaces.models import Agency, Role, User, Workspace
from tests.factories import make_client_user, make_member, make_user

PEOPLE = ("owner", "admin", "member", "client_user", "stranger")
HIGHEST = {"owner": gate.OWN, "admin": gate.ADMIN, "member": gate.WORK, "client_user": gate.READ}


@pytest.fixture
def people(
    owner: User,
    admin: User,
    member: User,
    client_user: User,
    stranger: User,
    foreign_agency: Agency,
) -> dict[str, User]:
    return dict(zip(PEOPLE, (owner, admin, member, client_user, stranger), strict=True))


def enter(
    user: "User | AnonymousUser",
    agency: str,
    workspace: str | None = None,
    *,
    method: str = "GET",
    level: str = gate.READ,
    archived_too: bool = False,
) -> gate.Scope:
    request = RequestFactory().generic(method, "/")
    request.user = user
    return gate.enter(request, agency, workspace, level=level, archived_too=archived_too)


@pytest.mark.parametrize("level", gate.LEVELS)
@pytest.mark.parametrize("who", PEOPLE)
def test_workspace_gate_answers_each_person(
    who: str, level: str, people: dict[str, User], workspace: Workspace
) -> None:
    user = people[who]
    if who == "stranger":
        with pytest.raises(Http404):
            enter(user, "northwind", "harbour-cafe", level=level)
    elif gate.LEVELS.index(level) > gate.LEVELS.index(HIGHEST[who]):
        with pytest.raises(PermissionDenied):
            enter(user, "northwind", "harbour-cafe", level=level)
    else:
        scope = enter(user, "northwind", "harbour-cafe", level=level)
        assert (scope.workspace, scope.level, scope.is_client) == (
            workspace,
            HIGHEST[who],
            who == "client_user",
        )


@pytest.mark.parametrize("who", ["client_user", "stranger"])
def test_agency_gate_is_closed_to_outsiders(who: str, people: dict[str, User]) -> None:
    with pytest.raises(Http404):
        enter(people[who], "northwind")


def test_client_user_sees_no_other_client(client_user: User, other_workspace: Workspace) -> None:
    with pytest.raises(Http404):
        enter(client_user, "northwind", other_workspace.slug)


def test_slug_of_another_agency_opens_nothing(
    owner: User, agency: Agency, foreign_other_workspace: Workspace
) -> None:
    with pytest.raises(Http404):
        enter(owner, agency.slug, foreign_other_workspace.slug)


def test_same_slug_in_two_agencies_leads_each_to_its_own(
    owner: User, stranger: User, workspace: Workspace, foreign_workspace: Workspace
) -> None:
    assert enter(owner, "northwind", "harbour-cafe").workspace == workspace
    assert enter(stranger, "southwind", "harbour-cafe").workspace == foreign_workspace


def test_anonymous_visitor_is_asked_to_sign_in(workspace: Workspace) -> None:
    with pytest.raises(gate.SignInRequired):
        enter(AnonymousUser(), "northwind", "harbour-cafe")


def test_sign_in_page_brings_back_to_the_page(as_anonymous: Client, workspace: Workspace) -> None:
    answer = as_anonymous.get("/northwind/harbour-cafe/?a=1")
    assert (answer.status_code, answer["Location"]) == (
        302,
        "/accounts/login/?next=/northwind/harbour-cafe/%3Fa%3D1",
    )


def test_piece_of_a_page_makes_the_whole_page_go_to_sign_in(
    as_anonymous: Client, workspace: Workspace
) -> None:
    answer = as_anonymous.get("/northwind/clients/switch/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Refresh"], answer.content) == (200, "true", b"")


@pytest.fixture
def archived(workspace: Workspace) -> Workspace:
    workspace.archived_at = timezone.now()
    workspace.save()
    return workspace


def test_archived_workspace_is_read_and_not_changed(archived: Workspace, owner: User) -> None:
    scope = enter(owner, "northwind", archived.slug, level=gate.WORK)
    assert (scope.may(gate.READ), scope.may(gate.WORK), scope.ranks(gate.OWN)) == (
        True,
        False,
        True,
    )
    with pytest.raises(PermissionDenied, match="archived"):
        enter(owner, "northwind", archived.slug, method="POST", level=gate.WORK)


def test_archived_workspace_can_be_brought_back(archived: Workspace, admin: User) -> None:
    scope = enter(
        admin, "northwind", archived.slug, method="POST", level=gate.ADMIN, archived_too=True
    )
    assert scope.workspace == archived


def test_archived_workspace_is_closed_to_its_client(archived: Workspace, client_user: User) -> None:
    with pytest.raises(Http404):
        enter(client_user, "northwind", archived.slug)


def test_rights_are_read_anew_on_each_request(agency: Agency, member: User) -> None:
    assert enter(member, "northwind").level == gate.WORK
    agency.memberships.filter(user=member).update(role=Role.ADMIN)
    assert enter(member, "northwind").level == gate.ADMIN
    agency.memberships.filter(user=member).delete()
    with pytest.raises(Http404):
        enter(member, "northwind")


def test_staff_of_two_agencies_has_each_role_in_its_place(
    agency: Agency, foreign_agency: Agency
) -> None:
    person = make_member(agency, Role.ADMIN)
    make_member(foreign_agency, Role.MEMBER, user=person)
    assert (enter(person, "northwind").level, enter(person, "southwind").level) == (
        gate.ADMIN,
        gate.WORK,
    )


def test_staff_who_is_also_a_client_elsewhere_stays_read_only_there(
    owner: User, agency: Agency, foreign_workspace: Workspace
) -> None:
    make_client_user(foreign_workspace, user=owner)
    scope = enter(owner, "southwind", foreign_workspace.slug)
    assert (scope.level, scope.is_client) == (gate.READ, True)


def test_scope_covers_its_workspace_or_all_of_the_agency(
    owner: User, workspace: Workspace, other_workspace: Workspace, foreign_workspace: Workspace
) -> None:
    assert set(enter(owner, "northwind").workspaces) == {workspace, other_workspace}
    assert set(enter(owner, "northwind", "harbour-cafe").workspaces) == {workspace}


def test_person_without_any_place_sees_nothing(agency: Agency) -> None:
    with pytest.raises(Http404):
        enter(make_user(), "northwind")
