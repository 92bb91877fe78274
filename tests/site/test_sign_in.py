"""Sign in with Xero, against the sandbox: whose account a Xero login opens, and whose not."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.core import mail
from django.core.cache import cache
from django.test import Client

from taskjuice.site.sign_in import Remembering
from taskjuice.workspaces import proof
from taskjuice.workspaces.models import Deletion, User
from tests.conftest import SignIn
from tests.factories import PASSWORD, make_agency, make_user, make_workspace
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/oidc/xero/login/"
MERE = "mere@northwindbooks.example"


@pytest.fixture(scope="module")
def sandbox_process() -> Iterator[SandboxProcess]:
    with SandboxProcess(redirect_uri=[f"http://testserver{LOGIN}callback/"]) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess, settings: Any) -> SandboxProcess:
    """Signing in is switched on, with the sandbox in Xero's place."""
    cache.clear()
    settings.XERO_SIGN_IN = True
    app = {
        "provider_id": "xero",
        "name": "Xero",
        "client_id": sandbox_process.client_id,
        "secret": sandbox_process.client_secret,
        "settings": {
            "server_url": sandbox_process.base_url,
            "uid_field": "xero_userid",
            "fetch_userinfo": False,
            "token_auth_method": "client_secret_basic",
        },
    }
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}
    }
    return sandbox_process


def through_xero(
    client: Client, sandbox: SandboxProcess, user: str = "mere", process: str = "login"
) -> Any:
    """Sign in there, come back; the callback's answer."""
    begun = client.post(f"{LOGIN}?process={process}")
    assert begun.status_code == 302
    parts = urlsplit(sandbox.allow(begun["Location"], user=user))
    return client.get(f"{parts.path}?{parts.query}")


def is_in(client: Client) -> bool:
    return client.get("/me/").status_code == 200


def test_request_asks_who_the_person_is_and_nothing_else(
    client: Client, sandbox: SandboxProcess
) -> None:
    asked = parse_qs(urlsplit(client.post(LOGIN)["Location"]).query)
    assert sorted(asked["scope"][0].split()) == ["email", "openid", "profile"]
    assert (asked["code_challenge_method"], len(asked["state"][0]) >= 16) == (["S256"], True)
    assert client.get(LOGIN).status_code == 200  # a link from elsewhere starts nothing


def test_newcomer_has_to_confirm_their_address(client: Client, sandbox: SandboxProcess) -> None:
    answer = through_xero(client, sandbox)
    person = User.objects.get(email=MERE)
    assert (answer.status_code, person.name, person.has_usable_password()) == (
        302,
        "Mere Tamihana",
        False,
    )
    assert (is_in(client), [message.to for message in mail.outbox]) == (False, [[MERE]])
    assert SocialToken.objects.count() == 0


def test_known_address_alone_opens_nothing(client: Client, sandbox: SandboxProcess) -> None:
    person = make_user(MERE)
    through_xero(client, sandbox)
    assert (is_in(client), SocialAccount.objects.count(), User.objects.count()) == (False, 0, 1)
    (message,) = mail.outbox
    assert (message.to, "then link Xero under Your account" in message.body) == (
        [person.email],
        True,
    )


def test_linked_login_opens_the_account_of_whoever_linked_it(
    client: Client, sandbox: SandboxProcess, sign_in: SignIn
) -> None:
    person = make_user("somebody@else.example")
    through_xero(sign_in(person), sandbox, process="connect")
    assert SocialAccount.objects.get().user == person
    through_xero(client, sandbox)
    assert client.session["_auth_user_id"] == str(person.pk)


def test_linking_asks_for_the_password_first(client: Client, sandbox: SandboxProcess) -> None:
    person = make_user()
    client.force_login(person)  # some time ago
    answer = through_xero(client, sandbox, process="connect")
    assert (answer["Location"].split("?")[0], SocialAccount.objects.count()) == (
        "/accounts/reauthenticate/",
        0,
    )
    client.post(answer["Location"], {"password": "wrong"}, follow=True)
    assert SocialAccount.objects.count() == 0
    client.post(answer["Location"], {"password": PASSWORD}, follow=True)
    assert SocialAccount.objects.get().user == person


def test_login_linked_to_one_account_is_not_linked_to_another(
    sandbox: SandboxProcess, sign_in: SignIn
) -> None:
    first, second = make_user(), make_user()
    through_xero(sign_in(first), sandbox, process="connect")
    through_xero(sign_in(second), sandbox, process="connect")
    assert [account.user for account in SocialAccount.objects.all()] == [first]


def letter_link(part: str) -> str:
    """The path of the newest letter's link that has this in it."""
    words = mail.outbox[-1].body.split()
    return next(urlsplit(word).path for word in words if part in word)


def test_first_verification_elsewhere_ends_the_login_that_began_the_account(
    client: Client, sandbox: SandboxProcess
) -> None:
    through_xero(client, sandbox)  # whoever this is: nothing shows that the address is theirs
    owner = Client()
    owner.post(letter_link("confirm-email"))
    person = User.objects.get(email=MERE)
    assert EmailAddress.objects.get(user=person).verified
    assert SocialAccount.objects.count() == 0
    through_xero(client, sandbox)
    assert (is_in(client), SocialAccount.objects.count()) == (False, 0)


def test_first_verification_in_the_same_browser_keeps_its_login(
    client: Client, sandbox: SandboxProcess
) -> None:
    through_xero(client, sandbox)
    client.post(letter_link("confirm-email"))
    assert (is_in(client), SocialAccount.objects.get().user.email) == (True, MERE)
    through_xero(other := Client(), sandbox)
    assert is_in(other)


