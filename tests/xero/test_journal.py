"""Writes happen exactly once, whatever dies or goes missing. Xero's memory of a key is shorter than
the recovery.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, transaction
from django.db import connection as database
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connections.integrations import (
    ActionContext,
    Data,
    Done,
    Failed,
    Outcome,
    TryLater,
    Unknown,
    registry,
)
from connections.models import Call, CallState, Connection, Sending
from connections.writes import decisions, orphans, sending
from taskjuice.crash import POINTS
from taskjuice.workspaces.models import AuditEntry, User, Workspace
from tests.factories import make_activation, make_call, make_connection, make_workflow
from tests.sandbox_process import SandboxProcess
from tests.xero.linked import link, point_at
from workflows.engine import lanes, runner
from workflows.engine.plans import clean_input
from workflows.models import Activation
from xero.actions.writing import XeroWriter

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parents[2]
KEY_SECONDS = 1.5  # Xero's six minutes, and what we believe them to be
MEMORY_SECONDS = 1


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess(minute_limit=6000, idempotency_seconds=MEMORY_SECONDS) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(
    running: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> SandboxProcess:
    running.api("POST", "reset", {"connections": True})
    running.api("POST", "settings", {"idempotency_seconds": MEMORY_SECONDS})
    point_at(settings, running)
    monkeypatch.setattr(XeroWriter, "key_seconds", KEY_SECONDS)
    monkeypatch.setattr(sending, "SETTLE_SECONDS", 0.5)
    return running


@pytest.fixture
def connection(sandbox: SandboxProcess, workspace: Workspace) -> Connection:
    return link(sandbox, workspace)


class Scene:
    """One write of each kind, and how often it is in Xero."""

    def __init__(self, sandbox: SandboxProcess, connection: Connection, kind: str) -> None:
        self.sandbox, self.connection, self.kind = sandbox, connection, kind
        self.key = f"xero/create-{kind}"
        self.name = f"Scene {uuid4().hex[:12]}"
        self.input = getattr(self, f"_{kind}")()

    def _contact(self) -> Data:
        return {"name": self.name, "email": "scene@example.com"}

    def _invoice(self) -> Data:
        lines = [{"description": "Work", "quantity": 1, "unit_amount": "80", "account_code": "200"}]
        return {
            "contact_name": self.name,
            "status": "AUTHORISED",
            "due_date": "+30",
            "lines": lines,
        }

    def _payment(self) -> Data:
        sale = {
            "Type": "ACCREC",
            "Contact": {"Name": self.name},
            "Date": "2026-11-02",
            "DueDate": "2026-11-30",
            "Status": "AUTHORISED",
            "LineItems": [
                {"Description": "Work", "Quantity": 1, "UnitAmount": 80, "AccountCode": "200"}
            ],
        }
        (made,) = self._ask("PUT", "Invoices", {"Invoices": [sale]})["Invoices"]
        self.invoice_id = made["InvoiceID"]
        accounts = self._ask("GET", 'Accounts?where=Type=="BANK"')["Accounts"]
        return {
            "invoice_id": self.invoice_id,
            "account_id": accounts[0]["AccountID"],
            "amount": "10.00",
        }

    def _ask(self, method: str, path: str, body: Data | None = None) -> Any:
        return self.sandbox.xero(method, str(self.connection.tenant_id), path, body)

    def there(self) -> int:
        """How many of it Xero has."""
        if self.kind == "payment":
            return len(self._ask("GET", f"Invoices/{self.invoice_id}")["Invoices"][0]["Payments"])
        if self.kind == "contact":
            return len(self._ask("GET", f'Contacts?where=Name=="{self.name}"&page=1')["Contacts"])
        return len(
            self._ask("GET", f'Invoices?where=Contact.Name=="{self.name}"&page=1')["Invoices"]
        )

    def run(self) -> Outcome:
        action = registry.actions[self.key]
        call = ActionContext(self.connection, activation_id=7, step="write")
        return action.run_many([call], [clean_input(action, self.input)])[0]

    def until_settled(self, seconds: float = 15) -> Outcome:
        """As the lane would, only sooner than it is told."""
        until = time.monotonic() + seconds
        while isinstance(outcome := self.run(), TryLater) and time.monotonic() < until:
            assert not outcome.counts
            time.sleep(0.3)
        return outcome


KINDS = ["contact", "invoice", "payment"]
SetUp = Callable[[str], Scene]


@pytest.fixture
def scene(sandbox: SandboxProcess, connection: Connection) -> SetUp:
    return lambda kind: Scene(sandbox, connection, kind)


def fault(sandbox: SandboxProcess, kind: str, count: int = 1, seconds: float = 0) -> None:
    sandbox.api(
        "POST", "faults", {"kind": kind, "remaining": count, "method": "PUT", "seconds": seconds}
    )


def puts(sandbox: SandboxProcess) -> int:
    return sum(
        entry["count"] for entry in sandbox.api("GET", "counters") if entry["method"] == "PUT"
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "trouble",
    [
        "reset_after",
        "timeout_after",
        "error_500_after",
        "error_503_after",
        "error_500_remembered",
        "half_body",
        "answer_mixed_up",
        "answer_unlisted",
        "answer_xml",
    ],
)
def test_executed_without_an_answer_is_found_and_not_repeated(
    trouble: str, kind: str, scene: SetUp, sandbox: SandboxProcess
) -> None:
    one = scene(kind)
    sandbox.api("DELETE", "counters")
    fault(sandbox, trouble, seconds=0.5)
    outcome = one.run()
    assert isinstance(outcome, Done)
    assert (one.there(), puts(sandbox)) == (1, 1)
    call = Call.objects.get()
    assert (call.state, str(call.record_id)) == ("confirmed", _id_in(outcome.output))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trouble", ["reset_before", "error_500_before", "html"])
def test_not_executed_is_sent_again_under_the_same_key(
    trouble: str, kind: str, scene: SetUp, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(XeroWriter, "key_seconds", 60)
    one = scene(kind)
    fault(sandbox, trouble)
    outcome = one.run()
    assert isinstance(outcome, TryLater)
    assert outcome.at is not None
    assert outcome.at > timezone.now()
    assert Call.objects.get().state == "sent"
    assert isinstance(one.run(), Done)
    assert one.there() == 1
    assert list(Sending.objects.values_list("times", flat=True)) == [2]


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_key_is_forgotten_a_new_call_takes_its_place(
    kind: str, scene: SetUp, sandbox: SandboxProcess
) -> None:
    one = scene(kind)
    fault(sandbox, "error_500_before")
    assert isinstance(one.run(), TryLater)
    time.sleep(KEY_SECONDS + 0.6)
    assert isinstance(one.run(), Done)
    assert one.there() == 1
    calls = Call.objects.order_by("created_at")
    assert [(call.state, call.epoch) for call in calls] == [("sent again", 1), ("confirmed", 2)]
    assert len({call.sending.idempotency_key for call in calls}) == 2


def test_cached_500_of_something_not_done_ends_with_one_record(
    scene: SetUp, sandbox: SandboxProcess
) -> None:
    one = scene("invoice")
    fault(sandbox, "error_500_before", count=3)  # the same answer to every resend of the key
    assert isinstance(one.until_settled(), Done)
    assert one.there() == 1


def test_record_that_is_listed_late_is_not_doubled(
    scene: SetUp, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(XeroWriter, "key_seconds", 60)
    sandbox.api("POST", "settings", {"idempotency_seconds": 60})
    one = scene("invoice")
    fault(sandbox, "reset_after")
    with monkeypatch.context() as blind:
        blind.setattr(type(registry.actions[one.key].writer), "look_up", lambda self, *a, **k: {})  # type: ignore[attr-defined]
        assert isinstance(one.run(), TryLater)
        assert isinstance(one.run(), Done)  # Xero remembers the key and answers as it did
    assert one.there() == 1


def test_limit_before_sending_leaves_nothing_behind(scene: SetUp, sandbox: SandboxProcess) -> None:
    one = scene("invoice")
    sandbox.api("POST", "faults", {"kind": "limit_concurrent", "method": "PUT"})
    outcome = one.run()
    assert isinstance(outcome, TryLater)
    assert outcome.tenant_wide
    assert Sending.objects.get().first_sent_at is None
    time.sleep(1.3)
    assert isinstance(one.run(), Done)
    assert (one.there(), Call.objects.count()) == (1, 1)


def test_wave_that_lost_its_answer_is_looked_up_at_once(
    sandbox: SandboxProcess, connection: Connection
) -> None:
    action = registry.actions["xero/create-invoice"]
    rows = [clean_input(action, Scene(sandbox, connection, "invoice").input) for _ in range(20)]
    calls = [ActionContext(connection, activation_id=number, step="s") for number in range(20)]
    fault(sandbox, "reset_after")
    sandbox.api("DELETE", "counters")
    outcomes = action.run_many(calls, rows)
    assert [type(outcome) for outcome in outcomes] == [Done] * 20
    assert (
        sum(entry["count"] for entry in sandbox.api("GET", "counters")) == 2
    )  # one PUT, one look-up


# -- the crash sweep
# --------------------------------------------------------------------------------------------


def run_in_process(
    sandbox: SandboxProcess, connection: Connection, *, crash: str = "", seconds: str = ""
) -> int:
    """A worker's process takes a turn and dies at the point, or when its time is over; how it
    ended.
    """
    database.ensure_connection()
    db = database.connection.info
    environment = {
        **os.environ,
        "DATABASE_URL": f"postgres://{db.user}:@/{db.dbname}?host={quote(db.host, safe='')}&port={db.port}",
        "XERO_CLIENT_ID": sandbox.client_id,
        "XERO_CLIENT_SECRET": sandbox.client_secret,
        "XERO_LOGIN_URL": sandbox.base_url,
        "XERO_IDENTITY_URL": sandbox.base_url,
        "XERO_API_URL": sandbox.base_url,
        "TASKJUICE_CRASH": crash,
    }
    command = [sys.executable, "-m", "tests.xero.lane_process", str(connection.pk)]
    command += [seconds] if seconds else []
    return subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=False).returncode


@pytest.mark.processes
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", POINTS)
def test_worker_killed_while_it_writes_writes_once(
    point: str, kind: str, scene: SetUp, sandbox: SandboxProcess, connection: Connection
) -> None:
    one = scene(kind)
    steps = [{"name": "write", "action": one.key, "input": one.input}]
    activation = make_activation(
        make_workflow(connection.agency, connection, steps=steps), connection
    )
    with transaction.atomic():
        lanes.wake_lanes([connection.pk])
    assert run_in_process(sandbox, connection, crash=point) == -signal.SIGKILL
    time.sleep(MEMORY_SECONDS)  # whatever key was sent is forgotten
    for _ in range(40):
        Activation.objects.filter(state="ready").update(next_at=Now())
        lanes.rewake_forgotten()
        runner.run_lane(connection.pk)
        activation.refresh_from_db()
        if activation.state not in {"ready", "running"}:
            break
        time.sleep(0.3)
    assert (activation.state, activation.error) == ("succeeded", "")
    assert one.there() == 1
    assert Call.objects.filter(state=CallState.CONFIRMED).count() == 1
    assert AuditEntry.objects.filter(details__call__isnull=False).count() == 1


# -- forms, walls and orphans
# -----------------------------------------------------------------------------------


def test_form_whose_request_died_is_settled_by_the_sweep(
    sandbox: SandboxProcess, connection: Connection, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    action = registry.actions["xero/create-invoice"]
    one = Scene(sandbox, connection, "invoice")
    fault(sandbox, "error_500_before")
    call = ActionContext(connection, user=owner, form_key=uuid4())
    assert isinstance(action.outcome(call, clean_input(action, one.input)), TryLater)
    assert orphans.settle_orphans() == 0  # its request has just looked
    monkeypatch.setattr(orphans, "CHECK_SECONDS", 0)
    assert orphans.settle_orphans() == 1
    time.sleep(KEY_SECONDS + 0.6)
    orphans.settle_orphans()
    assert (one.there(), Call.objects.get(state="confirmed").user) == (1, owner)


def test_one_live_call_per_step_and_one_open_payment_per_invoice(workspace: Workspace) -> None:
    connection = make_connection(workspace)
    step = {"form_key": None, "activation_id": 1, "step": "s", "element": 0}
    make_call(connection, **step)
    make_call(connection, **step, state="failed")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_call(connection, **step, state="intended")
    target = uuid4()
    make_call(connection, target=target)
    make_call(connection, target=target, state="unknown")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_call(connection, target=target, state="intended")


def test_call_of_one_client_cannot_point_into_another(
    workspace: Workspace, other_workspace: Workspace
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_call(make_connection(workspace), workspace=other_workspace)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_call(make_connection(workspace), sending=make_call(make_connection(workspace)).sending)


# -- what a person decides
# --------------------------------------------------------------------------------------


@pytest.fixture
def undecided(sandbox: SandboxProcess, connection: Connection) -> Scene:
    """A payment whose answer was lost, while somebody paid the same amount on the same day, twice."""
    one = Scene(sandbox, connection, "payment")
    action = registry.actions[one.key]
    writer = action.writer  # type: ignore[attr-defined]
    fault(sandbox, "error_500_before")
    send = type(writer).send

    def meanwhile(self: Any, request: Sending, *, by_person: bool) -> Any:
        for _ in range(2):
            one.sandbox.api(
                "POST",
                f"organisations/{connection.tenant_id}/pay",
                {
                    "invoice_id": one.invoice_id,
                    "amount": 10,
                    "account_id": one.input["account_id"],
                    "date": Call.objects.get().body["Date"],
                },
            )
        return send(self, request, by_person=by_person)

    type(writer).send = meanwhile
    try:
        outcome = one.run()
    finally:
        type(writer).send = send
    assert isinstance(outcome, Unknown), outcome
    assert outcome.message == "2 payments like this one have appeared on the invoice since then."
    return one


def test_person_says_it_is_there(undecided: Scene, as_member: Client, member: User) -> None:
    call = Call.objects.get()
    page = f"/northwind/harbour-cafe/calls/{call.pk}/"
    assert "Needs a decision" in as_member.get(page).content.decode()
    payment = undecided._ask("GET", f"Invoices/{undecided.invoice_id}")["Invoices"][0]["Payments"][
        0
    ]
    assert as_member.post(f"{page}there/", {"named": str(uuid4())}).status_code == 422
    answer = as_member.post(f"{page}there/", {"named": payment["PaymentID"]})
    assert (answer.status_code, answer["Location"]) == (302, page)
    call.refresh_from_db()
    assert (call.state, call.record_id, call.decided_by) == (
        "confirmed",
        UUID(payment["PaymentID"]),
        member,
    )
    assert isinstance(undecided.run(), Done)
    assert undecided.there() == 2


def test_person_has_it_sent_again(undecided: Scene, as_member: Client) -> None:
    told: list[str] = []
    decisions.on_decided(lambda call: told.append(call.state))
    call = Call.objects.get()
    answer = as_member.post(f"/northwind/harbour-cafe/calls/{call.pk}/again/")
    successor = Call.objects.get(epoch=2)
    assert answer["Location"].endswith(f"/calls/{successor.pk}/")
    assert isinstance(undecided.run(), Done)
    assert undecided.there() == 3
    assert told == ["sent again"]
    decisions._listeners.pop()


@pytest.mark.parametrize(
    ("verb", "state", "there"),
    [("again", "succeeded", 3), ("abandon", "failed", 2), ("there", "succeeded", 2)],
)
def test_activation_goes_on_when_it_is_decided(
    verb: str, state: str, there: int, undecided: Scene, as_member: Client, connection: Connection
) -> None:
    steps = [{"name": "write", "action": undecided.key, "input": undecided.input}]
    activation = make_activation(
        make_workflow(connection.agency, connection, steps=steps), connection, state="unknown"
    )
    Call.objects.update(activation_id=activation.pk)
    as_member.post(f"/northwind/harbour-cafe/calls/{Call.objects.get().pk}/{verb}/")
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    assert (activation.state, undecided.there()) == (state, there)


def test_person_abandons_it(undecided: Scene, as_member: Client) -> None:
    call = Call.objects.get()
    page = f"/northwind/harbour-cafe/calls/{call.pk}/"
    as_member.post(f"{page}abandon/")
    call.refresh_from_db()
    assert call.state == "abandoned"
    assert "Abandoned" in as_member.get(page).content.decode()
    assert as_member.post(f"{page}abandon/", follow=True).status_code == 200
    assert AuditEntry.objects.filter(verb="write abandoned").count() == 1


def _id_in(record: Data) -> str:
    return str(record.get("PaymentID") or record.get("InvoiceID") or record.get("ContactID"))


def test_payment_of_more_than_is_due_is_refused_and_not_sent(
    scene: SetUp, sandbox: SandboxProcess
) -> None:
    one = scene("payment")
    one.input["amount"] = str(Decimal("80.01") * 2)
    outcome = one.run()
    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.message) == ("invalid", "Only 92.00 is due.")
    assert one.there() == 0


def test_double_click_at_the_same_moment_is_one_invoice(
    sandbox: SandboxProcess, connection: Connection, owner: User
) -> None:
    one = Scene(sandbox, connection, "invoice")
    action = registry.actions[one.key]
    data, key = clean_input(action, one.input), uuid4()
    sandbox.api("POST", "faults", {"kind": "slow", "method": "PUT", "seconds": 0.5})
    outcomes: list[Outcome] = []

    def click() -> None:
        outcomes.append(action.outcome(ActionContext(connection, user=owner, form_key=key), data))
        database.close()

    clicks = [threading.Thread(target=click) for _ in range(4)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()
    first = outcomes[0]
    assert isinstance(first, Done)
    assert [outcome.output["InvoiceID"] for outcome in outcomes if isinstance(outcome, Done)] == [
        first.output["InvoiceID"]
    ] * 4
    assert (one.there(), Call.objects.count()) == (1, 1)


def test_list_of_writes_counts_and_filters(workspace: Workspace, as_member: Client) -> None:
    connection = make_connection(workspace)
    for state in CallState.values:
        make_call(connection, state=state, subject=f"A call that is {state}")
    page = as_member.get("/northwind/harbour-cafe/calls/?state=decide").content.decode()
    assert [state for state in CallState.values if f"A call that is {state}<" in page] == [
        "unknown"
    ]
    every = as_member.get("/northwind/calls/").content.decode()
    shown = [state for state in CallState.values if f"A call that is {state}<" in every]
    assert shown == CallState.values


@pytest.mark.parametrize("state", CallState.values)
def test_page_of_a_call_says_its_state_in_words(
    state: str, workspace: Workspace, as_member: Client, as_client_user: Client
) -> None:
    call = make_call(make_connection(workspace), state=state)
    address = f"/northwind/harbour-cafe/calls/{call.pk}/"
    page = as_member.get(address).content.decode()
    assert ("It is there" in page) is (state == "unknown")
    assert ('hx-trigger="every 2s"' in page) is (state in {"intended", "sent"})
    assert "It is there" not in as_client_user.get(address).content.decode()


def test_list_of_writes_asks_the_same_number_of_queries_for_1_and_30(
    workspace: Workspace, as_member: Client
) -> None:
    connection = make_connection(workspace)
    as_member.get("/northwind/calls/")  # the first request also notes the session
    counts = []
    for number in (1, 29):
        for _ in range(number):
            make_call(connection, user=None)
        with CaptureQueriesContext(database) as queries:
            as_member.get("/northwind/calls/")
        counts.append(len(queries))
    assert counts[0] == counts[1]
