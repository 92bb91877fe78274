"""From the letter to the place on the team or at a client's books, and every way it must not go."""

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test import Client
from django.utils import timezone

from taskjuice.logs import SecretFilter
from taskjuice.workspaces import invitations, letters
from taskjuice.workspaces.models import (
    Agency,
    AuditEntry,
    Invitation,
    Membership,
    Role,
    User,
    Workspace,
)
from tests.conftest import SignIn
from tests.factories import PASSWORD, make_client_user, make_invitation, make_member, make_user

NEW = "nia@example.com"


def invite(client: Client, email: str = NEW, role: str = "member") -> Any:
    return client.post("/northwind/team/invite/", {"email": email, "as_role": role})


def invite_client_user(client: Client, email: str = NEW) -> Any:
    return client.post("/northwind/harbour-cafe/team/invite/", {"email": email})


def link_in(letter: Any) -> str:
    """The path of the one link in a letter."""
    (url,) = re.findall(r"https?://\S+", str(letter.body))
    return str(urlsplit(url).path)


def heading(answer: Any) -> str:
    found = re.search(r"<h1>(.*?)</h1>", answer.content.decode())
    assert found is not None
    return found[1]


def trail() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.order_by("id").values_list("actor_name", "verb", "subject"))


@pytest.fixture
def nia(db: None) -> User:
    return make_user(NEW, name="Nia New")


@pytest.fixture
def as_nia(sign_in: SignIn, nia: User) -> Client:
    return sign_in(nia)


# -- inviting --


def test_letter_says_who_where_and_how_long(as_admin: Client, agency: Agency) -> None:
    assert invite(as_admin, "  Nia@Example.COM ")["Location"] == "/northwind/team/"
    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == (
        [NEW],
        "TaskJuice: Northwind Books invites you to its team",
    )
    assert (
        "Ada Admin invites you to work with Northwind Books in TaskJuice, as a member"
        in letter.body
    )
    assert f"only for {NEW}" in letter.body
    row = Invitation.objects.get()
    assert (row.email, row.role, row.state, row.workspace) == (NEW, "member", "sent", None)
    assert timedelta(days=6, hours=23) < row.expires_at - timezone.now() < timedelta(days=7)
    assert trail() == [("admin@northwind.example", "member invited", NEW)]


def test_letter_to_a_client_user_names_the_client(as_admin: Client, workspace: Workspace) -> None:
    assert invite_client_user(as_admin)["Location"] == "/northwind/harbour-cafe/team/"
    (letter,) = mail.outbox
    assert letter.subject == "TaskJuice: Northwind Books invites you to the books of Harbour Café"
    assert Invitation.objects.get().workspace == workspace
    assert trail() == [("admin@northwind.example", "client user invited", NEW)]


def test_database_holds_no_usable_token(as_owner: Client) -> None:
    invite(as_owner)
    token = link_in(mail.outbox[0]).split("/")[2]
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM workspaces_invitation t")
        (stored,) = [row for (row,) in cursor.fetchall()]
    assert (len(token), token in stored) == (43, False)  # 32 bytes at random
    assert invitations.hash_of(token) in stored


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/invitations/tokentoken/accept/", "/invitations/[removed]"),
        (
            "/accounts/login/?next=%2Finvitations%2Ftokentoken%2F",
            "/accounts/login/?next=%2Finvitations%2F[removed]",
        ),
        ("/northwind/team/invitations/7/resend/", "/northwind/team/invitations/[removed]"),
    ],
)
def test_log_keeps_no_token(path: str, kept: str) -> None:
    assert SecretFilter().redact(f"GET {path} 200") == f"GET {kept} 200"


@pytest.mark.parametrize("role", ["admin", "owner", "client", ""])
def test_admin_invites_members_only(as_admin: Client, role: str) -> None:
    answer = invite(as_admin, role=role)
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["as_role"])
    assert (Invitation.objects.count(), mail.outbox) == (0, [])


def test_owner_invites_admins_and_no_owner(as_owner: Client) -> None:
    assert invite(as_owner, role="admin").status_code == 302
    assert invite(as_owner, "other@example.com", role="owner").status_code == 422
    assert list(Invitation.objects.values_list("role", flat=True)) == ["admin"]


def test_right_to_invite_is_read_again_when_it_is_done(agency: Agency, admin: User) -> None:
    with pytest.raises(PermissionDenied):
        invitations.invite(agency=agency, email=NEW, role="admin", by=admin)
    Membership.objects.filter(user=admin).update(role=Role.MEMBER)
    with pytest.raises(PermissionDenied):
        invitations.invite(agency=agency, email=NEW, role="member", by=admin)
    assert (Invitation.objects.count(), mail.outbox) == (0, [])


