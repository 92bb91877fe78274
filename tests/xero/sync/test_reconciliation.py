"""What Xero has since the backup and this database does not know, read from the sandbox after a
restore.

"Restored" here: the journal's rows are taken away. tests/survival/test_restore.py restores a base
backup.
"""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command

from connections.integrations import ActionContext, Data, Done, registry
from connections.models import Call, Connection, Sending
from connections.writes import reconciliation
from taskjuice.queue import clock
from taskjuice.workspaces.models import Workspace
from tests.sandbox_process import SandboxProcess
from tests.xero.books import read_all
from tests.xero.linked import link, point_at
from workflows.engine.plans import clean_input
from xero.management.commands import reconcile
from xero.sync import schedule as sync_schedule

pytestmark = pytest.mark.django_db
LINES = [{"description": "Work", "quantity": 1, "unit_amount": "80", "account_code": "200"}]
DOCUMENT = {
    "contact_name": "Restored Limited",
    "status": "AUTHORISED",
    "due_date": "+30",
    "lines": LINES,
}


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def connection(running: SandboxProcess, settings: Any, workspace: Workspace) -> Connection:
    """Its ledger was read before the backup."""
    running.api("POST", "reset", {"connections": True})
    point_at(settings, running)
    cache.clear()
    connection = link(running, workspace)
    sync_schedule.start_reading(connection)
    read_all(connection)
    return connection


def write(connection: Connection, action_key: str, number: int, **given: Any) -> Data:
    """One write of a step of activation `number`."""
    action = registry.actions[action_key]
    call = ActionContext(connection, activation_id=number, step="write")
    (outcome,) = action.run_many([call], [clean_input(action, given)])
    assert isinstance(outcome, Done), outcome
    return dict(outcome.output)


def status() -> list[str]:
    """The lines that `reconcile status` prints; its last words are an error while something is
    open.
    """
    out = StringIO()
    with pytest.raises(CommandError, match="Not everything has been compared yet"):
        call_command("reconcile", "status", stdout=out)
    return out.getvalue().splitlines()


def test_status_lists_each_kind_that_was_written_after_the_backup(
    running: SandboxProcess, connection: Connection
) -> None:
    before, backup = write(connection, "xero/create-contact", 1, name="Before Limited"), clock.now()
    known = Call.objects.get()
    invoice = write(connection, "xero/create-invoice", 2, **DOCUMENT)
    lines = [LINES[0] | {"account_code": "400"}]
    bill = write(connection, "xero/create-invoice", 3, type="ACCPAY", **DOCUMENT | {"lines": lines})
    payment = write(
        connection,
        "xero/create-payment",
        4,
        invoice_id=invoice["InvoiceID"],
        account_code="090",
        amount="30",
    )
    contact = write(connection, "xero/create-contact", 5, name="After Limited")
    by_hand = running.xero(
        "PUT", str(connection.tenant_id), "Contacts", {"Contacts": [{"Name": "By Hand Limited"}]}
    )["Contacts"][0]
    Call.objects.exclude(pk=known.pk).delete()
    Sending.objects.exclude(calls=known).delete()
    reconciliation.begin_reconciliation(since=backup)
    read_all(connection)

    printed = status()
    organisation = f"Harbour Café, {connection.name}"
    number = invoice["InvoiceNumber"]
    paid = f"payment of 30.00 NZD on {number}, {backup.date()} (ID {payment['PaymentID']})"
    say = "if a change that needs a decision is this one, choose “It is there” and give"
    nothing = "nothing: a step that creates it again stops, because the name is taken."
    assert printed[2:-1] == [
        reconcile.OURS,
        f"  {organisation}: invoice {number} (ID {invoice['InvoiceID']}): {say} {number}.",
        f"  {organisation}: bill without a number (ID {bill['InvoiceID']}): {say} ID {bill['InvoiceID']}.",
        reconcile.ANYBODYS,
        f"  {organisation}: {paid}: {say} ID {payment['PaymentID']}.",
        f"  {organisation}: contact After Limited (ID {contact['ContactID']}): {nothing}",
        f"  {organisation}: contact By Hand Limited (ID {by_hand['ContactID']}): {nothing}",
        f"  {organisation}: contact Restored Limited (ID {invoice['Contact']['ContactID']}): {nothing}",
    ]
    assert before["ContactID"] not in "".join(printed)
