"""Every URL of the project, asked by every persona, held against a table. A URL without a row
fails.

A new row: `"<slug:agency>/things/": page(READ)` for a page, `action(WORK, 302)` for an address that
takes only POST (the status answers an empty POST), `form(ADMIN)` for a page that also takes a POST.
The route's parameters are filled from `values` below, by their names.
"""

from copy import deepcopy
from dataclasses import replace

import pytest
from django.db import connection, transaction
from django.test import Client

from taskjuice.workspaces import audit
from taskjuice.workspaces.gate import ADMIN, OWN, READ, WORK
from taskjuice.workspaces.models import Agency, User, Workspace
from tests.conftest import SignIn
from tests.factories import (
    make_activation,
    make_approval,
    make_branding,
    make_call,
    make_client_user,
    make_connection,
    make_consent,
    make_data_export,
    make_delivery,
    make_event,
    make_invitation,
    make_ledger,
    make_link,
    make_member,
    make_secret,
    make_workflow,
)
from tests.personas import (
    PERSONAS,
    Row,
    Rule,
    action,
    address,
    everybody,
    form,
    not_offered,
    page,
    personal,
    routes,
    tenant,
)


def only_the_owner(row: Row) -> Row:
    """A consent is its own person's; another admin gets the stranger's answer."""

    def but_not_admin(rule: Rule) -> Rule:
        return rule if rule is not_offered else lambda route: rule(route) | {"admin": 404}

    return replace(row, get=but_not_admin(row.get), post=but_not_admin(row.post))


LEGACY = Row(
    get=everybody(301), post=everybody(301)
)  # allauth's own redirects from earlier addresses

