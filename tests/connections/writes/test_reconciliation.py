"""After a restore from a backup nothing is written twice: writes wait, are looked up, and doubtful
ones ask a person.

"Restored" here: the rows that came after the backup are taken away; Xero keeps what was written
meanwhile.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from connections.integrations import ActionContext as ActionCall
from connections.integrations import Done, Failed, Outcome, TryLater, Unknown, registry
from connections.models import Call, CallState, Connection, Reconciliation, Sending
from connections.writes import decisions, reconciliation
from taskjuice.queue import clock
from taskjuice.workspaces.models import User, Workspace
from tests.factories import make_activation, make_delivery, make_event, make_workflow
from tests.sandbox_process import SandboxProcess
from tests.xero.books import read_all
from tests.xero.linked import link, point_at
from workflows.activations import replay
from workflows.engine.plans import clean_input
from workflows.models import Activation, ActivationState
from xero.models import Ledger
from xero.sync import changes, schedule

pytestmark = pytest.mark.django_db(transaction=True)
ACTION = "xero/create-invoice"
STEPS = [{"name": "write", "action": ACTION, "input": {}}]
LINES = [{"description": "Work", "quantity": 1, "unit_amount": "80", "account_code": "200"}]


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000) as sandbox:
        yield sandbox


@pytest.fixture
def connection(running: SandboxProcess, settings: Any, workspace: Workspace) -> Connection:
    running.api("POST", "reset", {"connections": True})
    point_at(settings, running)
    return link(running, workspace)


class Step:
    """A step that makes one invoice, of this activation or of one that a webhook of `at` caused: an
    hour ago.
    """

    def __init__(
        self,
        sandbox: SandboxProcess,
        connection: Connection,
        *,
        at: datetime | None = None,
        activation: Activation | None = None,
    ) -> None:
        self.sandbox, self.connection, self.name = (
            sandbox,
            connection,
            f"Restored {uuid4().hex[:10]}",
        )
        self.activation = activation or make_activation(
            make_workflow(connection.agency, connection, steps=STEPS),
            connection,
            event=make_event(
                connection,
                delivery=make_delivery(),
                occurred_at=at or clock.now() - timedelta(hours=1),
            ),
        )

    def run(self, **of: Any) -> Outcome:
        action = registry.actions[ACTION]
        whose = of or {"activation_id": self.activation.pk, "step": "write"}
        given = {
            "contact_name": self.name,
            "status": "AUTHORISED",
            "due_date": "+30",
            "lines": LINES,
        }
        return action.run_many(
            [ActionCall(self.connection, **whose)], [clean_input(action, given)]
        )[0]

    def there(self) -> int:
        path = f'Invoices?where=Contact.Name=="{self.name}"&page=1'
        found = self.sandbox.xero("GET", str(self.connection.tenant_id), path)
        return len(found["Invoices"])


@pytest.fixture
def step(running: SandboxProcess, connection: Connection) -> Step:
    return Step(running, connection)


def restore() -> Reconciliation:
    """The database as it was before anything was written, an hour and a half ago."""
    Call.objects.all().delete()
    Sending.objects.all().delete()
    return reconciliation.begin_reconciliation(since=timezone.now() - timedelta(minutes=90))


def command(*words: str) -> str:
    out = StringIO()
    call_command("reconcile", *words, stdout=out)
    return out.getvalue()


def test_nothing_is_written_while_a_reconciliation_is_open(step: Step, owner: User) -> None:
    restore()
    outcome = step.run()
    assert isinstance(outcome, TryLater)
    assert (outcome.reason, outcome.counts) == (reconciliation.HELD, False)
    assert step.run(user=owner, form_key=uuid4()) == Failed("held", reconciliation.HELD)
    assert (step.there(), Call.objects.count()) == (0, 0)


def test_step_that_wrote_after_the_backup_asks_a_person_and_writes_once(
    step: Step, owner: User
) -> None:
    assert isinstance(step.run(), Done)
    reconciliation.release_writes(restore(), force=True)
    outcome = step.run()
    assert isinstance(outcome, Unknown)
    assert "it may have been done already" in outcome.message
    assert step.there() == 1
    number = step.sandbox.xero(
        "GET", str(step.connection.tenant_id), f'Invoices?where=Contact.Name=="{step.name}"&page=1'
    )["Invoices"][0]["InvoiceNumber"]
    decisions.confirm_record(call=Call.objects.get(), named=number, by=owner)
    assert isinstance(step.run(), Done)
    assert step.there() == 1


def test_doubtful_step_writes_when_a_person_says_so(step: Step, owner: User) -> None:
    reconciliation.release_writes(restore(), force=True)
    assert isinstance(step.run(), Unknown)
    decisions.send_again(call=Call.objects.get(), by=owner)
    assert isinstance(step.run(), Done)
    assert step.there() == 1


@pytest.fixture(params=[timedelta(minutes=-10), timedelta(minutes=10)], ids=["late", "early"])
def wrong_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own clock differs from the database's."""
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + request.param)


