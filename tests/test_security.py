"""Rows of docs/security.md that concern every page at once, and the table itself."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django_q.models import OrmQ

from connections.models import Grant
from connections.oauth import encryption, grants
from taskjuice import environment, outbound_http
from taskjuice.notifications.mailing import stop_token
from taskjuice.workspaces.models import AuditEntry, User, Workspace
from tests import test_urls
from tests.conftest import SignIn
from tests.factories import PASSWORD, make_grant
from tests.personas import address, not_offered
from tests.test_urls import TABLE, fingerprint

ROOT = Path(__file__).parent.parent
values = test_urls.values  # the fixture: what the routes' parameters stand for
SECURITY = (ROOT / "docs" / "security.md").read_text()
OURS = {route: row for route, row in TABLE.items() if not route.startswith("accounts/")}
TOKENS = {"access_token": "eyCANARY-access-token", "refresh_token": "CANARY-refresh-token"}
Values = dict[str, object]


def rows() -> list[list[str]]:
    lines = [line for line in SECURITY.splitlines() if re.match(r"\| D\d+ ", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_row_is_there() -> None:
    assert [row[0] for row in rows()] == [f"D{number}" for number in range(1, 41)]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_row_names_tests_that_exist_or_a_reason(row: list[str]) -> None:
    _, requirement, how, named = row
    tests = re.findall(r"`(\w[\w/]*\.py)::(\w+)`", named)
    assert requirement
    assert how
    assert tests or named.startswith("None: ")
    for path, name in tests:
        assert re.search(rf"^def {name}\(", (ROOT / "tests" / path).read_text(), re.MULTILINE), (
            f"{path}::{name}"
        )


def test_every_page_carries_the_headers_and_is_not_kept(
    sign_in: SignIn, owner: User, values: Values
) -> None:
    client = sign_in(owner)
    wrong: list[tuple[str, object]] = []
    for route, row in TABLE.items():
        if (
            row.token_free
        ):  # the webhook's address: a machine asks, and is answered by a status alone
            continue
        answer = client.get(address(route, row, values))
        found = (
            "default-src 'self'" in answer.get("Content-Security-Policy", ""),
            answer.get("X-Content-Type-Options"),
            answer.get("X-Frame-Options"),
            answer.get("Referrer-Policy"),
            answer.get("Cross-Origin-Opener-Policy"),
        )
        if found != (True, "nosniff", "DENY", "same-origin", "same-origin"):
            wrong.append((route, found))
        public = route.startswith("branding/")  # logos and colours, by what they contain
        private = not public and row.get is not not_offered and answer.status_code == 200
        if private and "no-store" not in answer.get("Cache-Control", ""):
            wrong.append((route, answer.get("Cache-Control")))
    assert wrong == []


def test_page_whose_address_is_a_key_is_not_kept(
    client: Client, owner: User, values: Values
) -> None:
    """By whoever looks, mostly without an account."""
    answers = {
        route: client.get(address(route, row, values))
        for route, row in TABLE.items()
        if is_key(route)
    }
    assert len(answers) >= 8
    wrong = {
        route: answer.get("Cache-Control")
        for route, answer in answers.items()
        if not is_closed(answer)
    }
    assert wrong == {}
    stop = stop_token(owner)
    assert is_closed(client.get(f"/me/notifications/stop/{stop}/"))


def is_key(route: str) -> bool:
    return re.search(r"<(str:token|str:stop|key)>|<int:consent>|\(\?P<key>", route) is not None


def is_closed(answer: Any) -> bool:
    return "no-store" in answer.get("Cache-Control", "") or answer.status_code == 405


@pytest.mark.parametrize("method", ["put", "patch", "delete", "trace"])
def test_methods_that_no_page_has_are_refused(
    sign_in: SignIn,
    owner: User,
    values: Values,
    method: str,
) -> None:
    client = sign_in(owner)
    before = fingerprint()
    answers = {
        route: getattr(client, method)(address(route, row, values)).status_code
        for route, row in OURS.items()
    }
    assert {route: status for route, status in answers.items() if status != 405} == {}
    assert fingerprint() == before


def test_no_secret_is_on_any_page_or_in_any_row_that_pages_read(
    sign_in: SignIn,
    owner: User,
    workspace: Workspace,
    values: Values,
) -> None:
    grant = make_grant(provider_user_name="Mere")
    sealed = encryption.seal(grants.build_owner_name("xero", "app", grant.provider_user_id), TOKENS)
    Grant.objects.update(tokens=sealed)
    workspace.connections.update(grant=grant)
    client = sign_in(owner)
    secrets = [
        *TOKENS.values(),
        sealed,
        owner.password,
        PASSWORD,
        str(client.session.session_key),
        django_settings.SECRET_KEY,
        django_settings.XERO_CLIENT_SECRET,
        *django_settings.TOKEN_KEYS,
        *django_settings.XERO_WEBHOOK_KEYS,
    ]
    places = {route: body(client.get(address(route, row, values))) for route, row in TABLE.items()}
    places |= {
        f"audit {pk}": str(details)
        for pk, details in AuditEntry.objects.values_list("pk", "details")
    }
    places |= {f"queue {row.pk}": f"{row.payload} {row.task()}" for row in OrmQ.objects.all()}
    assert [
        (place, secret) for place, text in places.items() for secret in secrets if secret in text
    ] == []
    assert (
        len([text for text in places.values() if "Harbour" in text]) > 30
    )  # pages were really looked at


def body(answer: Any) -> str:
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{content.decode(errors='replace')} {answer.headers}"


HIDDEN_FIELDS = set(
    "tokens token_hash key_id is_superuser is_staff is_active user_permissions groups".split()
)


def _subclasses(kind: type[Any]) -> set[type[Any]]:
    return {kind, *(below for one in kind.__subclasses__() for below in _subclasses(one))}


def test_no_form_of_ours_has_a_field_that_nobody_may_set() -> None:
    ours = [
        form
        for form in _subclasses(forms.BaseForm)
        if form.__module__.split(".")[0] in ("taskjuice", "connections", "xero", "workflows")
    ]
    named = {
        f"{form.__name__}.{name}" for form in ours for name in getattr(form, "base_fields", {})
    }
    assert len(ours) > 20
    assert {name for name in named if name.split(".")[1] in HIDDEN_FIELDS} == set()


def test_fields_that_a_page_does_not_offer_change_nothing(as_member: Client, member: User) -> None:
    extras = {"is_superuser": "on", "email": "other@example.com", "role": "owner", "is_staff": "on"}
    assert as_member.post("/me/", {"name": "Max", "time_zone": "UTC"} | extras).status_code == 302
    member.refresh_from_db()
    assert (member.name, member.email, member.is_superuser) == (
        "Max",
        "member@northwind.example",
        False,
    )
    assert member.memberships.get().role == "member"


def test_cookies_are_closed_to_scripts_and_other_sites(client: Client, owner: User) -> None:
    client.get("/accounts/login/")
    client.post("/accounts/login/", {"login": owner.email, "password": PASSWORD})
    assert {
        name: (cookie["httponly"], cookie["samesite"]) for name, cookie in client.cookies.items()
    } == {
        "csrf": (True, "Lax"),
        "session": (True, "Lax"),
    }


def test_webhook_path_sets_no_cookie_and_asks_for_none(db: None) -> None:
    answer = Client().post("/webhooks/xero/", b"{}", content_type="application/json")
    assert (answer.status_code, dict(answer.cookies), Session.objects.count()) == (401, {}, 0)


def test_sign_in_limits_count_in_a_shared_cache() -> None:
    backend = django_settings.CACHES["default"]["BACKEND"]
    assert backend == "django.core.cache.backends.db.DatabaseCache"


def test_session_gets_a_new_key_at_sign_in_and_ends_however_much_it_is_used(
    client: Client, owner: User, settings: Any
) -> None:
    client.get("/accounts/login/")
    client.session.save()
    before = client.session.session_key
    client.post("/accounts/login/", {"login": owner.email, "password": PASSWORD})
    assert client.session.session_key != before
    assert client.get("/me/").status_code == 200
    settings.SESSION_LONGEST_SECONDS = 0
    assert client.get("/me/").status_code == 302


def test_every_dependency_is_locked_with_its_hash() -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    files = [
        file
        for package in packages
        for file in [*package.get("wheels", []), package.get("sdist", {})]
        if file
    ]
    assert len(files) > 100
    assert [file for file in files if not file.get("hash", "").startswith("sha256:")] == []


def test_database_url_hands_on_how_the_server_is_verified() -> None:
    found = environment.parse_database_url(
        "postgres://a:b@db:5432/t?sslmode=verify-full&sslrootcert=/etc/ca.pem"
    )
    assert found["OPTIONS"] == {"sslmode": "verify-full", "sslrootcert": "/etc/ca.pem"}


def test_database_has_nothing_that_runs_with_its_owners_rights(db: None) -> None:
    ours = "pronamespace = 'public'::regnamespace AND prosecdef"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT proname FROM pg_proc WHERE {ours}")
        functions = cursor.fetchall()
        cursor.execute("SELECT viewname FROM pg_views WHERE schemaname = 'public'")
        assert (functions, cursor.fetchall()) == ([], [])


def test_long_password_of_words_is_taken(client: Client, db: None) -> None:
    words = "seventeen quiet herons walk along the harbour before breakfast on sundays " * 2
    answer = client.post(
        "/accounts/signup/", {"email": "pia@example.com", "password1": words.strip(), "name": "Pia"}
    )
    assert answer.status_code == 302
    assert User.objects.get().check_password(words.strip())


INWARD = [
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://10.0.0.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://localhost/",
    "http://192.0.2.1/",
    "https://user:pass@example.com/",
    "https://example.com:22/",
    "file:///etc/passwd",
    "gopher://example.com/",
]


@pytest.mark.parametrize("url", INWARD)
def test_request_to_an_address_that_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(outbound_http.AddressRefused):
        outbound_http.send_request("GET", url, headers={})