TABLE = {
    # -- signing in, and one's own account (allauth) --
    "accounts/login/": Row(get=everybody(302, anonymous=200), post=everybody(302, anonymous=200)),
    "accounts/signup/": Row(get=everybody(302, anonymous=200), post=everybody(302, anonymous=200)),
    "accounts/logout/": Row(get=everybody(200, anonymous=302), post=everybody(302)),
    "accounts/inactive/": Row(get=everybody(200)),
    "accounts/reauthenticate/": personal(200, 200),
    "accounts/email/": personal(200, 302),
    "accounts/confirm-email/": Row(get=everybody(200)),
    "accounts/password/change/": personal(200, 200),
    "accounts/password/set/": personal(302, 302),  # all of them have one
    "accounts/password/reset/": Row(get=everybody(200), post=everybody(200)),
    "accounts/login/code/confirm/": personal(
        302, 302
    ),  # nobody is in the middle of signing in by code
    r"accounts/^confirm-email/(?P<key>[-:\w]+)/$": Row(
        get=everybody(200), post=everybody(404), at="accounts/confirm-email/wrong-key/"
    ),
    "accounts/password/reset/key/done/": Row(get=everybody(200)),
    r"accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": Row(
        get=everybody(200), post=everybody(200), at="accounts/password/reset/key/1-wrong/"
    ),
    "accounts/password/reset/done/": Row(get=everybody(200)),
    "accounts/2fa/": personal(200, 405),
    "accounts/2fa/authenticate/": personal(302, 302),  # nobody is in the middle of signing in
    "accounts/2fa/reauthenticate/": personal(302, 302),  # nobody here has a second factor
    "accounts/2fa/totp/activate/": personal(200, 200),
    "accounts/2fa/totp/deactivate/": personal(404, 404),
    "accounts/2fa/recovery-codes/": personal(404, 405),
    "accounts/2fa/recovery-codes/generate/": personal(200, 200),
    "accounts/2fa/recovery-codes/download/": personal(404, 404),
    "accounts/2fa/webauthn/": personal(200, 405),
    "accounts/2fa/webauthn/add/": personal(200, 200),
    "accounts/2fa/webauthn/reauthenticate/": personal(302, 302),
    "accounts/2fa/webauthn/keys/<int:pk>/remove/": personal(404, 404),
    "accounts/2fa/webauthn/keys/<int:pk>/edit/": personal(404, 404),
    "accounts/2fa/webauthn/login/": Row(get=everybody(302), post=everybody(302)),
    "accounts/sessions/": personal(200, 302),
    # Sign in with Xero, which is off here
    "accounts/3rdparty/": personal(200, 200),
    "accounts/3rdparty/signup/": Row(
        get=everybody(302), post=everybody(302)
    ),  # nobody comes from Xero
    "accounts/3rdparty/login/cancelled/": Row(get=everybody(200)),
    "accounts/3rdparty/login/error/": Row(get=everybody(401)),
    "accounts/social/login/cancelled/": LEGACY,
    "accounts/social/login/error/": LEGACY,
    "accounts/social/signup/": LEGACY,
    "accounts/social/connections/": LEGACY,
    r"accounts/oidc/^(?P<provider_id>[^/]+)/login/": Row(
        get=everybody(404), post=everybody(404), at="accounts/oidc/xero/login/"
    ),
    r"accounts/oidc/^(?P<provider_id>[^/]+)/login/callback/": Row(
        get=everybody(404), post=everybody(404), at="accounts/oidc/xero/login/callback/"
    ),
    # Who signs in by a password is sent to show that; what Xero says is taken from its callback
    # alone
    "accounts/reauthenticate/xero/": personal(302),
    "accounts/reauthenticate/xero/done/": personal(302),
    # -- the frame: home, the chooser, the theme --
    "": Row(get=everybody(302)),
    "places/": personal(),
    "theme/": Row(post=everybody(302)),
    "<slug:agency>/": page(READ),
    "<slug:agency>/<slug:workspace>/": page(READ),
    # -- people and clients --
    "welcome/": Row(
        get=everybody(302), post=everybody(302)
    ),  # all of them have an agency or a client already
    "welcome/address/": personal(),
    "me/": personal(200, 200),
    "me/notifications/": personal(200, 422),
    "me/notifications/stop/<str:stop>/": Row(
        get=everybody(404), post=everybody(404), token_free=True
    ),
    "<slug:agency>/notifications/": page(WORK),
    "<slug:agency>/notifications/read/": action(WORK),
    "metrics": Row(get=everybody(404)),  # off: no token is set
    "<slug:agency>/clients/": page(READ),
    "<slug:agency>/clients/switch/": page(READ),
    "<slug:agency>/clients/new/": form(ADMIN),
    "<slug:agency>/clients/new/address/": page(ADMIN),
    "<slug:agency>/settings/": form(ADMIN),
    "<slug:agency>/settings/branding/": action(ADMIN),
    "<slug:agency>/settings/emails/": action(ADMIN),
    "branding/logos/<slug:digest>/": Row(get=everybody(200)),  # whoever knows the address
    "branding/colours/<slug:colour>/": Row(get=everybody(200)),
    "<slug:agency>/team/": page(WORK),
    "<slug:agency>/team/invite/": action(ADMIN, 422),
    "<slug:agency>/team/invitations/<int:invitation>/resend/": action(ADMIN),
    "<slug:agency>/team/invitations/<int:invitation>/revoke/": action(ADMIN),
    "<slug:agency>/team/<int:membership>/role/": action(OWN, 422),
    "<slug:agency>/team/<int:membership>/remove/": form(ADMIN, 302),
    "<slug:agency>/team/leave/": action(WORK),
    "<slug:agency>/team/transfer/": form(OWN, 422),
    "<slug:agency>/team/two-step/": action(OWN, 422),
    "<slug:agency>/<slug:workspace>/team/": page(WORK),
    "<slug:agency>/<slug:workspace>/team/invite/": action(ADMIN, 422),
    "<slug:agency>/<slug:workspace>/team/<int:seat>/remove/": form(ADMIN, 302),
    "invitations/<str:token>/": Row(get=everybody(200)),  # none of the cast has the address invited
    "invitations/<str:token>/join/": Row(post=everybody(302)),
    "invitations/<str:token>/accept/": Row(post=everybody(403, anonymous=302)),
    "<slug:agency>/audit/": page(WORK),
    "<slug:agency>/audit/export/": page(WORK),
    "<slug:agency>/audit/<int:entry>/": page(WORK),
    "<slug:agency>/<slug:workspace>/audit/": page(WORK),
    "<slug:agency>/<slug:workspace>/audit/export/": page(WORK),
    "<slug:agency>/<slug:workspace>/audit/<int:entry>/": page(WORK),
    "<slug:agency>/settings/data/": page(ADMIN),
    "<slug:agency>/<slug:workspace>/settings/": page(ADMIN),
    "<slug:agency>/<slug:workspace>/settings/time-zone/": action(ADMIN, 422),
    "<slug:agency>/<slug:workspace>/settings/data/": page(ADMIN),
    "<slug:agency>/<slug:workspace>/settings/data/export/": action(ADMIN),
    "<slug:agency>/<slug:workspace>/settings/data/exports/<int:export>/download/": action(
        ADMIN, 200
    ),
    "<slug:agency>/<slug:workspace>/settings/data/exports/<int:export>/remove/": action(ADMIN),
    "<slug:agency>/<slug:workspace>/settings/delete/": form(ADMIN, 422),
    "<slug:agency>/<slug:workspace>/rename/": action(ADMIN, 422),
    "<slug:agency>/<slug:workspace>/archive/": action(ADMIN),
    "<slug:agency>/<slug:workspace>/unarchive/": action(ADMIN),
    # -- connections --
    "connections/<slug:provider>/callback/": Row(get=everybody(400)),  # a state that nobody began
    "<slug:agency>/connections/": page(READ),
    "<slug:agency>/<slug:workspace>/connections/": page(READ),
    "<slug:agency>/connections/new/": page(ADMIN),
    "<slug:agency>/<slug:workspace>/connections/new/": page(ADMIN),
    "<slug:agency>/connections/webhooks/": page(WORK),
    "<slug:agency>/<slug:workspace>/connections/webhooks/": page(WORK),
    "<slug:agency>/connections/<slug:provider>/connect/": action(ADMIN, 422),
    "<slug:agency>/<slug:workspace>/connections/choose/<int:consent>/": only_the_owner(
        form(ADMIN, 422)
    ),
    "<slug:agency>/<slug:workspace>/connections/choose/<int:consent>/cancel/": only_the_owner(
        action(ADMIN)
    ),
    "<slug:agency>/<slug:workspace>/connections/<int:connection>/": page(READ),
    "<slug:agency>/<slug:workspace>/connections/<int:connection>/disconnect/": form(ADMIN, 422),
    "<slug:agency>/<slug:workspace>/connections/<int:connection>/test/": action(WORK),
    "<slug:agency>/<slug:workspace>/connections/<int:connection>/pause/": action(ADMIN),
    "<slug:agency>/<slug:workspace>/connections/<int:connection>/resume/": action(ADMIN),
    "<slug:agency>/<slug:workspace>/connections/<int:connection>/reconnect/": action(ADMIN),
    "<slug:agency>/<slug:workspace>/connections/<slug:provider>/connect/": action(ADMIN),
    "<slug:agency>/connections/grants/": page(ADMIN),
    "<slug:agency>/connections/grants/<int:grant>/hand-over/": form(ADMIN, 302),
    "<slug:agency>/connections/links/": page(WORK),
    "<slug:agency>/<slug:workspace>/connections/links/": page(WORK),
    "<slug:agency>/connections/links/new/": form(ADMIN, 422),
    "<slug:agency>/<slug:workspace>/connections/links/new/": form(
        ADMIN, 200
    ),  # without an address: to be copied
    "<slug:agency>/connections/links/bulk/": form(ADMIN, 422),
    "<slug:agency>/<slug:workspace>/connections/links/bulk/": form(ADMIN, 422),
    "<slug:agency>/<slug:workspace>/connections/links/<int:link>/": page(WORK),
    "<slug:agency>/<slug:workspace>/connections/links/<int:link>/remind/": action(ADMIN),
    "<slug:agency>/<slug:workspace>/connections/links/<int:link>/copy/": action(ADMIN, 200),
    "<slug:agency>/<slug:workspace>/connections/links/<int:link>/revoke/": action(ADMIN),
    "link/<str:token>/": Row(get=everybody(200)),  # whoever has the link
    "link/<str:token>/start/": Row(post=everybody(302)),
    "link/<str:token>/decline/": Row(post=everybody(200)),
    # A consent that began in another browser
    "link/choose/<int:consent>/": Row(get=everybody(404), post=everybody(404)),
    "link/choose/<int:consent>/cancel/": Row(post=everybody(404)),
    "link/again/<int:consent>/": Row(post=everybody(404)),
    "link/done/<int:consent>/": Row(get=everybody(404)),
    # -- workflows and activations --
    "<slug:agency>/workflows/": page(READ),
    "<slug:agency>/<slug:workspace>/workflows/": page(READ),
    "<slug:agency>/workflows/new/": form(WORK, 422),
    "<slug:agency>/<slug:workspace>/workflows/new/": form(WORK, 422),
    "<slug:agency>/workflows/import/": form(WORK, 422),
    "<slug:agency>/<slug:workspace>/workflows/import/": form(WORK, 422),
    "<slug:agency>/workflows/<int:workflow>/export/": page(WORK),
    "<slug:agency>/<slug:workspace>/workflows/<int:workflow>/export/": page(WORK),
    "<slug:agency>/workflows/<int:workflow>/": page(READ),
    "<slug:agency>/<slug:workspace>/workflows/<int:workflow>/": page(READ),
    "<slug:agency>/workflows/<int:workflow>/edit/": form(WORK, 422),
    "<slug:agency>/<slug:workspace>/workflows/<int:workflow>/edit/": form(WORK, 422),
    "<slug:agency>/workflows/<int:workflow>/publish/": action(WORK),
    "<slug:agency>/<slug:workspace>/workflows/<int:workflow>/publish/": action(WORK),
    # Without an event chosen they lead back to the workflow's page
    "<slug:agency>/workflows/<int:workflow>/run/": Row(
        get=tenant(WORK, 302), post=tenant(WORK, 302)
    ),
    "<slug:agency>/<slug:workspace>/workflows/<int:workflow>/run/": Row(
        get=tenant(WORK, 302), post=tenant(WORK, 302)
    ),
    "<slug:agency>/workflows/<int:workflow>/resume-here/": action(WORK),
    "<slug:agency>/<slug:workspace>/workflows/<int:workflow>/resume-here/": action(WORK),
    "<slug:agency>/<slug:workspace>/workflows/<int:workflow>/pause-here/": action(WORK, 422),
    "<slug:agency>/workflows/<int:workflow>/connections/": action(WORK),
    "<slug:agency>/<slug:workspace>/workflows/<int:workflow>/connections/": action(WORK),
    "<slug:agency>/workflows/<int:workflow>/pause/": action(WORK),
    "<slug:agency>/workflows/<int:workflow>/safety/": action(WORK, 422),
    "<slug:agency>/workflows/<int:workflow>/resume/": action(WORK),
    "<slug:agency>/workflows/<int:workflow>/archive/": action(WORK),
    "<slug:agency>/workflows/<int:workflow>/unarchive/": action(WORK),
    "<slug:agency>/workflows/<int:workflow>/discard/": action(WORK),
    "<slug:agency>/<slug:workspace>/workflows/<int:workflow>/discard/": action(WORK),
    "<slug:agency>/workflows/<int:workflow>/versions/": page(READ),
    "<slug:agency>/<slug:workspace>/workflows/<int:workflow>/versions/": page(READ),
    "<slug:agency>/workflows/<int:workflow>/versions/<int:number>/restore/": action(WORK),
    "<slug:agency>/<slug:workspace>/workflows/<int:workflow>/versions/<int:number>/restore/": action(
        WORK
    ),
    "<slug:agency>/activations/": page(READ),
    "<slug:agency>/<slug:workspace>/activations/": page(READ),
    "<slug:agency>/activations/bulk/": action(WORK),
    "<slug:agency>/<slug:workspace>/activations/bulk/": action(WORK),
    "<slug:agency>/activations/<int:activation>/": page(READ),
    "<slug:agency>/<slug:workspace>/activations/<int:activation>/": page(READ),
    "<slug:agency>/activations/<int:activation>/replay/": action(WORK),
    "<slug:agency>/<slug:workspace>/activations/<int:activation>/replay/": action(WORK),
    "<slug:agency>/activations/<int:activation>/cancel/": action(WORK),
    "<slug:agency>/<slug:workspace>/activations/<int:activation>/cancel/": action(WORK),
    "<slug:agency>/activations/<int:activation>/resume/": action(WORK),
    "<slug:agency>/<slug:workspace>/activations/<int:activation>/resume/": action(WORK),
    "<slug:agency>/lanes/<int:connection>/resume/": action(WORK),
    "<slug:agency>/<slug:workspace>/lanes/<int:connection>/resume/": action(WORK),
    "<slug:agency>/activations/<int:activation>/done/": action(WORK),
    "<slug:agency>/<slug:workspace>/activations/<int:activation>/done/": action(WORK),
    "<slug:agency>/tasks/": page(WORK),
    "<slug:agency>/<slug:workspace>/tasks/": page(WORK),
    "<slug:agency>/tasks/<int:task>/": page(WORK),
    "<slug:agency>/<slug:workspace>/tasks/<int:task>/": page(WORK),
    "<slug:agency>/tasks/<int:task>/approve/": action(WORK),
    "<slug:agency>/<slug:workspace>/tasks/<int:task>/approve/": action(WORK),
    "<slug:agency>/tasks/<int:task>/decline/": action(WORK),
    "<slug:agency>/<slug:workspace>/tasks/<int:task>/decline/": action(WORK),
    # -- secret values --
    "<slug:agency>/settings/secrets/": page(ADMIN),
    "<slug:agency>/settings/secrets/add/": action(ADMIN, 422),
    "<slug:agency>/settings/secrets/<int:secret>/replace/": form(ADMIN, 422),
    "<slug:agency>/settings/secrets/<int:secret>/delete/": action(ADMIN),
    # -- deliveries --
    "<slug:agency>/deliveries/": page(WORK),
    "<slug:agency>/<slug:workspace>/deliveries/": page(WORK),
    "<slug:agency>/deliveries/<int:delivery>/": page(WORK),
    "<slug:agency>/<slug:workspace>/deliveries/<int:delivery>/": page(WORK),
    "<slug:agency>/deliveries/<int:delivery>/replay/": action(WORK),
    "<slug:agency>/<slug:workspace>/deliveries/<int:delivery>/replay/": action(WORK),
    "<slug:agency>/deliveries/replay/": form(WORK, 422),
    "<slug:agency>/<slug:workspace>/deliveries/replay/": form(WORK, 422),
    "<slug:agency>/deliveries/catch-up/": action(WORK),
    "<slug:agency>/<slug:workspace>/deliveries/catch-up/": action(WORK),
    # -- receivables --
    "<slug:agency>/receivables/": page(READ),
    "<slug:agency>/<slug:workspace>/receivables/": page(READ),
    "<slug:agency>/receivables/export/": page(READ),
    "<slug:agency>/<slug:workspace>/receivables/export/": page(READ),
    # -- the ledger --
    "<slug:agency>/<slug:workspace>/invoices/": page(READ),
    "<slug:agency>/<slug:workspace>/invoices/export/": page(READ),
    "<slug:agency>/<slug:workspace>/invoices/new/": form(WORK, 200),
    "<slug:agency>/<slug:workspace>/bills/new/": form(WORK, 200),
    "<slug:agency>/<slug:workspace>/contacts/find/": page(WORK),
    "<slug:agency>/<slug:workspace>/contacts/new/": form(WORK, 422),
    "<slug:agency>/<slug:workspace>/payments/new/": form(WORK, 200),
    "<slug:agency>/<slug:workspace>/invoices/<uuid:document>/approve/": action(WORK),
    "<slug:agency>/<slug:workspace>/invoices/<uuid:document>/void/": form(WORK, 422),
    "<slug:agency>/<slug:workspace>/invoices/<uuid:document>/": page(READ),
    "<slug:agency>/<slug:workspace>/bills/": page(READ),
    "<slug:agency>/<slug:workspace>/bills/export/": page(READ),
    "<slug:agency>/<slug:workspace>/bills/<uuid:document>/": page(READ, 302),  # it is an invoice
    "<slug:agency>/<slug:workspace>/contacts/": page(READ),
    "<slug:agency>/<slug:workspace>/contacts/export/": page(READ),
    "<slug:agency>/<slug:workspace>/contacts/<uuid:contact>/": page(READ),
    "<slug:agency>/<slug:workspace>/payments/": page(READ),
    "<slug:agency>/<slug:workspace>/payments/export/": page(READ),
    "<slug:agency>/<slug:workspace>/payments/<uuid:payment>/": page(READ),
    "<slug:agency>/<slug:workspace>/accounts/": page(READ),
    "<slug:agency>/<slug:workspace>/accounts/export/": page(READ),
    "<slug:agency>/<slug:workspace>/accounts/<uuid:account>/": page(READ),
    "<slug:agency>/<slug:workspace>/items/": page(READ),
    "<slug:agency>/<slug:workspace>/items/export/": page(READ),
    "<slug:agency>/<slug:workspace>/items/<uuid:item>/": page(READ),
    "<slug:agency>/<slug:workspace>/ledger/<int:connection>/refresh/": action(WORK),
    "<slug:agency>/<slug:workspace>/ledger/<int:connection>/freshness/": page(READ),
    # -- Xero --
    "<slug:agency>/calls/": page(READ),
    "<slug:agency>/<slug:workspace>/calls/": page(READ),
    "<slug:agency>/<slug:workspace>/calls/<uuid:call>/": page(READ),
    "<slug:agency>/<slug:workspace>/calls/<uuid:call>/there/": action(WORK, 422),
    "<slug:agency>/<slug:workspace>/calls/<uuid:call>/again/": action(WORK),
    "<slug:agency>/<slug:workspace>/calls/<uuid:call>/abandon/": action(WORK),
    "webhooks/xero": Row(post=everybody(401), token_free=True),
    "webhooks/xero/": Row(post=everybody(401), token_free=True),
}

