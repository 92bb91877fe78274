"""Each action of Xero's as a step of a workflow and as a page; all that is sent is held against
Xero's file.
"""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client

from connections.integrations import Data, registry
from connections.models import Call, Connection
from taskjuice.workspaces.models import Workspace
from tests.factories import make_activation, make_workflow
from tests.sandbox_process import SandboxProcess
from tests.xero.books import read_all
from tests.xero.linked import link, point_at
from tests.xero.sandbox.openapi import check_parameters, check_request
from workflows.engine import lanes, runner
from workflows.models import StepRun
from xero.api import scopes, transport
from xero.models import Account, Contact, Invoice, Item, Payment
from xero.records import wire
from xero.sync import schedule as sync_schedule

pytestmark = pytest.mark.django_db
HERE = "/northwind/harbour-cafe"
SPEC, API = "accounting.yaml", "/api.xro/2.0"


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def connection(running: SandboxProcess, settings: Any, workspace: Workspace) -> Connection:
    running.api("POST", "reset", {"connections": True})
    point_at(settings, running)
    cache.clear()
    return link(running, workspace)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """`GET /Invoices` and so on: what went to the Accounting API. After the test each is checked."""
    seen: list[str] = []
    requests: list[tuple[str, str, Data]] = []
    send = transport.send

    def noted(method: str, url: str, **request: Any) -> Any:
        path = urlsplit(url).path
        if path.startswith(API):
            seen.append(f"{method} {path.removeprefix(API)}")
            requests.append((method, path.removeprefix(API), request))
        return send(method, url, **request)

    monkeypatch.setattr(transport, "send", noted)
    yield seen
    for method, path, request in requests:
        check_parameters(SPEC, method, path, request.get("params") or {}, request["headers"])
        if request.get("data"):
            check_request(SPEC, method, path, wire.decode(request["data"]))


def there(sandbox: SandboxProcess, connection: Connection, kind: str) -> list[Data]:
    return list(
        sandbox.xero("GET", str(connection.tenant_id), f"{kind}?page=1&pageSize=1000")[kind]
    )


def to_pay(sandbox: SandboxProcess, connection: Connection) -> Data:
    found = there(sandbox, connection, "Invoices")
    return next(one for one in found if one["Status"] == "AUTHORISED" and one["AmountDue"] > 100)


def bank(sandbox: SandboxProcess, connection: Connection) -> str:
    found = there(sandbox, connection, "Accounts")
    return str(
        next(one for one in found if one["Type"] == "BANK" and one["Status"] == "ACTIVE")[
            "AccountID"
        ]
    )


def lines() -> list[Data]:
    return [
        {
            "description": "Beans",
            "quantity": "2.5",
            "unit_amount": "12.3456",
            "account_code": "200",
            "discount_rate": "10",
            "tracking": [{"name": "Region", "option": "North"}],
        },
        {"item_code": "LUNCH", "quantity": "1"},
    ]


# What a step is given, what it sends last, and what its output must hold.
Step = tuple[Callable[[SandboxProcess, Connection], Data], str, str]
STEPS: dict[str, Step] = {
    "xero/list-invoices": (
        lambda *_: {
            "type": "ACCREC",
            "statuses": ["AUTHORISED"],
            "order": "Date DESC",
            "page_size": "5",
        },
        "GET /Invoices",
        "Invoices",
    ),
    "xero/get-invoice": (
        lambda *place: {"invoice_id": to_pay(*place)["InvoiceID"]},
        "GET /Invoices",
        "InvoiceID",
    ),
    "xero/create-invoice": (
        lambda *_: {
            "type": "ACCREC",
            "contact_name": "A New One",
            "date": "2026-11-20",
            "due_date": "+30",
            "number": "TJ-77",
            "reference": "PO 1",
            "currency": "NZD",
            "line_amount_types": "Inclusive",
            "status": "AUTHORISED",
            "lines": lines(),
        },
        "PUT /Invoices",
        "InvoiceID",
    ),
    "xero/get-contact": (
        lambda sandbox, connection: {
            "contact_id": there(sandbox, connection, "Contacts")[0]["ContactID"]
        },
        "GET /Contacts",
        "ContactID",
    ),
    "xero/list-contacts": (
        lambda *_: {"search": "a", "include_archived": True, "order": "Name ASC", "summary": True},
        "GET /Contacts",
        "Contacts",
    ),
    "xero/create-contact": (
        lambda *_: {
            "name": "Tāne & Sons",
            "email": "tane@example.com",
            "phone": "09 555 0100",
            "city": "Auckland",
            "sales_terms": "DAYSAFTERBILLDATE",
            "sales_terms_day": "14",
            "default_currency": "NZD",
        },
        "PUT /Contacts",
        "ContactID",
    ),
    "xero/list-accounts": (
        lambda *_: {"account_class": "REVENUE", "modified_since": "2001-01-01T00:00:00"},
        "GET /Accounts",
        "Accounts",
    ),
    "xero/create-payment": (
        lambda *place: {
            "invoice_id": to_pay(*place)["InvoiceID"],
            "account_id": bank(*place),
            "amount": "10.05",
            "date": "2026-11-20",
            "reference": "Part",
        },
        "PUT /Payments",
        "PaymentID",
    ),
    "xero/list-items": (lambda *_: {"search": "o", "sold": True}, "GET /Items", "Items"),
}


