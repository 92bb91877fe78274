"""What people change inside Xero reaches the local copy by the regular reads, without anybody
asking for it.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from django.test import Client
from django.utils import timezone

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.sandbox_process import SandboxProcess
from tests.xero.books import connected, fresh, read_all
from tests.xero.ledger.test_records import page
from tests.xero.sandbox import openapi
from xero.models import Account, Contact, Invoice, Ledger, Part, Payment, Stale

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def sandbox_process() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess, settings: Any, db: None) -> SandboxProcess:
    return fresh(sandbox_process, settings)


@pytest.fixture
def connection(as_admin: Client, workspace: Workspace, sandbox: SandboxProcess) -> Connection:
    found = connected(as_admin, workspace, sandbox)
    read_all(found)
    return found


def read_an_hour_later(connection: Connection) -> None:
    """As the next rounds do within the hour."""
    earlier = timezone.now() - timedelta(minutes=46)
    Part.objects.filter(kind="organisation").update(finished_at=earlier)
    Stale.objects.update(at=earlier)
    Ledger.objects.update(due_at=timezone.now(), refreshed_at=None)
    read_all(connection)
    Stale.objects.update(at=earlier)
    Ledger.objects.update(due_at=timezone.now(), refreshed_at=None)
    read_all(connection)


def by_hand(sandbox: SandboxProcess, connection: Connection, what: str, **fields: Any) -> Any:
    return sandbox.api("POST", f"organisations/{connection.tenant_id}/{what}", fields)


def test_connection_client_and_ledger_follow_the_organisation(
    connection: Connection, sandbox: SandboxProcess
) -> None:
    assert connection.workspace.timezone == "Pacific/Auckland"
    by_hand(
        sandbox,
        connection,
        "details",
        Name="Renamed Trading",
        LegalName="Renamed Trading Limited",
        Timezone="EASTERNSTANDARDTIME",
        PeriodLockDate="/Date(1793404800000+0000)/",
    )
    read_an_hour_later(connection)
    connection.refresh_from_db()
    details = connection.details
    assert (connection.name, details["legal_name"]) == (
        "Renamed Trading",
        "Renamed Trading Limited",
    )
    assert details["timezone"] == "America/New_York"
    assert Workspace.objects.get(pk=connection.workspace_id).timezone == "America/New_York"
    assert Ledger.objects.get().period_lock_date == date(2026, 10, 31)


def test_merged_contact_names_the_other_and_its_open_documents_follow(
    connection: Connection, sandbox: SandboxProcess, as_admin: Client
) -> None:
    open_ = Invoice.objects.filter(status="AUTHORISED").order_by("pk").first()
    assert open_ is not None
    assert open_.contact_xero_id is not None
    gone = Contact.objects.get(xero_id=open_.contact_xero_id)
    kept = Contact.objects.filter(status="ACTIVE").exclude(pk=gone.pk).order_by("pk")[0]
    by_hand(sandbox, connection, "merge", contact=str(gone.xero_id), into=str(kept.xero_id))
    read_an_hour_later(connection)
    open_.refresh_from_db()
    assert (open_.contact_xero_id, open_.contact_name) == (kept.xero_id, kept.name)
    text = page(as_admin, f"contacts/{gone.xero_id}/")
    assert "This contact was merged into" in text
    assert f"/contacts/{kept.xero_id}/" in text


def test_invoice_says_what_it_was_credited_by(
    connection: Connection, sandbox: SandboxProcess, as_admin: Client
) -> None:
    found = Invoice.objects.filter(
        type="ACCREC", status="AUTHORISED", amount_due__gt=60, amount_paid=0
    )
    invoice = found.order_by("pk")[0]
    due = invoice.amount_due
    applied = (
        ("credit-note", "25.00", "2026-11-06", "CN-0815"),
        ("overpayment", "20.10", "2026-11-07", ""),
        ("prepayment", "10.00", "2026-11-08", ""),
    )
    for kind, amount, day, number in applied:
        fields = {"kind": kind, "amount": amount, "date": day, "number": number}
        by_hand(sandbox, connection, "credit", invoice=str(invoice.xero_id), **fields)
    read_an_hour_later(connection)
    invoice.refresh_from_db()
    assert due - invoice.amount_due == invoice.amount_credited == Decimal("55.10")
    stored = Invoice.objects.get(pk=invoice.pk).record.credits
    assert [(one.kind, one.amount, one.date, one.number) for one in stored] == [
        (kind, Decimal(amount), date.fromisoformat(day), number)
        for kind, amount, day, number in applied
    ]
    text = page(as_admin, f"invoices/{invoice.xero_id}/")
    shown = (
        "Credited by",
        "Credit note CN-0815",
        "Overpayment",
        "Prepayment",
        "20.10",
        "7 Nov 2026",
    )
    assert [part for part in shown if part not in text] == []


REFUNDS = {  # (what is paid out, of a sale): amount, currency, what it is called, which way the money went
    ("overpayment", True): ("31.10", "NZD", "Refund of an overpayment", "paid"),
    ("overpayment", False): ("32.10", "USD", "Refund from a supplier we overpaid", "received"),
    ("prepayment", True): ("33.10", "USD", "Refund of a prepayment", "paid"),
    ("prepayment", False): ("34.10", "NZD", "Refund of a prepayment to a supplier", "received"),
    ("credit-note", True): ("35.10", "NZD", "Refund of a credit note", "paid"),
    ("credit-note", False): ("36.10", "NZD", "Refund of a supplier’s credit note", "received"),
}


def test_refunds_made_in_xero_are_listed_with_contact_currency_and_direction(
    connection: Connection, sandbox: SandboxProcess, as_admin: Client
) -> None:
    contact = Contact.objects.filter(status="ACTIVE").order_by("pk")[0]
    made = {}
    for (kind, sale), (amount, currency, title, _) in REFUNDS.items():
        fields = {
            "kind": kind,
            "sale": sale,
            "amount": amount,
            "date": "2026-11-05",
            "currency": currency,
        }
        number = {"number": f"CN-09{amount[:2]}"} if kind == "credit-note" else {}
        rate = {"rate": "0.61"} if currency == "USD" else {}
        refund = by_hand(
            sandbox, connection, "refund", contact=str(contact.xero_id), **fields, **number, **rate
        )
        made[refund["id"]] = title
    answer = sandbox.xero("GET", str(connection.tenant_id), "Payments?page=1&pageSize=1000")
    openapi.check_response("accounting.yaml", "GET", "/Payments", 200, answer)
    read_an_hour_later(connection)
    stored = {str(row.amount)[:5]: row for row in Payment.objects.filter(xero_id__in=made)}
    for amount, currency, _, direction in REFUNDS.values():
        row = stored[amount]
        assert (row.currency, row.kind.direction, row.invoice_xero_id) == (
            currency,
            direction,
            None,
        )
        assert row.contact_xero_id == contact.xero_id
    listed = page(as_admin, "payments/?tab=refunds")
    for id, title in made.items():
        assert title in listed
        text = page(as_admin, f"payments/{id}/")
        assert (title in text, contact.name in text) == (True, True)
        answer = sandbox.xero("GET", str(connection.tenant_id), f"Payments/{id}")
        openapi.check_response("accounting.yaml", "GET", f"/Payments/{id}", 200, answer)
    theirs = requests.get(
        f"{sandbox.base_url}/organisations/{connection.tenant_id}/payments", timeout=10
    )
    assert theirs.status_code == 200
    sandbox.xero("POST", str(connection.tenant_id), f"Payments/{id}", {"Status": "DELETED"})


def test_what_is_empty_is_left_out_and_pages_show_the_rest(
    connection: Connection, sandbox: SandboxProcess, as_admin: Client
) -> None:
    tenant = str(connection.tenant_id)
    contact = sandbox.xero("PUT", tenant, "Contacts", {"Name": "Nothing But A Name"})["Contacts"][0]
    bill = {"Type": "ACCPAY", "Contact": {"ContactID": contact["ContactID"]}, "Status": "DRAFT"}
    draft = sandbox.xero(
        "PUT", tenant, "Invoices", bill | {"LineItems": [{"Description": "Later"}]}
    )
    invoice = draft["Invoices"][0]
    for record in (invoice, contact, invoice["Contact"]):
        assert {name for name, value in record.items() if value in ("", None)} == set()
    assert invoice.keys().isdisjoint({"InvoiceNumber", "Reference", "DueDate"})
    assert contact.keys().isdisjoint({"EmailAddress", "BankAccountDetails", "FirstName"})
    read_an_hour_later(connection)
    bank = Account.objects.get(type="BANK", code="")
    paths = (
        f"bills/{invoice['InvoiceID']}/",
        f"contacts/{contact['ContactID']}/",
        "bills/",
    )
    for path in (
        *paths,
        "contacts/",
        f"accounts/{bank.xero_id}/",
        "accounts/",
        "invoices/new/",
        "bills/new/",
    ):
        page(as_admin, path)
