"""From sign-up to the first client, as a person does it."""

import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.db import connections
from django.test import Client

from taskjuice.workspaces.models import Agency, Membership, User, Workspace
from tests.conftest import SignIn
from tests.factories import PASSWORD, make_user


def link_in(body: str) -> str:
    """The path of the one link in a mail."""
    (url,) = re.findall(r"https?://\S+", body)
    return str(urlsplit(url).path)


@pytest.fixture
def newcomer(sign_in: SignIn) -> Client:
    return sign_in(make_user("new@example.com"))


def test_sign_up_verify_and_name_ends_at_the_first_clients_connections(
    client: Client, db: None
) -> None:
    answer = client.post(
        "/accounts/signup/",
        {
            "name": "Nia New",
            "email": "Nia@Example.com",
            "password1": PASSWORD,
            "time_zone": "Pacific/Auckland",
        },
    )
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/confirm-email/")
    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == (
        ["nia@example.com"],
        "TaskJuice: Welcome: confirm your e-mail address",
    )

    link = link_in(str(letter.body))
    assert "Confirm your e-mail address" in client.get(link).content.decode()
    assert client.post(link)["Location"] == "/"
    assert client.get("/")["Location"] == "/welcome/"

    answer = client.post(
        "/welcome/", {"agency_name": "Nia & Co", "agency_slug": "", "client_name": "Tui Studio"}
    )
    assert answer["Location"] == "/nia-co/tui-studio/connections/"
    person = User.objects.get()
    assert (person.name, person.email, person.timezone) == (
        "Nia New",
        "nia@example.com",
        "Pacific/Auckland",
    )
    assert Membership.objects.get().role == "owner"
    place = Workspace.objects.get()
    assert (place.name, place.timezone, place.agency.name) == (
        "Tui Studio",
        "Pacific/Auckland",
        "Nia & Co",
    )
    assert client.get("/")["Location"] == "/nia-co/"


def test_unverified_person_cannot_sign_in(client: Client, db: None) -> None:
    client.post("/accounts/signup/", {"email": "nia@example.com", "password1": PASSWORD})
    elsewhere = Client()
    answer = elsewhere.post("/accounts/login/", {"login": "nia@example.com", "password": PASSWORD})
    assert answer["Location"] == "/accounts/confirm-email/"
    assert elsewhere.get("/me/").status_code == 302


def test_link_opened_in_another_browser_verifies_and_does_not_sign_in(
    client: Client, db: None
) -> None:
    client.post("/accounts/signup/", {"email": "nia@example.com", "password1": PASSWORD})
    elsewhere = Client()
    elsewhere.post(link_in(str(mail.outbox[0].body)))
    assert elsewhere.get("/me/").status_code == 302
    answer = elsewhere.post("/accounts/login/", {"login": "nia@example.com", "password": PASSWORD})
    assert answer["Location"] == "/"


def test_unknown_time_zone_of_the_browser_becomes_utc(client: Client, db: None) -> None:
    client.post(
        "/accounts/signup/",
        {"email": "nia@example.com", "password1": PASSWORD, "time_zone": "../../etc/passwd"},
    )
    assert User.objects.get().timezone == "UTC"


@pytest.mark.parametrize("password", ["short", "elevenchars", "qwerty123456", "nia@example.com"])
def test_weak_password_is_refused_beside_its_field(client: Client, db: None, password: str) -> None:
    answer = client.post("/accounts/signup/", {"email": "nia@example.com", "password1": password})
    assert list(answer.context["form"].errors) == ["password1"]
    assert 'id="id_password1_error"' in answer.content.decode()
    assert User.objects.count() == 0


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"agency_name": "", "agency_slug": "fine", "client_name": "X"}, ["agency_name"]),
        ({"agency_name": "A", "agency_slug": "fine", "client_name": "  "}, ["client_name"]),
        ({"agency_name": "A", "agency_slug": "Not Fine", "client_name": "X"}, ["agency_slug"]),
        ({"agency_name": "A", "agency_slug": "northwind", "client_name": "X"}, ["agency_slug"]),
        ({"agency_name": "A", "agency_slug": "accounts", "client_name": "X"}, ["agency_slug"]),
        ({"agency_name": "漢字", "agency_slug": "", "client_name": "X"}, ["agency_slug"]),
    ],
)
def test_wizard_names_what_is_wrong_and_keeps_the_rest(
    newcomer: Client, agency: Agency, values: dict[str, str], wrong: list[str]
) -> None:
    answer = newcomer.post("/welcome/", values)
    assert (answer.status_code, list(answer.context["form"].errors)) == (422, wrong)
    assert list(Agency.objects.all()) == [agency]


def test_wizard_sent_twice_makes_one_agency(newcomer: Client) -> None:
    values = {"agency_name": "Nia & Co", "agency_slug": "nia", "client_name": "Tui Studio"}
    newcomer.post("/welcome/", values)
    assert newcomer.post("/welcome/", values)["Location"] == "/"
    assert (Agency.objects.count(), Workspace.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("slug", "problem"), [("nia", ""), ("northwind", "This address is taken.")]
)
def test_wizard_tells_as_one_types_whether_the_address_is_free(
    newcomer: Client, agency: Agency, slug: str, problem: str
) -> None:
    assert newcomer.get("/welcome/address/", {"agency_slug": slug}).context["problem"] == problem


def test_client_named_like_a_page_gets_another_address(newcomer: Client) -> None:
    values = {"agency_name": "Nia & Co", "agency_slug": "nia", "client_name": "Invoices"}
    assert newcomer.post("/welcome/", values)["Location"] == "/nia/invoices-2/connections/"


@pytest.mark.django_db(transaction=True)
def test_six_at_once_make_one_agency(newcomer: Client) -> None:
    cookies = newcomer.cookies

    def one(number: int) -> str:
        try:
            client = Client()
            client.cookies = cookies
            form = {"agency_name": f"Nia {number}", "agency_slug": "", "client_name": "Tui Studio"}
            return str(client.post("/welcome/", form)["Location"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        went = list(pool.map(one, range(6)))
    assert (Agency.objects.count(), Workspace.objects.count(), Membership.objects.count()) == (
        1,
        1,
        1,
    )
    assert sorted(went)[:5] == ["/"] * 5
