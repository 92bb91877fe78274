"""Sessions begin anew with a sign-in and end where they must."""

import pytest
from django.conf import settings
from django.test import Client

from taskjuice.workspaces.models import User
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return make_user("pia@example.com", name="Pia")


def signed_in(person: User) -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    assert is_in(client)
    return client


def is_in(client: Client) -> bool:
    return client.get("/me/").status_code == 200


def test_sign_in_brings_a_new_session(person: User) -> None:
    client = Client()
    client.get("/accounts/login/")
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = before = str(session.session_key)
    client.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    assert client.session.session_key not in {None, before}
    stale = Client()
    stale.cookies[settings.SESSION_COOKIE_NAME] = before
    assert (is_in(client), is_in(stale)) == (True, False)


def test_sign_out_ends_the_session_at_the_server(person: User) -> None:
    client = signed_in(person)
    key = str(client.session.session_key)
    client.post("/accounts/logout/")
    stale = Client()
    stale.cookies[settings.SESSION_COOKIE_NAME] = key
    assert is_in(stale) is False


def test_new_password_ends_every_other_session(person: User) -> None:
    here, there = signed_in(person), signed_in(person)
    new = "harbour lantern orbit mango"
    here.post(
        "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new}
    )
    assert is_in(there) is False


def test_switching_an_account_off_ends_its_sessions(person: User) -> None:
    client = signed_in(person)
    User.objects.update(is_active=False)
    assert is_in(client) is False
