"""Roles, removal, leaving, ownership, and the demand for two-step login."""

import threading

import pytest
from allauth.mfa.models import Authenticator
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from taskjuice.workspaces import staff
from taskjuice.workspaces.models import (
    Agency,
    AuditEntry,
    ClientUser,
    Membership,
    Role,
    User,
    Workspace,
)
from tests.factories import PASSWORD, make_client_user, make_invitation, make_member


def roles(agency: Agency) -> dict[str, str]:
    return dict(agency.memberships.values_list("user__email", "role"))


def membership(user: User) -> Membership:
    return Membership.objects.get(user=user)


def trail() -> list[tuple[str, str, dict[str, str]]]:
    return list(AuditEntry.objects.order_by("id").values_list("verb", "subject", "details"))


def add_second_step(user: User, kind: str = "totp") -> None:
    Authenticator.objects.create(user=user, type=kind, data={"secret": "x"})


# -- roles --


def test_owner_makes_an_admin_and_a_member_again(
    as_owner: Client, agency: Agency, member: User
) -> None:
    address = f"/northwind/team/{membership(member).pk}/role/"
    assert as_owner.post(address, {"role": "admin"})["Location"] == "/northwind/team/"
    assert roles(agency)[member.email] == "admin"
    as_owner.post(address, {"role": "member"})
    assert roles(agency)[member.email] == "member"
    assert trail() == [
        ("role changed", member.email, {"before": "member", "after": "admin"}),
        ("role changed", member.email, {"before": "admin", "after": "member"}),
    ]


@pytest.mark.parametrize("role", ["owner", "client", "god", ""])
def test_role_outside_the_choice_changes_nothing(
    as_owner: Client, agency: Agency, member: User, role: str
) -> None:
    assert (
        as_owner.post(f"/northwind/team/{membership(member).pk}/role/", {"role": role}).status_code
        == 422
    )
    assert (roles(agency)[member.email], trail()) == ("member", [])


def test_owner_cannot_give_the_role_away_by_a_change(
    as_owner: Client, agency: Agency, owner: User
) -> None:
    answer = as_owner.post(f"/northwind/team/{membership(owner).pk}/role/", {"role": "member"})
    assert (answer.status_code, roles(agency)[owner.email]) == (403, "owner")


def test_demotion_acts_on_the_next_request_of_a_running_session(
    as_owner: Client, as_admin: Client, agency: Agency, admin: User
) -> None:
    assert as_admin.get("/northwind/settings/").status_code == 200
    as_owner.post(f"/northwind/team/{membership(admin).pk}/role/", {"role": "member"})
    assert as_admin.get("/northwind/settings/").status_code == 403
    assert as_admin.get("/northwind/clients/").status_code == 200


def test_demoted_admins_open_invitations_end(as_owner: Client, agency: Agency, admin: User) -> None:
    theirs = make_invitation(agency, invited_by=admin)
    of_owner = make_invitation(agency)
    as_owner.post(f"/northwind/team/{membership(admin).pk}/role/", {"role": "member"})
    theirs.refresh_from_db()
    of_owner.refresh_from_db()
    assert (theirs.state, of_owner.state) == ("revoked", "sent")


# -- removal --


def test_removal_acts_on_the_next_request_of_a_running_session(
    as_admin: Client, as_member: Client, agency: Agency, member: User
) -> None:
    assert as_member.get("/northwind/clients/").status_code == 200
    as_admin.post(f"/northwind/team/{membership(member).pk}/remove/")
    assert as_member.get("/northwind/clients/").status_code == 404
    assert as_member.post("/northwind/team/leave/").status_code == 404
    assert trail() == [("member removed", member.email, {"role": "member"})]


def test_admin_cannot_remove_an_admin_nor_the_owner(
    as_admin: Client, agency: Agency, admin: User, owner: User
) -> None:
    other = make_member(agency, Role.ADMIN)
    before = roles(agency)
    for person in (other, owner, admin):
        answer = as_admin.post(f"/northwind/team/{membership(person).pk}/remove/")
        assert answer.status_code == 403
    assert (roles(agency), trail()) == (before, [])