# What a person's own request may touch: their session, and when it was last seen.
BOOKKEEPING = ("cache", "django_session", "usersessions_usersession")


@pytest.fixture
def values(
    owner: User, agency: Agency, workspace: Workspace, other_workspace: Workspace
) -> dict[str, object]:
    """What the routes' parameters stand for; all of it belongs to the owner's agency and its first
    client.
    """
    link = make_connection(workspace)
    workflow = make_workflow(agency, link)
    event = make_event(link, delivery=make_delivery())
    return {
        "agency": agency.slug,
        "workspace": workspace.slug,
        "connection": link.pk,
        "workflow": workflow.pk,
        "number": 1,
        "activation": (activation := make_activation(workflow, link, event=event)).pk,
        "task": make_approval(activation).pk,
        "secret": make_secret(agency).pk,
        "delivery": event.delivery_id,
        "pk": link.pk,
        "provider": "xero",
        "call": make_call(link).pk,
        "consent": make_consent(workspace, owner).pk,
        "membership": make_member(agency).memberships.get().pk,
        "seat": make_client_user(workspace).client_user.pk,
        "invitation": make_invitation(agency, token="token").pk,
        "token": "token",
        "grant": link.grant_id,
        "link": make_link(workspace, token="token").pk,
        "digest": make_branding(agency).logo_digest,
        "colour": "0f5570",
        "stop": "not-signed",
        "export": make_data_export(workspace).pk,
        "entry": audit.record("client created", by=owner, agency=agency, workspace=workspace).pk,
    } | make_ledger(link)


