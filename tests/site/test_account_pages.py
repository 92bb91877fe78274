"""Every page of signing in and of one's own account: in the product's look, with its errors,
without inline script.
"""

import re
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from allauth.mfa.totp.internal.auth import yield_hotp_counters_from_time as counters
from django.contrib.auth import hashers
from django.core import mail
from django.test import Client

from taskjuice.workspaces.models import User
from tests.factories import PASSWORD, make_user

NARROW, PRODUCT = 'data-frame="narrow"', 'data-frame="product"'


@pytest.fixture
def person(db: None) -> User:
    return make_user("pia@example.com", password=PASSWORD, name="Pia")


@pytest.fixture
def signed_in(client: Client, person: User) -> Client:
    """Signed in, and asked again just now, as pages that touch the account's safety want it."""
    client.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def checked(answer: Any, frame: str, title: str) -> str:
    """The page's text, after a look at what every page must be."""
    page: str = answer.content.decode()
    assert answer.status_code == 200
    assert frame in page
    assert f"<title>{title} · TaskJuice</title>" in page
    for tag in re.findall(r"<script\b[^>]*>", page):
        assert "src=" in tag or 'type="application/json"' in tag, tag
    assert re.findall(r"<[^>]+\s(?:style|on\w+)=", page) == []
    assert "<style" not in page
    return page


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("login/", "Sign in"),
        ("signup/", "Create your account"),
        ("password/reset/", "Forgotten your password?"),
        ("password/reset/done/", "Look into your mailbox"),
        ("password/reset/key/1-wrong/", "Choose a new password"),
        ("password/reset/key/done/", "Your password is changed"),
        ("confirm-email/", "Look into your mailbox"),
        ("confirm-email/wrong/", "Confirm your e-mail address"),
        ("inactive/", "This account is switched off"),
    ],
)
def test_page_before_signing_in_is_in_our_look(
    client: Client, db: None, path: str, title: str
) -> None:
    checked(client.get(f"/accounts/{path}"), NARROW, title)


@pytest.mark.parametrize(
    ("path", "title", "frame"),
    [
        ("email/", "E-mail address", PRODUCT),
        ("password/change/", "Password", PRODUCT),
        ("2fa/", "Two-step login", PRODUCT),
        ("2fa/totp/activate/", "Set up an authenticator app", PRODUCT),
        ("2fa/webauthn/", "Passkeys and security keys", PRODUCT),
        ("2fa/webauthn/add/", "Add a key", PRODUCT),
        ("sessions/", "Sessions", PRODUCT),
        ("reauthenticate/", "Confirm that it is you", NARROW),
        ("logout/", "Sign out", NARROW),
    ],
)
def test_page_of_ones_account_is_in_our_look(
    signed_in: Client, path: str, title: str, frame: str
) -> None:
    checked(signed_in.get(f"/accounts/{path}"), frame, title)


def test_wrong_password_is_told_without_saying_what_was_wrong(client: Client, person: User) -> None:
    known = client.post(
        "/accounts/login/", {"login": person.email, "password": "wrong wrong wrong"}
    )
    unknown = client.post(
        "/accounts/login/", {"login": "nobody@example.com", "password": "wrong wrong wrong"}
    )
    assert known.context["form"].errors == unknown.context["form"].errors
    assert 'class="errorlist nonfield"' in checked(known, NARROW, "Sign in")


def test_reset_answers_alike_for_known_and_unknown_addresses(client: Client, person: User) -> None:
    known = client.post("/accounts/password/reset/", {"email": person.email})
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.com"})
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert [letter.subject for letter in mail.outbox] == [
        "TaskJuice: Choose a new password",
        "TaskJuice: No account with this address",
    ]


