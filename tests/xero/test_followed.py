"""What people change inside Xero reaches the local copy by the regular reads, without anybody asking for it."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.sandbox_process import SandboxProcess
from tests.xero.books import connected, fresh, read_all
from tests.xero.test_ledger_details import page
from xero.models import Contact, Invoice, Ledger, Part, Stale

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
    assert (connection.name, details["legal_name"]) == ("Renamed Trading", "Renamed Trading Limited")
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
    found = Invoice.objects.filter(type="ACCREC", status="AUTHORISED", amount_due__gt=60, amount_paid=0)
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
        (kind, Decimal(amount), date.fromisoformat(day), number) for kind, amount, day, number in applied
    ]
    text = page(as_admin, f"invoices/{invoice.xero_id}/")
    shown = ("Credited by", "Credit note CN-0815", "Overpayment", "Prepayment", "20.10", "7 Nov 2026")
    assert [part for part in shown if part not in text] == []
