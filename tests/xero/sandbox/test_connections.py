"""`/connections`: what was granted by which consent, and its end."""

import re

from tests.sandbox_process import SandboxProcess
from tests.xero.sandbox import openapi
from tests.xero.sandbox.app import App


def test_connections_have_xeros_fields_and_times(app: App) -> None:
    body = app.identity("GET", "connections").json()
    openapi.check_response("identity.yaml", "GET", "/Connections", 200, body)
    [connection] = body
    assert sorted(connection) == [
        "authEventId", "createdDateUtc", "id", "tenantId", "tenantName", "tenantType", "updatedDateUtc"
    ]  # fmt: skip
    assert (connection["tenantId"], connection["tenantType"]) == (app.tenant, "ORGANISATION")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}", connection["createdDateUtc"])
    assert connection["authEventId"] == app.claims()["authentication_event_id"]


def test_auth_event_id_finds_what_this_consent_granted(sandbox: SandboxProcess) -> None:
    first = App(sandbox).connect(0)
    second = App(sandbox).connect(1)
    event = second.claims()["authentication_event_id"]
    granted = second.identity("GET", f"connections?authEventId={event}").json()
    everything = second.identity("GET", "connections").json()
    assert [connection["tenantId"] for connection in granted] == [second.tenant]
    assert sorted(connection["tenantId"] for connection in everything) == sorted(
        [first.tenant, second.tenant]
    )


def test_another_users_connections_are_not_listed(sandbox: SandboxProcess) -> None:
    App(sandbox).connect(1)
    owner = App(sandbox).connect(0, user="oliver")
    assert [
        connection["tenantId"] for connection in owner.identity("GET", "connections").json()
    ] == [owner.tenant]


def test_delete_disconnects_and_calls_are_refused(app: App) -> None:
    [connection] = app.identity("GET", "connections").json()
    statuses = [
        app.identity("DELETE", f"connections/{connection['id']}").status_code for _ in range(2)
    ]
    answer = app.call("GET", "Organisation")
    assert statuses == [204, 404]
    assert (answer.status_code, answer.json()["Detail"]) == (403, "AuthenticationUnsuccessful")
    assert app.identity("GET", "connections").json() == []


def test_delete_of_another_users_connection_is_404(sandbox: SandboxProcess) -> None:
    mere, oliver = App(sandbox).connect(), App(sandbox).connect(user="oliver")
    [connection] = mere.identity("GET", "connections").json()
    assert oliver.identity("DELETE", f"connections/{connection['id']}").status_code == 404
    assert mere.call("GET", "Organisation").status_code == 200


def test_reconnecting_keeps_created_and_changes_updated(app: App) -> None:
    [before] = app.identity("GET", "connections").json()
    app.identity("DELETE", f"connections/{before['id']}")
    app.connect()
    [after] = app.identity("GET", "connections").json()
    assert after["createdDateUtc"] == before["createdDateUtc"]
    assert after["updatedDateUtc"] > before["updatedDateUtc"]


def test_consent_without_a_new_organisation_gives_an_empty_list(app: App) -> None:
    redirect = app.sandbox.api(
        "POST", "consent", {"url": app.authorize_url(), "organisations": []}
    )["redirect"]
    app.tokens = app.exchange(redirect.split("code=")[1].split("&")[0]).json()
    event = app.claims()["authentication_event_id"]
    assert app.identity("GET", f"connections?authEventId={event}").json() == []
    assert len(app.identity("GET", "connections").json()) == 1


def test_connections_need_a_token(sandbox: SandboxProcess) -> None:
    answer = App(sandbox).identity("GET", "connections", "nonsense")
    assert (answer.status_code, answer.json()["Title"]) == (401, "Unauthorized")