def test_member_of_another_agency_is_out_of_reach(
    as_owner: Client, foreign_agency: Agency, stranger: User
) -> None:
    colleague = make_member(foreign_agency)
    for verb in ("remove", "role"):
        path = f"/northwind/team/{membership(colleague).pk}/{verb}/"
        assert as_owner.post(path, {"role": "admin"}).status_code == 404
    assert roles(foreign_agency) == {stranger.email: "owner", colleague.email: "member"}


def test_right_is_read_again_when_the_change_is_made(
    agency: Agency, admin: User, member: User
) -> None:
    """As when a demotion happens between the gate and the change."""
    Membership.objects.filter(user=admin).update(role=Role.MEMBER)
    with pytest.raises(PermissionDenied):
        staff.remove_member(membership=membership(member), by=admin)
    Membership.objects.filter(user=admin).delete()
    with pytest.raises(PermissionDenied):
        staff.remove_member(membership=membership(member), by=admin)
    assert roles(agency)[member.email] == "member"


def test_second_of_two_removals_says_that_the_person_is_gone(
    as_owner: Client, agency: Agency, member: User
) -> None:
    path = f"/northwind/team/{membership(member).pk}/remove/"
    assert [as_owner.post(path).status_code, as_owner.post(path).status_code] == [302, 404]


def test_client_user_removed_is_locked_out_at_once(
    as_admin: Client, as_client_user: Client, client_user: User
) -> None:
    seat = client_user.client_user
    assert as_client_user.get("/northwind/harbour-cafe/").status_code == 200
    answer = as_admin.post(f"/northwind/harbour-cafe/team/{seat.pk}/remove/")
    assert answer["Location"] == "/northwind/harbour-cafe/team/"
    assert as_client_user.get("/northwind/harbour-cafe/").status_code == 404
    assert trail() == [("client user removed", client_user.email, {})]


def test_removal_is_asked_first(
    as_admin: Client, member: User, client_user: User, owner: User
) -> None:
    pages = {
        member.email: f"/northwind/team/{membership(member).pk}/remove/",
        client_user.email: f"/northwind/harbour-cafe/team/{client_user.client_user.pk}/remove/",
    }
    for email, path in pages.items():
        assert f"{email} cannot " in as_admin.get(path).content.decode()
    assert as_admin.get(f"/northwind/team/{membership(owner).pk}/remove/").status_code == 403
    assert (Membership.objects.filter(user=member).count(), ClientUser.objects.count()) == (1, 1)


def test_client_user_of_another_client_is_out_of_reach(
    as_owner: Client, client_user: User, other_workspace: Workspace
) -> None:
    path = f"/northwind/kauri-builders/team/{client_user.client_user.pk}/remove/"
    assert as_owner.post(path).status_code == 404
    assert ClientUser.objects.count() == 1


# -- leaving and handing on --


def test_member_leaves(as_member: Client, agency: Agency, owner: User, member: User) -> None:
    assert as_member.post("/northwind/team/leave/")["Location"] == "/"
    assert roles(agency) == {owner.email: "owner"}
    assert as_member.get("/northwind/team/").status_code == 404
    assert trail() == [("member left", member.email, {"role": "member"})]


def test_owner_has_to_hand_on_before_leaving(as_owner: Client, agency: Agency, owner: User) -> None:
    page = as_owner.post("/northwind/team/leave/", follow=True)
    assert [str(message) for message in page.context["messages"]] == [
        "You own this agency. Transfer the ownership before you leave."
    ]
    assert roles(agency) == {owner.email: "owner"}


