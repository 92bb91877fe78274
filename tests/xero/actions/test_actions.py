"""The eight actions against the sandbox: what they send fits Xero's OpenAPI file, what they give is
exact.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from connections.integrations import (
    ActionContext,
    Data,
    Done,
    Failed,
    Outcome,
    Preview,
    TryLater,
    registry,
)
from connections.models import Call, Connection, ConnectionProblem
from connections.writes import admission
from connections.writes.writers import WriteDraft
from taskjuice.workspaces.models import AuditEntry, User, Workspace
from tests.sandbox_process import SandboxProcess
from tests.xero.linked import link, point_at
from tests.xero.sandbox.openapi import check_request
from workflows.engine.plans import clean_input
from xero.actions.invoices import InvoiceWriter
from xero.api import scopes
from xero.models import Contact
from xero.records import wire
from xero.sync import upsert
from xero.sync.mapping import INVOICES

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: SandboxProcess, settings: Any) -> SandboxProcess:
    running.api("POST", "reset", {"connections": True})
    point_at(settings, running)
    return running


@pytest.fixture
def connection(sandbox: SandboxProcess, workspace: Workspace) -> Connection:
    return link(sandbox, workspace)


def run(connection: Connection, key: str, *inputs: Data, **call: Any) -> list[Outcome]:
    action = registry.actions[key]
    values: list[dict[str, Any]] = [
        {"activation_id": n + 1, "step": "s"} | call for n in range(len(inputs))
    ]
    calls = [ActionContext(connection, **value) for value in values]
    return action.run_many(calls, [clean_input(action, row) for row in inputs])


def done(connection: Connection, key: str, data: Data, **call: Any) -> Data:
    (outcome,) = run(connection, key, data, **call)
    assert isinstance(outcome, Done), outcome
    return dict(outcome.output)


def ledger(
    sandbox: SandboxProcess, connection: Connection, kind: str, where: str = ""
) -> list[Data]:
    query = f"?where={where}&page=1&pageSize=1000" if where else "?page=1&pageSize=1000"
    answer = sandbox.xero("GET", str(connection.tenant_id), kind + query)
    return list(answer[kind])


def invoice(contact: str, **more: Any) -> Data:
    return {
        "contact_name": contact,
        "lines": [
            {
                "description": "Consulting",
                "quantity": "2",
                "unit_amount": "12.3456",
                "account_code": "200",
            }
        ],
    } | more


def a_contact(sandbox: SandboxProcess, connection: Connection) -> Data:
    return ledger(sandbox, connection, "Contacts")[0]


def an_invoice_to_pay(sandbox: SandboxProcess, connection: Connection) -> Data:
    return next(
        one for one in ledger(sandbox, connection, "Invoices")
        if one["Status"] == "AUTHORISED" and one["AmountDue"] > 100 and one["Type"] == "ACCREC"
    )  # fmt: skip


def a_bank(sandbox: SandboxProcess, connection: Connection) -> Data:
    accounts = ledger(sandbox, connection, "Accounts")
    return next(one for one in accounts if one["Type"] == "BANK" and one["Status"] == "ACTIVE")


def check_sent() -> None:
    """All bodies in the journal, as they went out."""
    for call in Call.objects.select_related("sending"):
        check_request(
            "accounting.yaml",
            call.sending.method,
            call.sending.path,
            wire.decode(bytes(call.sending.body)),
        )


def test_the_eight_keys_are_registered() -> None:
    assert sorted(key for key in registry.actions if key.startswith("xero/")) == sorted(
        scopes.NEEDS
    )


@pytest.mark.parametrize("key", scopes.NEEDS)
def test_every_action_describes_itself(key: str) -> None:
    action = registry.actions[key]
    assert action.title
    assert action.description.endswith(".")
    assert action.sample


def test_lists_give_pages_of_xeros_records(sandbox: SandboxProcess, connection: Connection) -> None:
    found = done(
        connection,
        "xero/list-invoices",
        {"type": "accrec", "statuses": "authorised", "page_size": 2},
    )
    assert [one["Type"] for one in found["Invoices"]] == ["ACCREC", "ACCREC"]
    assert (found["Count"], found["Page"]) == (2, 1)
    assert found["ItemCount"] == sum(
        one["Type"] == "ACCREC" and one["Status"] == "AUTHORISED"
        for one in ledger(sandbox, connection, "Invoices")
    )
    assert all(isinstance(one["Total"], Decimal) for one in found["Invoices"])
    assert found["Invoices"][0]["LineItems"]


def test_list_of_invoices_takes_every_filter(
    sandbox: SandboxProcess, connection: Connection
) -> None:
    one = an_invoice_to_pay(sandbox, connection)
    day = one["DateString"][:10]
    filters = {
        "statuses": ["AUTHORISED"],
        "contact_ids": [one["Contact"]["ContactID"]],
        "invoice_ids": one["InvoiceID"],
        "numbers": one["InvoiceNumber"],
        "date_from": day,
        "date_to": day,
        "due_from": "2000-01-01",
        "due_to": "+3000",
        "least_due": "100",
        "search": one["InvoiceNumber"],
        "order": "Date DESC",
        "modified_since": "2001-01-01T00:00:00",
        "summary": True,
        "include_archived": True,
    }
    found = done(connection, "xero/list-invoices", filters)
    assert [each["InvoiceNumber"] for each in found["Invoices"]] == [one["InvoiceNumber"]]


def test_list_of_contacts_by_name(sandbox: SandboxProcess, connection: Connection) -> None:
    one = a_contact(sandbox, connection)
    found = done(connection, "xero/list-contacts", {"name": one["Name"]})
    assert [each["ContactID"] for each in found["Contacts"]] == [one["ContactID"]]


def test_accounts_that_take_payments(sandbox: SandboxProcess, connection: Connection) -> None:
    found = done(connection, "xero/list-accounts", {"payments": True})["Accounts"]
    assert found
    assert all(one["Type"] == "BANK" or one["EnablePaymentsToAccount"] for one in found)


def test_items_by_code(sandbox: SandboxProcess, connection: Connection) -> None:
    one = done(connection, "xero/list-items", {"sold": True})["Items"][0]
    assert done(connection, "xero/list-items", {"codes": one["Code"]}) == {
        "Items": [one],
        "Count": 1,
    }


def test_equal_reads_of_a_wave_are_one_call(
    sandbox: SandboxProcess, connection: Connection
) -> None:
    sandbox.api("DELETE", "counters")
    run(connection, "xero/list-accounts", *[{}] * 20)
    assert sum(entry["count"] for entry in sandbox.api("GET", "counters")) == 1


def test_invoice_is_created_with_all_its_fields(
    sandbox: SandboxProcess, connection: Connection
) -> None:
    contact = a_contact(sandbox, connection)
    data = {
        "type": "ACCREC",
        "contact_id": contact["ContactID"],
        "date": "2026-11-02",
        "due_date": "eom",
        "number": "TJ-1",
        "reference": "Autumn",
        "line_amount_types": "Inclusive",
        "status": "AUTHORISED",
        "sent_to_contact": True,
        "lines": [
            {
                "description": "Consulting",
                "quantity": Decimal("1.5"),
                "unit_amount": "1,000.1234",
                "discount_rate": "10",
                "account_code": "200",
            },
            {"quantity": 1},
        ],
    }
    made = done(connection, "xero/create-invoice", data)
    assert (made["InvoiceNumber"], made["Reference"], made["Status"]) == (
        "TJ-1",
        "Autumn",
        "AUTHORISED",
    )
    assert made["DueDateString"] == "2026-11-30T00:00:00"
    assert [line["UnitAmount"] for line in made["LineItems"]] == [Decimal("1000.1234")]
    call = Call.objects.get()
    assert made["Url"] == f"http://localhost:8000/northwind/harbour-cafe/calls/{call.pk}/"
    assert (call.state, str(call.record_id), call.record_name) == (
        "confirmed",
        made["InvoiceID"],
        "TJ-1",
    )
    check_sent()


def test_bill_is_created(sandbox: SandboxProcess, connection: Connection) -> None:
    lines = [{"description": "Paper", "quantity": 1, "unit_amount": "30"}]
    made = done(
        connection,
        "xero/create-invoice",
        invoice("New Supplier", type="ACCPAY", number="B-7", lines=lines),
    )
    assert (made["Type"], made["InvoiceNumber"], made["Contact"]["Name"]) == (
        "ACCPAY",
        "B-7",
        "New Supplier",
    )
    check_sent()


def test_a_wave_of_creates_is_one_request_judged_by_element(
    sandbox: SandboxProcess, connection: Connection
) -> None:
    sandbox.api("DELETE", "counters")
    rows = [invoice("Wave") for _ in range(60)]
    rows[7] = invoice(
        "Wave",
        status="AUTHORISED",
        due_date="+30",
        lines=[{"description": "No account", "unit_amount": 5}],
    )
    outcomes = run(connection, "xero/create-invoice", *rows)
    assert [type(outcome) for outcome in outcomes] == [Done] * 7 + [Failed] + [Done] * 52
    refused = outcomes[7]
    assert isinstance(refused, Failed)
    assert refused.code == "invalid"
    assert "Account code must be specified" in refused.message
    puts = [entry for entry in sandbox.api("GET", "counters") if entry["method"] == "PUT"]
    assert [entry["count"] for entry in puts] == [2]
    assert AuditEntry.objects.filter(verb="invoice created").count() == 59
    check_sent()


def test_a_step_that_ran_gives_what_it_made(
    sandbox: SandboxProcess, connection: Connection
) -> None:
    first = done(connection, "xero/create-invoice", invoice("Once"))
    again = done(connection, "xero/create-invoice", invoice("Once"))
    assert again == first
    other = done(connection, "xero/create-invoice", invoice("Once"), element=1)
    assert other["InvoiceID"] != first["InvoiceID"]


def test_a_form_sent_twice_is_one_invoice(
    sandbox: SandboxProcess, connection: Connection, owner: User
) -> None:
    key = uuid4()
    page = {"user": owner, "activation_id": None, "step": "", "form_key": key}
    first = done(connection, "xero/create-invoice", invoice("Form"), **page)
    assert done(connection, "xero/create-invoice", invoice("Form"), **page) == first
    assert Call.objects.get().user == owner


def test_a_refused_form_may_be_corrected(
    sandbox: SandboxProcess, connection: Connection, owner: User
) -> None:
    page = {"user": owner, "activation_id": None, "step": "", "form_key": uuid4()}
    number = an_invoice_to_pay(sandbox, connection)["InvoiceNumber"]
    (refused,) = run(connection, "xero/create-invoice", invoice("Form", number=number), **page)
    assert refused == Failed("duplicate", "Invoice # must be unique.", status=200)
    assert Call.objects.get().messages == ["Invoice # must be unique."]
    assert (
        done(connection, "xero/create-invoice", invoice("Form", number="F-9"), **page)[
            "InvoiceNumber"
        ]
        == "F-9"
    )


def test_contact_is_created_once_per_name(sandbox: SandboxProcess, connection: Connection) -> None:
    data = {
        "name": "Tāne & Sons",
        "email": "tane@example.com",
        "phone": "09 555 0100",
        "mobile": "021 555 010",
        "city": "Auckland",
        "sales_terms": "DAYSAFTERBILLDATE",
        "sales_terms_day": 14,
    }
    made = done(connection, "xero/create-contact", data)
    assert made["Name"] == "Tāne & Sons"
    assert made["PaymentTerms"]["Sales"] == {"Day": 14, "Type": "DAYSAFTERBILLDATE"}
    (taken,) = run(connection, "xero/create-contact", data, activation_id=99)
    assert isinstance(taken, Failed)
    assert taken.message.startswith(
        "The contact name Tāne & Sons is already assigned to another contact."
    )
    assert taken.existing is not None
    assert (taken.code, taken.existing["ContactID"]) == ("duplicate", made["ContactID"])
    check_sent()


def test_payment_pays_what_is_due(sandbox: SandboxProcess, connection: Connection) -> None:
    bank = a_bank(sandbox, connection)
    first = an_invoice_to_pay(sandbox, connection)
    part = {"invoice_id": first["InvoiceID"], "account_id": bank["AccountID"], "amount": "10.05"}
    made = done(connection, "xero/create-payment", part | {"reference": "Part"})
    assert (made["Amount"], made["Reference"]) == (Decimal("10.05"), "Part")
    rest = done(connection, "xero/create-payment", part | {"amount": ""}, activation_id=2)
    assert rest["Amount"] == Decimal(str(first["AmountDue"])) - Decimal("10.05")
    (nothing,) = run(connection, "xero/create-payment", part | {"amount": ""}, activation_id=3)
    assert isinstance(nothing, Failed)
    assert (nothing.code, nothing.message) == (
        "duplicate",
        "It is paid already: nothing is due on this invoice.",
    )
    assert nothing.existing is not None
    assert nothing.existing["Invoice"]["InvoiceID"] == first["InvoiceID"]
    (over,) = run(connection, "xero/create-payment", part, activation_id=4)
    assert isinstance(over, Failed)
    assert over.message == "Nothing is due on this invoice."
    check_sent()


def test_two_payments_of_one_invoice_go_one_after_the_other(
    sandbox: SandboxProcess, connection: Connection
) -> None:
    bank, one = a_bank(sandbox, connection), an_invoice_to_pay(sandbox, connection)
    part = {"invoice_id": one["InvoiceID"], "account_id": bank["AccountID"], "amount": "1.00"}
    first, second = run(connection, "xero/create-payment", part, part)
    assert isinstance(first, Done)
    assert isinstance(second, TryLater)
    assert not second.counts
    assert isinstance(run(connection, "xero/create-payment", part, part)[1], Done)
    assert (
        len(
            ledger(
                sandbox, connection, "Payments", f'Invoice.InvoiceID==Guid("{one["InvoiceID"]}")'
            )
        )
        == 2
    )


def test_another_organisations_invoice_is_not_found(
    sandbox: SandboxProcess, connection: Connection, workspace: Workspace
) -> None:
    other = link(sandbox, workspace, 1)
    theirs, bank = an_invoice_to_pay(sandbox, other), a_bank(sandbox, connection)
    (outcome,) = run(
        connection,
        "xero/create-payment",
        {"invoice_id": theirs["InvoiceID"], "account_id": bank["AccountID"]},
    )
    assert outcome == Failed("not-found", f"{connection.name} has no such invoice.", status=200)
    (outcome,) = run(connection, "xero/get-invoice", {"invoice_id": theirs["InvoiceID"]})
    assert outcome == Failed("not-found", f"{connection.name} has no such invoice.", status=200)


def test_missing_scope_waits_for_consent_and_breaks_nothing(
    sandbox: SandboxProcess, workspace: Workspace, settings: Any
) -> None:
    granular = "openid profile email offline_access accounting.invoices accounting.contacts accounting.settings.read"
    settings.XERO_SCOPES = granular.split()
    connection = link(sandbox, workspace, scope=granular)
    data = {"invoice_id": str(uuid4()), "account_code": "090", "amount": "1"}
    (outcome,) = run(connection, "xero/create-payment", data)
    assert isinstance(outcome, TryLater)
    assert outcome.reason == "“Record a payment” needs consent for accounting.payments."
    assert not outcome.tenant_wide
    assert Call.objects.count() == 0
    connection.refresh_from_db()
    assert (connection.state, connection.problem) == ("active", ConnectionProblem.SCOPE_MISSING)
    assert done(connection, "xero/list-accounts", {})["Count"] > 0


def test_a_guarded_write_knows_what_is_there_and_what_it_comes_to(
    sandbox: SandboxProcess, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, Decimal | None, str, bool]] = []

    def look(requests: Sequence[admission.WriteRequest]) -> list[Outcome | None]:
        seen.extend(
            (one.subject, one.amount, one.currency, one.twin is not None) for one in requests
        )
        return [None] * len(requests)

    monkeypatch.setattr(admission, "_gatekeepers", [admission.Gatekeeper(look, lambda _: None)])
    guard = {"guard": {"duplicate": "skip"}}
    done(connection, "xero/create-invoice", invoice("Guarded", currency="USD"), **guard)
    item = {"item_code": "BOOK", "quantity": "2"}
    run(
        connection,
        "xero/create-invoice",
        invoice("Guarded", lines=[item]),
        activation_id=2,
        **guard,
    )
    first = an_invoice_to_pay(sandbox, connection)
    pay = {"invoice_id": first["InvoiceID"], "account_id": a_bank(sandbox, connection)["AccountID"]}
    for number in (3, 4):
        done(
            connection, "xero/create-payment", pay | {"amount": "10"}, activation_id=number, **guard
        )
    subject = f"Payment of 10 on {first['InvoiceNumber']}"
    assert seen == [
        ("Invoice to Guarded", Decimal("24.69"), "USD", False),
        ("Invoice to Guarded", None, "NZD", False),
        (subject, Decimal(10), first["CurrencyCode"], False),
        (subject, Decimal(10), first["CurrencyCode"], True),
    ]


def test_a_number_that_the_local_copy_knows_is_a_twin(
    sandbox: SandboxProcess, connection: Connection
) -> None:
    there = an_invoice_to_pay(sandbox, connection)
    upsert.store_records(connection, INVOICES, [there])
    writer, call = InvoiceWriter(), ActionContext(connection, guard={"duplicate": "skip"})
    data = clean_input(
        registry.actions["xero/create-invoice"], invoice("Other", number=there["InvoiceNumber"])
    )
    (draft,) = writer.drafts([call], [data], [uuid4()])
    assert isinstance(draft, WriteDraft)
    assert draft.twin is not None
    assert draft.twin.record["InvoiceID"] == there["InvoiceID"]
    (bill,) = writer.drafts([call], [data | {"type": "ACCPAY"}], [uuid4()])
    assert isinstance(bill, WriteDraft)
    assert bill.twin is None


def test_a_preview_is_the_exact_document_and_sends_nothing(
    sandbox: SandboxProcess, connection: Connection, owner: User
) -> None:
    first = an_invoice_to_pay(sandbox, connection)
    action = registry.actions["xero/create-payment"]
    data = clean_input(
        action,
        {
            "invoice_id": first["InvoiceID"],
            "account_code": "090",
            "amount": "10",
            "date": "2026-11-02",
        },
    )
    preview = action.preview(ActionContext(connection, user=owner), data)
    payment = {
        "Invoice": {"InvoiceID": first["InvoiceID"]},
        "Account": {"Code": "090"},
        "Date": "2026-11-02",
        "Amount": 10,
    }
    assert preview == Preview("PUT /Payments", {"Payments": [payment]})
    assert Call.objects.count() == 0


def test_marks_are_ids_of_calls(sandbox: SandboxProcess, connection: Connection) -> None:
    made = done(connection, "xero/create-invoice", invoice("Mark"))
    assert UUID(made["Url"].rstrip("/").rsplit("/", 1)[1]) == Call.objects.get().pk


def test_read_only_role_is_told_as_such_and_reading_goes_on(
    sandbox: SandboxProcess, workspace: Workspace
) -> None:
    connection = link(sandbox, workspace, 1, user="priya")
    sandbox.api("DELETE", "counters")
    outcomes = run(
        connection,
        "xero/create-contact",
        {"name": "Totara Tools"},
        {"name": "Rimu Rentals"},
        {"name": "Kea Kites"},
    )
    assert {(type(one), getattr(one, "code", "")) for one in outcomes} == {
        (Failed, "not-permitted")
    }
    assert "role" in str(outcomes[0])
    assert "Reconnect as somebody whose role allows it." in str(outcomes[0])
    assert list(Call.objects.values_list("state", flat=True)) == ["failed"] * 3
    writes = [one for one in sandbox.api("GET", "counters") if one["method"] == "PUT"]
    assert [one["count"] for one in writes] == [
        1
    ]  # a missing right is no bad element: it is asked for once
    connection.refresh_from_db()
    assert (connection.state, connection.problem) == ("active", ConnectionProblem.NOT_PERMITTED)
    assert done(connection, "xero/list-accounts", {})["Count"] > 0


@pytest.mark.parametrize("key", ["xero/list-accounts", "xero/list-items"])
def test_equal_reads_of_a_wave_are_one_call_whatever_each_picks(
    sandbox: SandboxProcess, connection: Connection, key: str
) -> None:
    sandbox.api("DELETE", "counters")
    outcomes = run(
        connection, key, *({"codes": [code]} for code in ("090", "200", "LUNCH", "", "404") * 8)
    )
    assert all(isinstance(one, Done) for one in outcomes)
    assert sum(one["count"] for one in sandbox.api("GET", "counters")) == 1
    picked = [one.output["Count"] for one in outcomes if isinstance(one, Done)]
    assert picked[:5] == picked[5:10]
    assert len(set(picked)) > 1


def test_contacts_are_read_forty_a_call(sandbox: SandboxProcess, connection: Connection) -> None:
    found = ledger(sandbox, connection, "Contacts")[:30]
    sandbox.api("DELETE", "counters")
    gone = str(uuid4())
    outcomes = run(
        connection,
        "xero/get-contact",
        *({"contact_id": id} for id in [*(c["ContactID"] for c in found), gone]),
    )
    assert sum(one["count"] for one in sandbox.api("GET", "counters")) == 1
    assert [one.output["Name"] for one in outcomes if isinstance(one, Done)] == [
        c["Name"] for c in found
    ]
    assert isinstance(outcomes[-1], Failed)
    assert outcomes[-1].code == "not-found"
    assert Contact.objects.filter(connection=connection).count() == len(
        found
    )  # the local copy took them in
