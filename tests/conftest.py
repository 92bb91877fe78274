"""The cast of the tests: two agencies with two clients each, and one person of every kind.

owner, admin, member    staff of `agency` (Northwind Books)
client_user             reads `workspace` (Harbour Café) and nothing else
stranger                owner of `foreign_agency`
`as_owner` … `as_anonymous` are Django test clients with that person signed in.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_django
from django.core.cache import caches
from django.db import connections
from django.test import Client

from taskjuice import postgres
from taskjuice.workspaces.models import Agency, Role, User, Workspace
from tests import environment
from tests.clearing import clear_quickly
from tests.factories import make_agency, make_client_user, make_member, make_user, make_workspace
from tests.live import ensure_prepared
from tests.migrated_database import ensure_template

SignIn = Callable[[User], Client]
# What hypothesis measures by the clock says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile(
    "whatever the load", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("whatever the load")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that start processes into three groups, each run one after the other by one worker.

    More of them at a time take each other's processor time; one alone mostly waits.
    """
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group("browser"))
        elif item.get_closest_marker("processes"):
            is_whole = item.path.parent.name in {"survival", "drill"}
            item.add_marker(pytest.mark.xdist_group("products" if is_whole else "processes"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the embedded PostgreSQL if this run started it; xdist's workers leave that to their
    parent.
    """
    if not (
        hasattr(config, "workerinput") or environment.ran_before or "DATABASE_URL" in os.environ
    ):
        postgres.stop_server(environment.POSTGRES)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None,
    django_db_blocker: pytest_django.DjangoDbBlocker,
) -> None:
    """Copy each test database from one that was migrated once."""
    with django_db_blocker.unblock():
        template = ensure_template(environment.POSTGRES.parent)
    connections["default"].settings_dict["TEST"]["TEMPLATE"] = template


@pytest.fixture(scope="session", autouse=True)
def _clearing_is_quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patches:
        clear_quickly(patches)
        yield


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    """What a process keeps for a while is of another test's agency, which may have had the same
    key.
    """
    caches["process"].clear()


@pytest.fixture(scope="session")
def prepared() -> Path:
    return ensure_prepared(environment.POSTGRES.parent)


@pytest.fixture
def owner(db: None) -> User:
    return make_user("owner@northwind.example", name="Olivia Owner")


@pytest.fixture
def agency(owner: User) -> Agency:
    return make_agency("Northwind Books", slug="northwind", owner=owner)


@pytest.fixture
def workspace(agency: Agency) -> Workspace:
    return make_workspace(agency, "Harbour Café", slug="harbour-cafe")


@pytest.fixture
def other_workspace(agency: Agency) -> Workspace:
    return make_workspace(agency, "Kauri Builders", slug="kauri-builders")


@pytest.fixture
def admin(agency: Agency) -> User:
    return make_member(
        agency, Role.ADMIN, user=make_user("admin@northwind.example", name="Ada Admin")
    )


@pytest.fixture
def member(agency: Agency) -> User:
    return make_member(
        agency, Role.MEMBER, user=make_user("member@northwind.example", name="Max Member")
    )


@pytest.fixture
def client_user(workspace: Workspace) -> User:
    return make_client_user(workspace, user=make_user("client@harbour.example", name="Cleo Client"))


@pytest.fixture
def stranger(db: None) -> User:
    return make_user("stranger@southwind.example", name="Sam Stranger")


@pytest.fixture
def foreign_agency(stranger: User) -> Agency:
    return make_agency("Southwind Ledgers", slug="southwind", owner=stranger)


@pytest.fixture
def foreign_workspace(foreign_agency: Agency) -> Workspace:
    return make_workspace(foreign_agency, "Harbour Café", slug="harbour-cafe")


@pytest.fixture
def foreign_other_workspace(foreign_agency: Agency) -> Workspace:
    return make_workspace(foreign_agency, "Tui Studio", slug="tui-studio")


def signed_in(user: User) -> Client:
    """A browser of this person, who has just typed the password: nothing asks for it again."""
    client = Client()
    client.force_login(user)
    session = client.session
    record = {"method": "password", "at": time.time(), "email": user.email, "reauthenticated": True}
    session["account_authentication_methods"] = [record]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return client


@pytest.fixture
def sign_in(db: None) -> SignIn:
    return signed_in


@pytest.fixture
def as_owner(sign_in: SignIn, owner: User, agency: Agency) -> Client:
    return sign_in(owner)


@pytest.fixture
def as_admin(sign_in: SignIn, admin: User) -> Client:
    return sign_in(admin)


@pytest.fixture
def as_member(sign_in: SignIn, member: User) -> Client:
    return sign_in(member)


@pytest.fixture
def as_client_user(sign_in: SignIn, client_user: User) -> Client:
    return sign_in(client_user)


@pytest.fixture
def as_stranger(sign_in: SignIn, stranger: User, foreign_agency: Agency) -> Client:
    return sign_in(stranger)


@pytest.fixture
def as_anonymous(db: None) -> Client:
    return Client()