def test_doubt_goes_by_the_databases_clock_in_the_order_in_which_things_happen(
    running: SandboxProcess, connection: Connection, wrong_clock: None
) -> None:
    backup = clock.now()
    before = Step(running, connection, at=clock.now())
    row = reconciliation.begin_reconciliation(since=backup)
    while_open = Step(running, connection, at=clock.now())
    reconciliation.release_writes(row, force=True)
    after = Step(running, connection, at=clock.now())
    assert isinstance(before.run(), Unknown)
    assert isinstance(while_open.run(), Done)
    assert isinstance(after.run(), Done)


def test_replay_by_a_person_after_the_restore_is_not_doubted(step: Step, owner: User) -> None:
    Activation.objects.update(state=ActivationState.FAILED)
    replay.replay_activation(activation=step.activation, position=0, by=owner)
    row = reconciliation.begin_reconciliation(since=clock.now())
    reconciliation.release_writes(row, force=True)
    assert isinstance(step.run(), Unknown)
    decisions.abandon_call(call=Call.objects.get(), by=owner)
    Activation.objects.update(state=ActivationState.FAILED)
    replay.replay_activation(activation=step.activation, position=0, by=owner)
    assert isinstance(step.run(), Done)


def test_change_that_is_dated_anew_after_the_restore_is_doubted(
    running: SandboxProcess, connection: Connection
) -> None:
    """Approved after the backup, touched again after the restore: the comparison finds both as one
    change.
    """
    tenant = str(connection.tenant_id)
    draft = running.xero("GET", tenant, 'Invoices?where=Status=="DRAFT"&page=1')["Invoices"][0][
        "InvoiceID"
    ]
    workflow = make_workflow(connection.agency, connection, trigger="xero/invoice-approved")
    schedule.start_reading(connection)
    read_all(connection)
    backup = clock.now()
    running.xero("POST", tenant, f"Invoices/{draft}", {"Status": "AUTHORISED"})
    row = reconciliation.begin_reconciliation(since=backup)
    running.xero("POST", tenant, f"Invoices/{draft}", {"Reference": "Touched again"})
    read_all(connection)
    changes.announce_changes()
    activation = Activation.objects.get(workflow=workflow)
    assert activation.event is not None
    assert activation.event.occurred_at > row.begun_at
    reconciliation.release_writes(row, force=True)
    outcome = Step(running, connection, activation=activation).run()
    assert isinstance(outcome, Unknown)
    assert "it may have been done already" in outcome.message


def test_write_that_the_backup_thinks_unsent_is_looked_up_and_found(step: Step) -> None:
    assert isinstance(step.run(), Done)
    Call.objects.update(
        state=CallState.INTENDED, record_id=None, record_name="", answer=None, settled_at=None
    )
    Sending.objects.update(first_sent_at=None, times=0, status=None)
    row = reconciliation.begin_reconciliation(since=timezone.now() - timedelta(minutes=90))
    assert reconciliation.list_open_points(row) == [
        "1 writes without an answer have not been looked up"
    ]
    assert reconciliation.look_up_unsettled() == 1
    assert (Call.objects.get().state, reconciliation.list_open_points(row)) == (
        CallState.CONFIRMED,
        [],
    )
    assert step.there() == 1


def test_write_that_is_not_in_xero_goes_out_only_after_the_release(step: Step) -> None:
    assert isinstance(step.run(), Done)
    Call.objects.update(state=CallState.INTENDED, record_id=None, answer=None, settled_at=None)
    Call.objects.update(
        body=Call.objects.get().body | {"Url": f"http://localhost:8000/x/y/calls/{uuid4()}/"}
    )
    row = reconciliation.begin_reconciliation(since=timezone.now() - timedelta(minutes=90))
    assert reconciliation.look_up_unsettled() == 1
    assert (Call.objects.get().state, step.there()) == (CallState.INTENDED, 1)
    assert reconciliation.list_open_points(row) == []


def test_command_leads_through_it(step: Step) -> None:
    Ledger.objects.create(
        connection=step.connection,
        workspace=step.connection.workspace,
        first_finished_at=timezone.now(),
    )
    assert command("begin", "--since", "2026-01-02T03:04:05Z").startswith(
        "Writes are held. Start web and workers"
    )
    assert Ledger.objects.get().recover_since is not None
    with pytest.raises(CommandError, match="A reconciliation is open already"):
        command("begin", "--since", "2026-01-02")
    with pytest.raises(CommandError, match="Not everything has been compared yet"):
        command("status")
    with pytest.raises(
        CommandError, match=f"the ledger of {step.connection.name} has not been read since"
    ):
        command("release")
    Ledger.objects.update(finished_at=timezone.now() + timedelta(seconds=1), recover_since=None)
    assert (
        command("status").splitlines()[-1]
        == "Everything has been compared: `reconcile release` may follow."
    )
    assert command("release").startswith("Writes go out again.")
    assert command("status") == "No reconciliation is open; writes go out.\n"


def test_backup_of_the_future_is_refused(db: None) -> None:
    with pytest.raises(CommandError, match="cannot be of the future"):
        command("begin", "--since", "2999-01-01")