@pytest.mark.parametrize(
    "email",
    [
        "",
        "nia",
        "a@b",
        "a@example.com, b@example.com",
        "a@example.com\nBcc: b@example.com",
        "a\x00@example.com",
        "a" * 250 + "@example.com",
    ],
)
def test_unusable_address_is_refused(as_owner: Client, email: str) -> None:
    answer = invite(as_owner, email)
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["email"])
    assert mail.outbox == []


def test_known_and_unknown_addresses_are_answered_alike(
    as_owner: Client, stranger: User, foreign_agency: Agency, foreign_workspace: Workspace
) -> None:
    seated = make_client_user(foreign_workspace)
    answers = [invite(as_owner, email, "member") for email in (NEW, stranger.email, seated.email)]
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [
        (302, "/northwind/team/")
    ] * 3


def test_who_has_a_place_in_the_agency_is_not_invited_to_another(
    as_owner: Client,
    workspace: Workspace,
    other_workspace: Workspace,
    member: User,
    client_user: User,
) -> None:
    def problem(answer: Any) -> str:
        assert answer.status_code == 422
        return str(answer.context["form"].errors["email"][0])

    on_staff = "This person is on your staff already."
    seated = "This person is a client user of Harbour Café already. Remove them there first."
    assert problem(invite(as_owner, member.email.upper())) == on_staff
    assert problem(invite_client_user(as_owner, member.email)) == on_staff
    assert problem(invite(as_owner, client_user.email)) == seated
    assert problem(invite_client_user(as_owner, client_user.email)) == seated
    invite_client_user(as_owner)
    invited = "This person is invited to Harbour Café already."
    assert problem(invite(as_owner)).startswith(invited)
    assert problem(
        as_owner.post("/northwind/kauri-builders/team/invite/", {"email": NEW})
    ).startswith(invited)
    assert len(mail.outbox) == 1


def test_expired_invitation_makes_way_for_a_new_one(as_owner: Client, agency: Agency) -> None:
    old = make_invitation(agency, NEW, expires_at=timezone.now() - timedelta(seconds=1))
    invite(as_owner)
    old.refresh_from_db()
    assert [row.state for row in Invitation.objects.order_by("id")] == ["expired", "sent"]
    assert old.is_open is False


def test_letters_of_an_agency_are_limited_and_the_limit_is_its_own(
    as_owner: Client, as_stranger: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "PER_HOUR", 2)
    statuses = [invite(as_owner, f"person{number}@example.com").status_code for number in range(3)]
    assert (statuses, len(mail.outbox)) == ([302, 302, 422], 2)
    answer = as_stranger.post("/southwind/team/invite/", {"email": NEW, "as_role": "member"})
    assert answer.status_code == 302


@pytest.mark.django_db(transaction=True)
def test_limit_holds_for_requests_at_the_same_time(
    agency: Agency, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "PER_HOUR", 2)
    ends: list[str] = []

    def one(number: int) -> None:
        try:
            invitations.invite(
                agency=agency, email=f"p{number}@example.com", role="member", by=owner
            )
            ends.append("sent")
        except ValidationError:
            ends.append("refused")
        finally:
            connection.close()

    together([lambda number=number: one(number) for number in range(4)])
    assert sorted(ends) == ["refused", "refused", "sent", "sent"]