def test_ownership_goes_to_a_colleague_and_the_owner_stays_as_admin(
    as_owner: Client, agency: Agency, owner: User, member: User
) -> None:
    heir = membership(member)
    answer = as_owner.post(
        "/northwind/team/transfer/", {"to": heir.pk, "name": " northwind  BOOKS "}
    )
    assert answer["Location"] == "/northwind/team/"
    assert roles(agency) == {owner.email: "admin", member.email: "owner"}
    assert as_owner.get("/northwind/team/transfer/").status_code == 403
    assert trail() == [
        ("ownership transferred", member.email, {"before": "member", "after": "owner"})
    ]


def test_unattended_browser_cannot_give_the_agency_away(
    client: Client, agency: Agency, owner: User, member: User
) -> None:
    client.force_login(owner)  # signed in some time ago
    choice = {"to": membership(member).pk, "name": agency.name}
    answer = client.post("/northwind/team/transfer/", choice)
    assert answer["Location"] == "/accounts/reauthenticate/?next=%2Fnorthwind%2Fteam%2Ftransfer%2F"
    assert client.post(answer["Location"], {"password": "a guess"}).status_code == 200
    assert roles(agency)[owner.email] == "owner"
    assert client.post(answer["Location"], {"password": PASSWORD})["Location"] == "/northwind/team/"
    assert roles(agency) == {owner.email: "admin", member.email: "owner"}


def test_unattended_browser_cannot_switch_two_step_login_off(
    client: Client, agency: Agency, owner: User
) -> None:
    add_second_step(owner)
    Agency.objects.update(two_step_required=True)
    client.force_login(owner)
    answer = client.post("/northwind/team/two-step/", {"required": "no"})
    agency.refresh_from_db()
    assert answer["Location"].startswith("/accounts/")
    assert (agency.two_step_required, trail()) == (True, [])


def test_transfer_needs_the_name_and_a_colleague(
    as_owner: Client,
    agency: Agency,
    owner: User,
    member: User,
    foreign_agency: Agency,
    stranger: User,
) -> None:
    before = roles(agency)

    def errors(to: User, name: str) -> list[str]:
        answer = as_owner.post("/northwind/team/transfer/", {"to": membership(to).pk, "name": name})
        assert answer.status_code == 422
        return list(answer.context["form"].errors)

    assert errors(member, "Northwind") == ["name"]
    assert errors(stranger, agency.name) == ["to"]
    assert errors(owner, agency.name) == ["to"]
    assert (roles(agency), trail()) == (before, [])


@pytest.mark.django_db(transaction=True)
def test_two_transfers_at_once_leave_one_owner(agency: Agency, owner: User) -> None:
    heirs = [make_member(agency), make_member(agency)]
    barrier = threading.Barrier(2)
    ends: list[str] = []

    def hand_to(heir: User) -> None:
        try:
            barrier.wait()
            staff.transfer_ownership(agency=agency, to=membership(heir), by=owner)
            ends.append("done")
        except PermissionDenied:
            ends.append("refused")
        finally:
            connection.close()

    hands = [threading.Thread(target=hand_to, args=[heir]) for heir in heirs]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert sorted(ends) == ["done", "refused"]
    assert sorted(roles(agency).values()) == ["admin", "member", "owner"]


# -- the page --


def test_team_page_shows_roles_and_second_steps_to_those_who_manage(
    as_owner: Client, as_member: Client, admin: User, member: User, owner: User
) -> None:
    add_second_step(admin)
    add_second_step(member, "recovery_codes")  # no second step by themselves
    rows = [
        (row.user, row.role, row.two_step)
        for row in as_owner.get("/northwind/team/").context["page"]
    ]
    assert rows == [(owner, "owner", False), (admin, "admin", True), (member, "member", False)]
    assert "Last seen" in as_owner.get("/northwind/team/").content.decode()
    assert "Last seen" not in as_member.get("/northwind/team/").content.decode()


def test_team_pages_offer_members_nothing_to_change(
    as_member: Client, agency: Agency, client_user: User
) -> None:
    make_invitation(agency, email="new@example.com")
    pages = [
        as_member.get(path).content.decode()
        for path in ("/northwind/team/", "/northwind/harbour-cafe/team/")
    ]
    assert [
        "/remove/" in page or "/invite/" in page or "new@example.com" in page for page in pages
    ] == [
        False,
        False,
    ]


