"""The local copy against the real sandbox: first read, changes, limits, crashes."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from connections.models import Connection, ConnectionState
from taskjuice.queue import processes
from taskjuice.queue.leases import LeaseLost
from taskjuice.workspaces.models import Workspace
from tests.sandbox_process import SandboxProcess
from tests.xero.books import connected, fresh, read_all
from tests.xero.linked import link
from xero.models import Account, Contact, Invoice, Item, Ledger, Part, Payment
from xero.sync import schedule as sync_schedule
from xero.sync import sync

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
    return connected(as_admin, workspace, sandbox)


def test_first_read_brings_everything(connection: Connection, sandbox: SandboxProcess) -> None:
    ledger = read_all(connection)
    there = sandbox.organisation()
    found = {
        "invoices": Invoice.objects.count(),
        "contacts": Contact.objects.count(),
        "payments": Payment.objects.count(),
        "accounts": Account.objects.count(),
        "items": Item.objects.count(),
    }
    assert found == {name: there[name] for name in found}
    assert ledger.base_currency == "NZD"
    assert {
        part.kind: (part.done, part.total) for part in Part.objects.exclude(kind="organisation")
    } == {name: (count, count) for name, count in (found | {"tracking categories": 2}).items()}
    connection.refresh_from_db()
    assert connection.last_sync_at is not None


def due_now() -> None:
    Ledger.objects.update(due_at=timezone.now())


def some_invoice(**fields: Any) -> Invoice:
    found = Invoice.objects.filter(**fields).order_by("number").first()
    assert found is not None
    return found


def change(
    sandbox: SandboxProcess, connection: Connection, invoice: Invoice, **fields: Any
) -> None:
    """A person edits it inside Xero."""
    sandbox.xero("POST", str(connection.tenant_id), f"Invoices/{invoice.xero_id}", fields)


def test_round_brings_what_changed(connection: Connection, sandbox: SandboxProcess) -> None:
    read_all(connection)
    invoice = some_invoice(status="DRAFT", type="ACCREC")
    change(sandbox, connection, invoice, Reference="changed")
    due_now()
    read_all(connection)
    invoice.refresh_from_db()
    assert (invoice.reference, invoice.reference_key) == ("changed", "changed")
    assert Part.objects.get(kind="invoices").full is False


def test_round_is_not_due_before_its_time(connection: Connection) -> None:
    first = read_all(connection)
    sync.run_ledger(connection.pk)
    assert Ledger.objects.get().finished_at == first.finished_at


def test_voided_invoice_and_archived_contact_are_followed(
    connection: Connection, sandbox: SandboxProcess
) -> None:
    read_all(connection)
    invoice = some_invoice(
        status="AUTHORISED", amount_paid=0, type="ACCREC", date__gte="2026-11-01"
    )
    change(sandbox, connection, invoice, Status="VOIDED")
    contact = Contact.objects.filter(status="ACTIVE").first()
    assert contact is not None
    tenant = str(connection.tenant_id)
    sandbox.xero("POST", tenant, f"Contacts/{contact.xero_id}", {"ContactStatus": "ARCHIVED"})
    due_now()
    read_all(connection)
    invoice.refresh_from_db()
    contact.refresh_from_db()
    assert (invoice.status, contact.status) == ("VOIDED", "ARCHIVED")


@pytest.mark.parametrize("page_size", [40, 100])
def test_small_pages_bring_everything(
    page_size: int, connection: Connection, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "PAGE_SIZE", page_size)
    read_all(connection)
    assert Invoice.objects.count() == sandbox.organisation()["invoices"]
    assert Payment.objects.count() == sandbox.organisation()["payments"]


def test_record_that_changes_during_a_read_hides_no_other(
    connection: Connection, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It moves to the end of Xero's order, so what stood behind it moves one place forward, over a
    page's edge.
    """
    monkeypatch.setattr(sync, "PAGE_SIZE", 50)
    monkeypatch.setattr(sync, "SLICE_SECONDS", 0.0)
    while not Invoice.objects.exists():
        sync_schedule.start_reading(connection)
        lease = sync_schedule.acquire_lease(connection.pk)
        assert lease is not None
        sync._run_step(lease, connection)
        sync_schedule.release_lease(lease, more=False)
    assert Invoice.objects.count() == 50
    change(
        sandbox,
        connection,
        some_invoice(status__in=["DRAFT", "AUTHORISED"]),
        Url="https://example.com/moved",
    )
    monkeypatch.undo()
    read_all(connection)
    assert Invoice.objects.count() == sandbox.organisation()["invoices"]


def test_limit_puts_the_read_off_until_xero_says(
    connection: Connection, sandbox: SandboxProcess
) -> None:
    sandbox.api("POST", "faults", {"kind": "limit_minute", "seconds": 20})
    sync.run_ledger(connection.pk)
    ledger = Ledger.objects.get()
    assert ledger.not_before is not None
    assert ledger.not_before > timezone.now()
    assert (ledger.failures, ledger.lease_token) == (0, None)
    sync.run_ledger(connection.pk)  # nothing happens before that
    assert Ledger.objects.get().finished_at is None


def test_failure_backs_off_and_a_person_may_ask_again(
    connection: Connection, sandbox: SandboxProcess
) -> None:
    sandbox.api("POST", "faults", {"kind": "error_503_before"})
    sync.run_ledger(connection.pk)
    ledger = Ledger.objects.get()
    assert (ledger.failures, ledger.reason) == (1, "Xero is unwell or down for maintenance.")
    sync_schedule.request_refresh(connection)
    read_all(connection)
    assert Ledger.objects.get().failures == 0


def test_killed_reader_is_succeeded_and_cannot_write_any_more(connection: Connection) -> None:
    sync_schedule.start_reading(connection)
    dead = sync_schedule.acquire_lease(connection.pk)
    assert dead is not None
    assert sync_schedule.acquire_lease(connection.pk) is None
    Ledger.objects.update(lease_holder=processes.identify_process().rsplit("|", 2)[0] + "|999999|1")
    sync_schedule.rewake_waiting()
    assert sync_schedule.acquire_lease(connection.pk) is not None
    with pytest.raises(LeaseLost), transaction.atomic():
        sync_schedule.hold_lease(dead)


def test_weekly_read_brings_everything_anew(connection: Connection) -> None:
    read_all(connection)
    due = Ledger.objects.get().full_due_at
    assert due is not None
    assert timedelta(days=7) <= due - timezone.now() <= timedelta(days=8)
    Invoice.objects.all().delete()
    Ledger.objects.update(full_due_at=timezone.now(), due_at=timezone.now())
    read_all(connection)
    assert Invoice.objects.count() == 300
    assert Part.objects.get(kind="invoices").full is True


def test_broken_connection_is_not_read(connection: Connection) -> None:
    Connection.objects.update(state=ConnectionState.ERROR)
    sync.run_ledger(connection.pk)
    sync_schedule.rewake_waiting()
    assert Ledger.objects.get().started_at is None


def test_missing_permission_leaves_one_kind_out(
    workspace: Workspace, sandbox: SandboxProcess
) -> None:
    scope = "offline_access openid profile email accounting.invoices accounting.contacts accounting.settings"
    connection = link(sandbox, workspace, scope=scope)
    sync_schedule.start_reading(connection)
    read_all(connection)
    assert Part.objects.get(kind="payments").problem != ""
    assert (Payment.objects.count(), Invoice.objects.count()) == (0, 300)
