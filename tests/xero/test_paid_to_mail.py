"""From a payment in Xero to the e-mail it is meant to send, through the ledger's refresh and the
engine.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from connections.events import ReportedEvent
from connections.models import Connection
from connections.webhooks import fan_out, parsing
from taskjuice.workspaces.models import Workspace
from tests.sandbox_process import SandboxProcess
from tests.xero.books import fresh, read_all
from tests.xero.linked import link
from workflows.engine import runner
from workflows.models import Activation, Workflow
from xero.models import Invoice, Ledger, Stale
from xero.sync import changes, sync
from xero.sync import schedule as sync_schedule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def sandbox_process() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def connection(workspace: Workspace, sandbox_process: SandboxProcess, settings: Any) -> Connection:
    """With its ledger read."""
    fresh(sandbox_process, settings)
    found = link(sandbox_process, workspace)
    sync_schedule.start_reading(found)
    read_all(found)
    return found


def owed(connection: Connection) -> Invoice:
    found = Invoice.objects.filter(
        connection=connection, type="ACCREC", status="AUTHORISED", amount_due__gt=0
    )
    return found.exclude(contact_name="")[0]


def pay(sandbox: SandboxProcess, connection: Connection, paid: Invoice) -> None:
    """In Xero; then its webhook, twice, and the refresh that it causes."""
    sandbox.api(
        "POST", f"organisations/{connection.tenant_id}/pay", {"invoice_id": str(paid.xero_id)}
    )
    for _ in range(2):
        at = timezone.now()
        event = ReportedEvent(connection.tenant_id, "INVOICE", "UPDATE", paid.xero_id, at)
        fan_out.announce_events(parsing.insert_events([(connection, None, event)]))
        Stale.objects.update(at=timezone.now() - timedelta(seconds=5))
        Ledger.objects.update(refreshed_at=None)
        sync.run_ledger(connection.pk)
        changes.announce_changes()
        runner.run_lane(connection.pk)


def start_with(client: Client, connection: Connection, template: str) -> Workflow:
    point = {"template": template, "connections": [connection.pk], "do": "publish"}
    assert client.post("/northwind/workflows/new/", point).status_code == 302
    return Workflow.objects.get()


def test_payment_in_xero_sends_one_e_mail(
    as_member: Client, connection: Connection, sandbox_process: SandboxProcess
) -> None:
    start_with(as_member, connection, "paid")
    one = owed(connection)
    pay(sandbox_process, connection, one)
    assert [(letter.to, letter.subject) for letter in mail.outbox] == [
        (["member@northwind.example"], f"{one.number} is paid")
    ]
    assert [(a.state, a.subject) for a in Activation.objects.all()] == [("succeeded", one.number)]


def test_payer_is_thanked_at_the_address_that_xero_knows(
    as_member: Client, connection: Connection, sandbox_process: SandboxProcess
) -> None:
    start_with(as_member, connection, "thank-payer")
    one = owed(connection)
    contacts = f"Contacts/{one.contact_xero_id}"
    sandbox_process.xero(
        "POST", str(connection.tenant_id), contacts, {"EmailAddress": "payer@customer.example"}
    )
    pay(sandbox_process, connection, one)
    assert [(letter.to, letter.subject) for letter in mail.outbox] == [
        (["payer@customer.example"], f"Thank you for paying {one.number}")
    ]