@pytest.fixture
def cast(
    sign_in: SignIn,
    stranger: User,
    foreign_workspace: Workspace,
    client_user: User,
    member: User,
    admin: User,
    owner: User,
) -> dict[str, Client]:
    people = {
        "stranger": stranger,
        "client_user": client_user,
        "member": member,
        "admin": admin,
        "owner": owner,
    }
    return {"anonymous": Client()} | {who: sign_in(person) for who, person in people.items()}


@pytest.fixture(scope="session", autouse=True)
def _no_stale_rows() -> None:
    assert sorted(TABLE.keys() - set(routes())) == []


def ask(client: Client, method: str, path: str) -> int:
    """The status; whatever the request changed is undone, cookies included."""
    cookies = deepcopy(client.cookies)
    with transaction.atomic():
        status: int = getattr(client, method)(path).status_code
        transaction.set_rollback(True)
    client.cookies = cookies
    return status


def fingerprint() -> dict[str, tuple[int, int]]:
    """Rows and a sum over their contents, per table."""
    with connection.cursor() as cursor:
        names = [
            name for name in connection.introspection.table_names(cursor) if name not in BOOKKEEPING
        ]
        parts = (
            f"SELECT '{name}', count(*), sum(hashtext(t::text)) FROM \"{name}\" t" for name in names
        )
        cursor.execute(" UNION ALL ".join(parts))
        return {name: (count, contents) for name, count, contents in cursor.fetchall()}


def test_every_url_has_a_row() -> None:
    missing = [route for route in routes() if route not in TABLE]
    assert missing == [], "add a row for each of these to TABLE"


@pytest.mark.parametrize("who", PERSONAS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_each_persona_is_answered_as_the_table_says(
    method: str, who: str, cast: dict[str, Client], values: dict[str, object]
) -> None:
    found, expected = {}, {}
    for route, row in TABLE.items():
        found[route] = ask(cast[who], method, address(route, row, values))
        expected[route] = (row.get if method == "get" else row.post)(route)[who]
    assert found == expected


def test_get_changes_nothing(cast: dict[str, Client], values: dict[str, object]) -> None:
    before = fingerprint()
    for route, row in TABLE.items():
        cast["owner"].get(address(route, row, values))
        assert fingerprint() == before, f"GET {route} changed rows"


def test_post_without_a_token_is_refused(
    owner: User, agency: Agency, values: dict[str, object]
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    for route, row in TABLE.items():
        if row.post is not not_offered:
            status = client.post(address(route, row, values)).status_code
            assert (status == 403) is not row.token_free, f"POST {route} answered {status}"
