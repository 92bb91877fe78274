"""The pages, used as a browser without JavaScript would."""

import re
from typing import Any

import pytest
import requests

from tests.sandbox_process import SandboxProcess
from tests.xero.sandbox.app import App
from tests.xero.sandbox.receiver import Receiver, wait_for

PAGES = ["/", "/webhooks", "/faults", "/apps"]
LEDGERS = ["invoices", "contacts", "payments", "accounts", "items"]


def get(sandbox: SandboxProcess, path: str) -> str:
    answer = requests.get(sandbox.base_url + path, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.text


def post(sandbox: SandboxProcess, path: str, form: Any, **headers: str) -> requests.Response:
    return requests.post(
        sandbox.base_url + path, data=form, headers=headers, allow_redirects=False, timeout=10
    )


@pytest.mark.parametrize("path", PAGES)
def test_page_says_that_it_is_not_xero(sandbox: SandboxProcess, path: str) -> None:
    assert re.findall(r'<p class="ribbon">(.*?)\.', get(sandbox, path)) == [
        "Xero sandbox – not Xero"
    ]


@pytest.mark.parametrize("ledger", LEDGERS)
def test_ledger_lists_what_the_organisation_has(sandbox: SandboxProcess, ledger: str) -> None:
    organisation = sandbox.organisation()
    text = get(sandbox, f"/organisations/{organisation['tenant_id']}/{ledger}")
    rows = len(re.findall(r"<tr>", text)) - 1
    in_all = organisation[ledger]
    assert rows == (in_all if ledger in ("accounts", "items") else min(in_all, 50))


def test_invoices_can_be_filtered_by_status(sandbox: SandboxProcess) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    text = get(sandbox, f"/organisations/{tenant}/invoices?status=PAID&type=ACCREC")
    assert set(re.findall(r'<span class="pill \w+">(\w+)</span>', text)) == {"Paid"}


def test_invoice_is_created_edited_paid_and_each_change_is_told(
    app: App, receiver: Receiver
) -> None:
    sandbox, tenant = app.sandbox, app.tenant
    sandbox.api("POST", "subscription", {"url": receiver.url})
    contact = sandbox.xero("GET", tenant, "Contacts?page=1&where=IsCustomer==true")["Contacts"][0][
        "ContactID"
    ]
    form = {
        "action": "save", "type": "ACCREC", "contact": contact, "date": "2026-11-01", "due": "2026-12-01",
        "reference": "Page", "status": "AUTHORISED", "amounts": "Exclusive", "line_id": ["", ""],
        "description": ["Work", ""], "quantity": ["2", ""], "unit": ["50", ""], "account": ["200", ""],
    }  # fmt: skip
    path = (
        post(sandbox, f"/organisations/{tenant}/invoices/new", form)
        .headers["Location"]
        .split("?")[0]
    )
    id = path.rsplit("/", 1)[1]
    assert post(sandbox, path, {"action": "save", "reference": "Changed"}).status_code == 303
    assert post(sandbox, path, {"action": "pay"}).status_code == 303
    invoice = sandbox.xero("GET", tenant, f"Invoices/{id}")["Invoices"][0]
    assert (invoice["Reference"], invoice["Status"], invoice["SubTotal"]) == (
        "Changed",
        "PAID",
        100,
    )
    wait_for(lambda: len(receiver.events()) == 3)
    assert [(event["resourceId"], event["eventType"]) for event in receiver.events()] == [
        (id, "CREATE"),
        (id, "UPDATE"),
        (id, "UPDATE"),
    ]


def test_refused_invoice_shows_xeros_words_and_keeps_what_was_typed(
    sandbox: SandboxProcess,
) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    contact = sandbox.xero("GET", tenant, "Contacts?page=1")["Contacts"][0]["ContactID"]
    form = {
        "type": "ACCREC", "status": "AUTHORISED", "reference": "Typed before", "amounts": "NoTax",
        "description": "Work", "quantity": "1",
        "unit": "5", "account": "", "line_id": "", "contact": contact, "date": "2026-11-01", "due": "",
    }  # fmt: skip
    answer = post(sandbox, f"/organisations/{tenant}/invoices/new", form)
    assert (answer.status_code, "Account code must be specified" in answer.text) == (400, True)
    assert 'value="Typed before"' in answer.text


def test_contact_is_changed_and_archived(sandbox: SandboxProcess) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    contact = sandbox.xero("PUT", tenant, "Contacts", {"Name": "Before & after"})["Contacts"][0][
        "ContactID"
    ]
    path = f"/organisations/{tenant}/contacts/{contact}"
    assert 'value="Before &amp; after"' in get(sandbox, path)
    post(sandbox, path, {"name": "After & before", "email": "a@b.example", "archived": "1"})
    saved = sandbox.xero("GET", tenant, f"Contacts/{contact}")["Contacts"][0]
    assert (saved["Name"], saved["EmailAddress"], saved["ContactStatus"]) == (
        "After & before",
        "a@b.example",
        "ARCHIVED",
    )


def test_fault_is_switched_on_and_off(sandbox: SandboxProcess) -> None:
    form = {
        "action": "add",
        "kind": "slow",
        "count": "",
        "seconds": "3",
        "path": "",
        "method": "",
        "tenant": "",
    }
    assert post(sandbox, "/faults", form).status_code == 303
    [fault] = sandbox.api("GET", "faults")
    assert (fault["kind"], fault["remaining"], fault["seconds"]) == ("slow", None, 3)
    post(sandbox, "/faults", {"action": f"remove-{fault['id']}"})
    assert sandbox.api("GET", "faults") == []
    assert post(sandbox, "/faults", form | {"count": "many"}).status_code == 400


def test_subscription_is_saved_and_probes_are_shown(
    sandbox: SandboxProcess, receiver: Receiver
) -> None:
    form = {
        "action": "save",
        "url": receiver.url,
        "key": receiver.key,
        "category": ["INVOICE", "CONTACT"],
    }
    assert post(sandbox, "/webhooks", form).status_code == 303
    text = get(sandbox, "/webhooks")
    assert len(re.findall("✓ (?:wrong|right) signature", text)) == 4
    assert post(sandbox, "/webhooks", form | {"url": "ftp://x"}).status_code == 400


def test_person_disconnects_and_revokes_on_the_apps_page(app: App) -> None:
    [connection] = app.sandbox.api("GET", "connections")
    post(app.sandbox, "/apps", {"action": "disconnect", "connection": connection["id"]})
    assert app.call("GET", "Organisation").status_code == 403
    post(app.sandbox, "/apps", {"action": "revoke", "client_id": app.client_id, "user": "mere"})
    assert app.refresh().status_code == 400


def test_form_of_another_site_is_refused(sandbox: SandboxProcess) -> None:
    form = {"action": "clear"}
    statuses = [
        post(sandbox, "/faults", form, Origin=origin).status_code
        for origin in ("http://evil.example", "null", sandbox.base_url)
    ]
    assert statuses == [403, 403, 303]


@pytest.mark.parametrize(
    "path", ["/organisations/x", "/organisations/x/invoices/y", "/organisations/x/contacts/new"]
)
def test_unknown_organisation_is_404(sandbox: SandboxProcess, path: str) -> None:
    assert requests.get(sandbox.base_url + path, timeout=10).status_code == 404


@pytest.mark.parametrize("ledger", ["invoices", "contacts"])
def test_unknown_document_is_404(sandbox: SandboxProcess, ledger: str) -> None:
    tenant = sandbox.organisation()["tenant_id"]
    path = f"/organisations/{tenant}/{ledger}/00000000-0000-0000-0000-000000000001"
    assert requests.get(sandbox.base_url + path, timeout=10).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "settings", {"minute_limit": -1}),
        ("POST", "settings", {"client_secret": "x"}),
        ("POST", "clock", {"advance_seconds": 0}),
        ("POST", "burst", {"count": 0}),
        ("POST", "apps/x", {"colour": "red"}),
        ("POST", "consent", {"url": "http://x/"}),
    ],
)
def test_control_api_refuses_nonsense(
    sandbox: SandboxProcess, method: str, path: str, body: dict[str, Any]
) -> None:
    assert list(sandbox.api(method, path, body, status=400)) == ["error"]
