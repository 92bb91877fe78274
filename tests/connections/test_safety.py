"""What holds around consents whoever asks: the request itself, roles that change meanwhile, secrets
at rest.
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core import mail
from django.db import connection as database
from django.test import Client

from connections.models import Consent
from taskjuice.workspaces.models import Membership, User, Workspace
from tests.connections.conftest import start
from tests.connections.links.test_visitor_views import sent_token
from tests.factories import make_connection

pytestmark = pytest.mark.django_db
HOME = "/northwind/harbour-cafe/connections/"


def asked(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_consent_request_is_exact_and_new_each_time(
    as_admin: Client, workspace: Workspace, settings: Any
) -> None:
    first, second = asked(start(as_admin, workspace)), asked(start(as_admin, workspace))
    assert first["redirect_uri"] == "http://localhost:8000/connections/xero/callback/"
    assert (first["response_type"], first["code_challenge_method"]) == ("code", "S256")
    assert first["scope"].split() == settings.XERO_SCOPES
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) >= 43  # 256 bits
        assert first[name] != second[name]
    assert first["state"] not in dump()


def test_demotion_and_removal_act_on_running_sessions(
    as_admin: Client, admin: User, workspace: Workspace
) -> None:
    row = make_connection(workspace)
    urls = [f"{HOME}{row.pk}/reconnect/", f"{HOME}{row.pk}/pause/", f"{HOME}links/new/"]
    Membership.objects.filter(user=admin).update(role="member")
    assert [as_admin.post(url).status_code for url in urls] == [403, 403, 403]
    Membership.objects.filter(user=admin).delete()
    assert [as_admin.post(url).status_code for url in urls] == [404, 404, 404]
    assert Consent.objects.count() == 0


def test_dump_of_the_database_holds_no_usable_token(
    as_owner: Client, as_anonymous: Client, workspace: Workspace
) -> None:
    as_owner.post(
        "/northwind/team/invite/", {"email": "new@northwind.example", "as_role": "member"}
    )
    invitation = str(mail.outbox[-1].body).split("/invitations/")[1].split("/")[0]
    as_owner.post(f"{HOME}links/new/", {"email": "mere@harbour.example"})
    link = sent_token()
    assert [len(token) for token in (invitation, link)] == [43, 43]
    as_anonymous.post(f"/link/{link}/start/")
    assert [token in dump() for token in (invitation, link)] == [False, False]


def dump() -> str:
    """Every row of every table as text."""
    with database.cursor() as cursor:
        names = database.introspection.table_names(cursor)
        cursor.execute(" UNION ALL ".join(f'SELECT t::text FROM "{name}" t' for name in names))
        return "\n".join(row[0] for row in cursor.fetchall())