def test_reset_elsewhere_ends_links_and_sessions_of_before(
    client: Client, sandbox: SandboxProcess
) -> None:
    through_xero(client, sandbox)
    client.post(letter_link("confirm-email"))
    assert is_in(client)
    owner = Client()
    owner.post("/accounts/password/reset/", {"email": MERE})
    form = owner.get(letter_link("reset/key"))["Location"]
    assert (
        owner.post(
            form, {"password1": "seventeen quiet herons", "password2": "seventeen quiet herons"}
        ).status_code
        == 302
    )
    assert (is_in(client), SocialAccount.objects.count()) == (False, 0)
    through_xero(client, sandbox)
    assert not is_in(client)


def test_owner_of_an_account_that_a_stranger_began_gets_it_by_a_reset(
    client: Client, sandbox: SandboxProcess
) -> None:
    through_xero(client, sandbox)
    owner = Client()
    owner.post(
        "/accounts/signup/", {"email": MERE, "password1": "seventeen quiet herons", "name": "Mere"}
    )
    owner.post("/accounts/password/reset/", {"email": MERE})
    form = owner.get(letter_link("reset/key"))["Location"]
    owner.post(form, {"password1": "seventeen quiet herons", "password2": "seventeen quiet herons"})
    through_xero(client, sandbox)
    assert (is_in(client), SocialAccount.objects.count()) == (False, 0)


def aged(client: Client, hours: float) -> None:
    """As if everything in this session had happened so many hours ago."""
    session = client.session
    session[proof.BEGAN] = time.time() - hours * 3600
    for record in session.get("account_authentication_methods", []):
        record["at"] = time.time() - hours * 3600
    session.save()


def by_xero_alone(client: Client, sandbox: SandboxProcess) -> User:
    """Somebody without a password, who owns an agency."""
    through_xero(client, sandbox)
    client.post(letter_link("confirm-email"))
    person = User.objects.get(email=MERE)
    make_workspace(
        make_agency("Northwind Books", slug="northwind", owner=person), "Harbour Café", slug="cafe"
    )
    return person


def test_who_signs_in_by_xero_alone_shows_it_there_and_goes_on(
    client: Client, sandbox: SandboxProcess
) -> None:
    by_xero_alone(client, sandbox)
    aged(client, 1)
    asked = client.post("/northwind/cafe/settings/delete/", {"name": "Harbour Café"})
    assert (asked["Location"].split("?")[0], Deletion.objects.count()) == (
        "/accounts/reauthenticate/xero/",
        0,
    )
    page = client.get(asked["Location"])
    begun = client.post(page.context["there"])
    parts = urlsplit(sandbox.allow(begun["Location"], user="mere"))
    back = client.get(f"{parts.path}?{parts.query}")
    assert client.get(back["Location"])["Location"] == "/northwind/settings/data/"
    assert Deletion.objects.get().name == "Harbour Café"
    assert client.get(back["Location"])["Location"].startswith(
        "/accounts/reauthenticate/xero/"
    )  # once


def test_somebody_else_at_xero_shows_nothing(client: Client, sandbox: SandboxProcess) -> None:
    by_xero_alone(client, sandbox)
    aged(client, 1)
    asked = client.post("/northwind/cafe/settings/delete/", {"name": "Harbour Café"})
    begun = client.post(client.get(asked["Location"]).context["there"])
    parts = urlsplit(sandbox.allow(begun["Location"], user="oliver"))
    answer = client.get(f"{parts.path}?{parts.query}", follow=True)
    assert "somebody else" in answer.content.decode()
    assert Deletion.objects.count() == 0


@pytest.mark.parametrize(
    "query", ["", "code=abc&state=unknown", "error=access_denied", "error=%3Cscript%3E"]
)
def test_callback_that_nobody_began_signs_nobody_in(
    client: Client, sandbox: SandboxProcess, query: str
) -> None:
    answer = client.get(f"{LOGIN}callback/?{query}", follow=True)
    assert (answer.status_code in {200, 401}, is_in(client)) == (True, False)
    assert "<script>" not in answer.content.decode().replace('<script src="', "")


def test_callback_of_another_browser_signs_nobody_in(
    client: Client, sandbox: SandboxProcess
) -> None:
    parts = urlsplit(sandbox.allow(client.post(LOGIN)["Location"], user="mere"))
    other = Client()
    other.get(f"{parts.path}?{parts.query}")
    assert (is_in(other), User.objects.count()) == (False, 0)


def test_sign_in_page_offers_xero_only_where_it_is_on(
    client: Client, sandbox: SandboxProcess, settings: Any
) -> None:
    shown = ["Sign in with Xero" in client.get("/accounts/login/").content.decode()]
    settings.XERO_SIGN_IN = False
    shown.append("Sign in with Xero" in client.get("/accounts/login/").content.decode())
    assert shown == [True, False]


def test_xeros_configuration_is_asked_for_once_a_day(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    request = requests.Session.request

    def counted(self: requests.Session, method: str, url: str, *args: Any, **options: Any) -> Any:
        asked.append(options["timeout"])
        return request(self, method, url, *args, **options)

    monkeypatch.setattr(requests.Session, "request", counted)
    url = f"{sandbox.base_url}/.well-known/openid-configuration"
    answers = [Remembering().get(url).json() for _ in range(3)]
    assert (answers[0] == answers[2], asked) == (True, [Remembering.TIMEOUT])