def test_all_are_tried() -> None:
    assert sorted(STEPS) == sorted(PAGES) == sorted(scopes.NEEDS)


@pytest.mark.parametrize("key", STEPS)
def test_action_runs_as_a_step(
    key: str, running: SandboxProcess, connection: Connection, sent: list[str]
) -> None:
    given, request, result = STEPS[key]
    step = {"name": "do", "action": key, "input": given(running, connection)}
    activation = make_activation(
        make_workflow(connection.agency, connection, steps=[step]), connection
    )
    lanes.wake_lanes([connection.pk])
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, activation.error) == ("succeeded", "")
    assert StepRun.objects.get(activation=activation).output[result]
    assert sent[-1] == request
    written = ["confirmed"] if registry.actions[key].writes else []
    assert list(Call.objects.values_list("state", flat=True)) == written


# -- as pages --

Show = Callable[[Client, Connection], None]


def shows(noun: str, model: Any, **wanted: Any) -> Show:
    """The list has a record, the record has its page."""

    def look(client: Client, connection: Connection) -> None:
        rows = model.objects.filter(connection=connection, **wanted)
        listed = client.get(f"{HERE}/{noun}/").context["listing"].window
        assert (listed.count, len(listed.rows)) == (rows.count(), min(50, rows.count()))
        if noun == "accounts":  # the whole chart stands on one page
            assert listed.count == len(listed.rows)
        assert client.get(f"{HERE}/{noun}/{listed.rows[0].xero_id}/").status_code == 200

    return look


def creates(path: str, model: Any, **typed: str) -> Show:
    """The form makes one record in Xero and leads to its page."""

    def fill_in(client: Client, connection: Connection) -> None:
        before = set(model.objects.values_list("xero_id", flat=True))
        answer = client.post(f"{HERE}/{path}", {"form_key": str(uuid4()), **typed})
        assert answer.status_code == 302, answer.context["form"].errors
        (made,) = set(model.objects.values_list("xero_id", flat=True)) - before
        assert (
            Call.objects.filter(record_id=made).values_list("state", flat=True).get() == "confirmed"
        )

    return fill_in


def pays(client: Client, connection: Connection) -> None:
    invoice = Invoice.objects.filter(status="AUTHORISED", amount_due__gt=100).order_by("id")[0]
    account = Account.objects.filter(type="BANK", currency=invoice.currency).order_by("id")[0]
    typed = {
        "invoice": str(invoice.xero_id),
        "amount": "10.05",
        "date": "+0",
        "account_id": str(account.xero_id),
        "reference": "Part",
    }
    creates("payments/new/", Payment, **typed)(client, connection)


PAGES: dict[str, Show] = {
    "xero/list-invoices": shows("invoices", Invoice, type="ACCREC"),
    "xero/get-invoice": shows("bills", Invoice, type="ACCPAY"),
    "xero/list-contacts": shows("contacts", Contact, status="ACTIVE"),
    "xero/get-contact": shows("contacts", Contact, status="ACTIVE"),
    "xero/list-accounts": shows("accounts", Account, status="ACTIVE"),
    "xero/list-items": shows("items", Item),
    "xero/create-invoice": creates(
        "invoices/new/",
        Invoice,
        **{
            "do": "approve",
            "contact_name": "A New One",
            "new_contact": "on",
            "date": "2026-11-20",
            "due_date": "eom",
            "number": "TJ-78",
            "reference": "PO 1",
            "line_amount_types": "Exclusive",
            "lines-0-description": "Beans",
            "lines-0-quantity": "2.5",
            "lines-0-unit_amount": "12.3456",
            "lines-0-account_code": "200",
            "lines-0-tracking": "Region\tNorth",
            "lines-1-item_code": "LUNCH",
        },
    ),
    "xero/create-contact": creates("contacts/new/", Contact, name="Ngaio Bakery", city="Auckland"),
    "xero/create-payment": pays,
}


def test_each_action_runs_as_a_page(
    as_member: Client, connection: Connection, sent: list[str]
) -> None:
    sync_schedule.start_reading(connection)
    read_all(connection)
    for show in PAGES.values():
        show(as_member, connection)
    assert set(sent) == {
        "GET /Organisation",
        "GET /Accounts",
        "GET /Contacts",
        "GET /Invoices",
        "GET /Items",
        "GET /Payments",
        "GET /TaxRates",
        "GET /TrackingCategories",
        "PUT /Contacts",
        "PUT /Invoices",
        "PUT /Payments",
    }