def together(acts: list[Any]) -> None:
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_mail_server_that_is_away_leaves_an_invitation_to_send_again(
    as_owner: Client,
    agency: Agency,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise ConnectionRefusedError("mail server is away")

    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
        page = as_owner.post(
            "/northwind/team/invite/", {"email": NEW, "as_role": "member"}, follow=True
        ).content.decode()
    row = Invitation.objects.get()
    assert (row.state, "the e-mail could not be sent" in page) == ("unsent", True)
    assert [record.message for record in caplog.records] == ["A letter could not be sent."]
    as_owner.post(f"/northwind/team/invitations/{row.pk}/resend/")
    row.refresh_from_db()
    assert (row.state, len(mail.outbox)) == ("sent", 1)


# -- sending again, revoking --


def test_sent_again_ends_the_old_link_and_starts_seven_new_days(
    as_owner: Client, agency: Agency
) -> None:
    row = make_invitation(agency, NEW, token="old", expires_at=timezone.now() - timedelta(days=1))
    as_owner.post(f"/northwind/team/invitations/{row.pk}/resend/")
    row.refresh_from_db()
    assert (row.state, row.expires_at > timezone.now() + timedelta(days=6)) == ("sent", True)
    visitor = Client()
    assert visitor.get("/invitations/old/").status_code == 404
    assert visitor.get(link_in(mail.outbox[0])).status_code == 200


def test_sent_again_at_once_is_refused(as_owner: Client, agency: Agency) -> None:
    row = make_invitation(agency, NEW, sent_at=timezone.now())
    page = as_owner.post(f"/northwind/team/invitations/{row.pk}/resend/", follow=True)
    assert ["Wait a minute" in str(message) for message in page.context["messages"]] == [True]
    assert mail.outbox == []


def test_revoked_link_says_so_and_lets_nobody_in(
    as_admin: Client, as_nia: Client, agency: Agency
) -> None:
    row = make_invitation(agency, NEW, token="token")
    as_admin.post(f"/northwind/team/invitations/{row.pk}/revoke/")
    for answer in (as_nia.get("/invitations/token/"), as_nia.post("/invitations/token/accept/")):
        assert (answer.status_code, heading(answer)) == (410, "This invitation was revoked")
    again = as_admin.post(f"/northwind/team/invitations/{row.pk}/revoke/", follow=True)
    assert [str(message) for message in again.context["messages"]][1:] == [
        "This invitation is not open any more."
    ]
    assert trail() == [("admin@northwind.example", "invitation revoked", NEW)]


def test_admin_does_not_touch_the_invitation_of_an_admin(as_admin: Client, agency: Agency) -> None:
    row = make_invitation(agency, role="admin")
    for verb in ("resend", "revoke"):
        assert as_admin.post(f"/northwind/team/invitations/{row.pk}/{verb}/").status_code == 403
    row.refresh_from_db()
    assert (row.state, mail.outbox) == ("sent", [])


def test_invitation_of_another_agency_is_out_of_reach(
    as_owner: Client, foreign_agency: Agency
) -> None:
    row = make_invitation(foreign_agency)
    for verb in ("resend", "revoke"):
        assert as_owner.post(f"/northwind/team/invitations/{row.pk}/{verb}/").status_code == 404


def test_client_users_invitation_comes_back_to_the_clients_page(
    as_admin: Client, agency: Agency, workspace: Workspace
) -> None:
    row = make_invitation(agency, role="client", workspace=workspace)
    answer = as_admin.post(f"/northwind/team/invitations/{row.pk}/resend/")
    assert answer["Location"] == "/northwind/harbour-cafe/team/"


# -- opening and accepting --


def test_person_without_an_account_signs_up_and_joins_with_one_letter(
    as_owner: Client, client: Client, agency: Agency
) -> None:
    invite(as_owner, role="admin")
    link = link_in(mail.outbox[0])
    assert heading(client.get(link)) == "Northwind Books invites you"

    answer = client.post(f"{link}join/")
    page = client.get(answer["Location"])
    assert f'value="{NEW}"' in page.content.decode()
    answer = client.post(
        answer["Location"], {"name": "Nia", "email": NEW, "password1": PASSWORD, "time_zone": "UTC"}
    )
    assert answer["Location"] == link  # verified by the letter: no second one to open
    assert [letter.to for letter in mail.outbox] == [[NEW]]
    assert "Accept the invitation" in client.get(link).content.decode()
    answer = client.post(f"{link}accept/")
    assert answer["Location"] == "/northwind/"
    assert client.get("/northwind/settings/").status_code == 200
    assert Membership.objects.get(user__email=NEW).role == "admin"
    assert trail()[1:] == [(NEW, "member joined", NEW)]


def test_sign_up_with_another_address_is_not_verified_by_the_letter(
    client: Client, agency: Agency
) -> None:
    make_invitation(agency, NEW, token="token")
    sign_up = client.post("/invitations/token/join/")["Location"]
    answer = client.post(sign_up, {"email": "other@example.com", "password1": PASSWORD})
    assert answer["Location"] == "/accounts/confirm-email/"
    assert client.get("/me/").status_code == 302
    person = User.objects.get(email="other@example.com")
    assert list(person.emailaddress_set.values_list("email", "verified")) == [(person.email, False)]  # type: ignore[attr-defined]  # allauth


def test_person_with_an_account_signs_in_and_joins(
    client: Client, nia: User, agency: Agency
) -> None:
    make_invitation(agency, NEW, token="token")
    sign_in_page = client.post("/invitations/token/accept/")["Location"]
    assert sign_in_page == "/accounts/login/?next=%2Finvitations%2Ftoken%2F"
    answer = client.post(sign_in_page, {"login": NEW, "password": PASSWORD})
    assert answer["Location"] == "/invitations/token/"
    assert client.post("/invitations/token/accept/")["Location"] == "/northwind/"


def test_client_user_joins_and_reads_one_client(
    as_owner: Client, as_nia: Client, workspace: Workspace, other_workspace: Workspace
) -> None:
    invite_client_user(as_owner)
    link = link_in(mail.outbox[0])
    assert as_nia.post(f"{link}accept/")["Location"] == "/northwind/harbour-cafe/"
    paths = [
        "/northwind/harbour-cafe/",
        "/northwind/kauri-builders/",
        "/northwind/",
        "/northwind/team/",
    ]
    assert [as_nia.get(path).status_code for path in paths] == [200, 404, 404, 404]
    assert as_nia.get("/northwind/harbour-cafe/team/").status_code == 403
    assert trail()[1:] == [(NEW, "client user joined", NEW)]


def test_wizard_points_out_an_invitation(
    as_nia: Client, nia: User, agency: Agency, foreign_agency: Agency
) -> None:
    row = make_invitation(agency, NEW)
    make_invitation(agency, "other@example.com")
    make_invitation(foreign_agency, NEW, revoked_at=timezone.now())
    page = as_nia.get("/welcome/")
    assert list(page.context["invited"]) == [row]
    assert "<strong>Northwind Books</strong> has invited you" in page.content.decode()
    nia.emailaddress_set.update(verified=False)  # type: ignore[attr-defined]  # allauth's model, without types
    assert list(as_nia.get("/welcome/").context["invited"]) == []


def test_mail_scanners_change_nothing(as_nia: Client, agency: Agency) -> None:
    make_invitation(agency, NEW, token="token")
    before = list(Invitation.objects.values())
    for visitor in (Client(), as_nia):
        for path in (
            "/invitations/token/",
            "/invitations/token/accept/",
            "/invitations/token/join/",
        ):
            visitor.get(path)
            visitor.head(path)
    assert (
        list(Invitation.objects.values()),
        Membership.objects.filter(user__email=NEW).count(),
    ) == (
        before,
        0,
    )
    assert as_nia.post("/invitations/token/accept/").status_code == 302


def test_link_works_once(as_nia: Client, agency: Agency, nia: User) -> None:
    make_invitation(agency, NEW, token="token")
    as_nia.post("/invitations/token/accept/")
    Membership.objects.filter(user=nia).delete()  # removed again: the old link is no way back
    for answer in (as_nia.get("/invitations/token/"), as_nia.post("/invitations/token/accept/")):
        assert (answer.status_code, heading(answer)) == (410, "This invitation was used")
    assert Membership.objects.filter(user=nia).count() == 0


def test_expired_link_says_so(as_nia: Client, agency: Agency) -> None:
    make_invitation(agency, NEW, token="token", expires_at=timezone.now() - timedelta(seconds=1))
    for answer in (as_nia.get("/invitations/token/"), as_nia.post("/invitations/token/accept/")):
        assert (answer.status_code, heading(answer)) == (410, "This invitation is too old")
    assert as_nia.get("/northwind/").status_code == 404


@pytest.mark.parametrize("token", ["tokem", "TOKEN", "token ", "token%00", "x" * 5000, "%E2%82%AC"])
def test_altered_link_says_so(as_nia: Client, agency: Agency, token: str) -> None:
    make_invitation(agency, NEW, token="token")
    for answer in (
        as_nia.get(f"/invitations/{token}/"),
        as_nia.post(f"/invitations/{token}/accept/"),
    ):
        assert (answer.status_code, heading(answer)) == (404, "This link does not work")
    assert Client().post(f"/invitations/{token}/join/").status_code == 302


def test_somebody_else_signed_in_is_told_and_cannot_accept(
    as_stranger: Client, agency: Agency
) -> None:
    make_invitation(agency, NEW, token="token")
    answers = [
        as_stranger.get("/invitations/token/"),
        as_stranger.post("/invitations/token/accept/"),
    ]
    assert [(answer.status_code, heading(answer)) for answer in answers] == [
        (200, "This invitation is for somebody else"),
        (403, "This invitation is for somebody else"),
    ]
    assert [
        'name="next" value="/invitations/token/"' in each.content.decode() for each in answers
    ] == [
        True,
        True,
    ]
    answer = as_stranger.post("/accounts/logout/", {"next": "/invitations/token/"})
    assert answer["Location"] == "/invitations/token/"
    assert Invitation.objects.get().state == "sent"


def test_address_that_is_not_verified_does_not_count(
    as_nia: Client, nia: User, agency: Agency
) -> None:
    make_invitation(agency, NEW, token="token")
    nia.emailaddress_set.update(verified=False)  # type: ignore[attr-defined]  # allauth's model, without types
    assert as_nia.post("/invitations/token/accept/").status_code == 403


def test_staff_need_no_invitation(
    as_nia: Client, nia: User, agency: Agency, workspace: Workspace
) -> None:
    make_invitation(agency, NEW, token="token", role="client", workspace=workspace)
    make_member(agency, user=nia)
    answer = as_nia.post("/invitations/token/accept/")
    assert (answer.status_code, heading(answer)) == (403, "You are on the team already")
    assert Membership.objects.get(user=nia).role == "member"


def test_client_user_elsewhere_is_told_where(
    as_nia: Client,
    nia: User,
    agency: Agency,
    workspace: Workspace,
    foreign_other_workspace: Workspace,
) -> None:
    make_invitation(agency, NEW, token="token", role="client", workspace=workspace)
    make_client_user(foreign_other_workspace, user=nia)
    answer = as_nia.get("/invitations/token/")
    assert heading(answer) == "You read another client’s books already"
    assert [
        "Tui Studio" in answer.content.decode(),
        "Southwind Ledgers" in answer.content.decode(),
    ] == [
        True,
        True,
    ]
    assert as_nia.post("/invitations/token/accept/").status_code == 403


def test_client_user_of_the_agency_does_not_become_staff_by_a_link(
    as_nia: Client, nia: User, agency: Agency, workspace: Workspace
) -> None:
    make_invitation(agency, NEW, token="token")
    make_client_user(workspace, user=nia)
    answer = as_nia.post("/invitations/token/accept/")
    assert (answer.status_code, heading(answer)) == (403, "You read here as a client")


def test_client_user_of_one_agency_may_work_in_another(
    as_nia: Client, nia: User, agency: Agency, foreign_workspace: Workspace
) -> None:
    make_invitation(agency, NEW, token="token")
    make_client_user(foreign_workspace, user=nia)
    assert as_nia.post("/invitations/token/accept/")["Location"] == "/northwind/"


def test_nobody_joins_an_archived_client(
    as_owner: Client, as_nia: Client, agency: Agency, workspace: Workspace
) -> None:
    row = make_invitation(agency, NEW, token="token", role="client", workspace=workspace)
    as_owner.post("/northwind/harbour-cafe/archive/")
    answer = as_nia.post("/invitations/token/accept/")
    assert (answer.status_code, heading(answer)) == (410, "This client is archived")
    assert invite_client_user(as_owner, "other@example.com").status_code == 403
    as_owner.post(f"/northwind/team/invitations/{row.pk}/resend/")
    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
def test_accepted_twice_at_once_is_once(agency: Agency, nia: User) -> None:
    make_invitation(agency, NEW, token="token")
    assert sorted(accept_together(["token", "token"], nia)) == ["accepted", "joined"]
    assert Membership.objects.filter(user=nia).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_agencies_clients_at_once_give_one_seat(
    workspace: Workspace, foreign_workspace: Workspace, nia: User
) -> None:
    for place, token in ((workspace, "one"), (foreign_workspace, "two")):
        make_invitation(place.agency, NEW, token=token, role="client", workspace=place)
    assert sorted(accept_together(["one", "two"], nia)) == ["joined", "seat"]


def accept_together(tokens: list[str], user: User) -> Iterator[str]:
    ends: list[str] = []
    barrier = threading.Barrier(len(tokens))

    def accept(token: str) -> None:
        try:
            barrier.wait()
            invitations.accept(token=token, by=user)
            ends.append("joined")
        except invitations.Refused as refusal:
            ends.append(refusal.reason)
        finally:
            connection.close()

    together([lambda token=token: accept(token) for token in tokens])
    return iter(ends)


def test_letter_lists_no_markup_of_names(as_owner: Client, agency: Agency, owner: User) -> None:
    """Names go into the letter as they are, and into the page escaped."""
    Agency.objects.update(name="A & <b>B</b>")
    User.objects.filter(pk=owner.pk).update(name="O'Hara <x>")
    invite(as_owner)
    (letter,) = mail.outbox
    assert letter.subject == "TaskJuice: A & <b>B</b> invites you to its team"
    assert "O'Hara <x> invites you to work with A & <b>B</b>" in letter.body
    assert "<b>B</b>" not in Client().get(link_in(letter)).content.decode()