@pytest.mark.parametrize("path", ["/northwind/team/", "/northwind/harbour-cafe/team/"])
def test_team_pages_ask_the_same_number_of_queries_for_one_row_and_for_thirty(
    as_owner: Client, agency: Agency, workspace: Workspace, path: str
) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert as_owner.get(path).status_code == 200
        return len(caught)

    def fill(number: int) -> None:
        for _ in range(number):
            make_invitation(agency, invited_by=make_member(agency))
            make_client_user(workspace)
            make_invitation(
                agency, role="client", workspace=workspace, invited_by=make_member(agency)
            )

    fill(1)
    asked()  # the first request of a session notes that it was seen
    few = asked()
    fill(29)
    assert asked() == few


# -- two-step login --


@pytest.fixture
def strict(agency: Agency) -> Agency:
    agency.two_step_required = True
    agency.save()
    return agency


def test_owner_requires_two_step_login_and_makes_it_optional(
    as_owner: Client, agency: Agency, owner: User
) -> None:
    add_second_step(owner)
    for answer in ("yes", "yes", "no"):
        assert as_owner.post("/northwind/team/two-step/", {"required": answer}).status_code == 302
    assert [verb for verb, *_ in trail()] == [
        "two-step login required",
        "two-step login made optional",
    ]


def test_owner_without_a_second_step_cannot_shut_themselves_out(
    as_owner: Client, agency: Agency
) -> None:
    page = as_owner.post("/northwind/team/two-step/", {"required": "yes"}, follow=True)
    agency.refresh_from_db()
    assert [str(message) for message in page.context["messages"]] == [
        "Set up two-step login for yourself first."
    ]
    assert (agency.two_step_required, trail()) == (False, [])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/northwind/"),
        ("get", "/northwind/harbour-cafe/"),
        ("get", "/northwind/clients/"),
        ("get", "/northwind/settings/"),  # before the role is looked at
        ("post", "/northwind/team/leave/"),
        ("post", "/northwind/harbour-cafe/archive/"),
    ],
)
def test_member_without_second_step_sees_only_how_to_set_it_up(
    as_member: Client, strict: Agency, workspace: Workspace, method: str, path: str
) -> None:
    answer = getattr(as_member, method)(path)
    page = answer.content.decode()
    assert answer.status_code == 403
    assert ("Set up two-step login first" in page, workspace.name in page) == (True, False)


def test_piece_of_a_page_makes_the_whole_page_show_how_to_set_it_up(
    as_member: Client, strict: Agency, workspace: Workspace
) -> None:
    answer = as_member.get("/northwind/clients/switch/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Refresh"], answer.content) == (200, "true", b"")


def test_what_sets_up_a_second_step_and_signs_out_stays_open(
    as_member: Client, strict: Agency
) -> None:
    paths = [
        "/accounts/2fa/",
        "/accounts/2fa/totp/activate/",
        "/accounts/2fa/webauthn/add/",
        "/accounts/logout/",
    ]
    assert [as_member.get(path).status_code for path in paths] == [200] * 4


@pytest.mark.parametrize(
    ("kind", "status"), [("totp", 200), ("webauthn", 200), ("recovery_codes", 403)]
)
def test_second_step_opens_the_agency(
    as_member: Client, strict: Agency, member: User, kind: str, status: int
) -> None:
    add_second_step(member, kind)
    assert as_member.get("/northwind/clients/").status_code == status
    Authenticator.objects.all().delete()  # switched off again
    assert as_member.get("/northwind/clients/").status_code == 403


def test_client_users_and_other_agencies_are_not_asked(
    as_client_user: Client, as_stranger: Client, strict: Agency
) -> None:
    assert as_client_user.get("/northwind/harbour-cafe/").status_code == 200
    assert as_stranger.get("/southwind/clients/").status_code == 200
    assert as_stranger.get("/northwind/clients/").status_code == 404