def test_sign_up_with_a_known_address_looks_like_success_and_writes_to_its_owner(
    client: Client, person: User
) -> None:
    answer = client.post("/accounts/signup/", {"email": person.email, "password1": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/confirm-email/")
    assert [letter.subject for letter in mail.outbox] == ["TaskJuice: You already have an account"]
    assert User.objects.count() == 1


def test_sign_up_costs_as_much_for_a_known_address(
    client: Client, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making the password's hash is nearly all of the time: done once, whoever asks."""
    made: list[str] = []
    encode = hashers.get_hasher().__class__.encode

    def counted(self: hashers.BasePasswordHasher, password: str, *args: Any, **options: Any) -> str:
        made.append(password)
        return str(encode(self, password, *args, **options))

    monkeypatch.setattr(hashers.get_hasher().__class__, "encode", counted)
    counts = []
    for email in (person.email, "unknown@example.com"):
        made.clear()
        Client().post("/accounts/signup/", {"email": email, "password1": PASSWORD})
        counts.append((len(made), len(mail.outbox)))
    assert counts == [(1, 1), (1, 2)]


def test_password_is_reset_by_mail(client: Client, person: User) -> None:
    client.post("/accounts/password/reset/", {"email": person.email})
    (link,) = re.findall(r"http://testserver(/\S+)", str(mail.outbox[0].body))
    page = client.get(link, follow=True)
    checked(page, NARROW, "Choose a new password")
    secret = "a brand new long secret"
    answer = client.post(page.context["action_url"], {"password1": secret, "password2": secret})
    assert answer["Location"] == "/accounts/password/reset/key/done/"
    person.refresh_from_db()
    assert person.check_password(secret)
    assert mail.outbox[-1].subject == "TaskJuice: Your password was reset"


def test_password_change_shows_its_errors_beside_the_fields(signed_in: Client) -> None:
    answer = signed_in.post(
        "/accounts/password/change/",
        {"oldpassword": "no", "password1": "short", "password2": "other"},
    )
    page = checked(answer, PRODUCT, "Password")
    assert set(answer.context["form"].errors) == {"oldpassword", "password1"}
    assert 'id="id_oldpassword_error"' in page
    assert 'aria-describedby="id_password1_helptext id_password1_error"' in page


def test_email_address_changes_once_the_new_one_is_confirmed(
    signed_in: Client, person: User
) -> None:
    signed_in.post("/accounts/email/", {"action_add": "", "email": "pia@new.example"})
    assert "pia@new.example" in checked(
        signed_in.get("/accounts/email/"), PRODUCT, "E-mail address"
    )
    person.refresh_from_db()
    assert person.email == "pia@example.com"
    (link,) = re.findall(r"http://testserver(/\S+)", str(mail.outbox[-1].body))
    signed_in.post(link)
    person.refresh_from_db()
    assert person.email == "pia@new.example"


def code(secret: str) -> str:
    """What an authenticator app shows now."""
    return str(format_hotp_value(hotp_value(secret, next(iter(counters())))))


def test_second_step_is_set_up_used_and_switched_off(signed_in: Client, person: User) -> None:
    secret = signed_in.get("/accounts/2fa/totp/activate/").context["form"].secret
    answer = signed_in.post("/accounts/2fa/totp/activate/", {"code": code(secret)})
    assert answer["Location"] == "/accounts/2fa/recovery-codes/"
    checked(signed_in.get("/accounts/2fa/recovery-codes/"), PRODUCT, "Recovery codes")
    checked(signed_in.get("/accounts/2fa/"), PRODUCT, "Two-step login")
    checked(signed_in.get("/accounts/2fa/recovery-codes/generate/"), PRODUCT, "Make recovery codes")
    checked(
        signed_in.get("/accounts/2fa/totp/deactivate/"), PRODUCT, "Switch off the authenticator app"
    )
    checked(signed_in.get("/accounts/2fa/reauthenticate/"), NARROW, "Confirm that it is you")
    assert signed_in.get("/accounts/2fa/recovery-codes/download/")["Content-Type"] == "text/plain"
    signed_in.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.filter(user=person, type="totp").exists()


def test_sign_in_with_a_second_step_takes_a_recovery_code_once(
    client: Client, person: User
) -> None:
    TOTP.activate(person, generate_totp_secret())
    spare = RecoveryCodes.activate(person).get_unused_codes()[0]
    answer = client.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    page = checked(client.get("/accounts/2fa/authenticate/"), NARROW, "Second step")
    assert "Use a passkey or security key" in page
    wrong = client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert list(wrong.context["form"].errors) == ["code"]
    assert client.post("/accounts/2fa/authenticate/", {"code": spare})["Location"] == "/"

    again = Client()
    again.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    assert list(
        again.post("/accounts/2fa/authenticate/", {"code": spare}).context["form"].errors
    ) == ["code"]


def test_sessions_page_ends_the_other_ones(signed_in: Client, person: User) -> None:
    elsewhere = Client(
        headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"}
    )
    elsewhere.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    assert "Firefox on Linux" in checked(signed_in.get("/accounts/sessions/"), PRODUCT, "Sessions")
    signed_in.post("/accounts/sessions/")
    assert elsewhere.get("/me/").status_code == 302
    assert signed_in.get("/me/").status_code == 200


@pytest.mark.parametrize(
    "path", ["email/", "2fa/totp/activate/", "2fa/webauthn/add/", "2fa/recovery-codes/generate/"]
)
def test_change_to_the_accounts_safety_asks_for_the_password_again(
    client: Client, person: User, path: str
) -> None:
    client.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    values = {"action_add": "", "email": "thief@example.com"}
    answer = client.post(f"/accounts/{path}", values)
    assert answer["Location"].startswith("/accounts/reauthenticate/?next=")
    assert mail.outbox == []


def test_signing_out_takes_a_post(signed_in: Client) -> None:
    signed_in.get("/accounts/logout/")
    assert signed_in.get("/me/").status_code == 200
    signed_in.post("/accounts/logout/")
    assert signed_in.get("/me/").status_code == 302


def test_many_wrong_passwords_are_slowed_down(client: Client, person: User) -> None:
    for _ in range(5):
        client.post("/accounts/login/", {"login": person.email, "password": "wrong wrong wrong"})
    answer = client.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    assert "Too many failed login attempts" in answer.content.decode()
