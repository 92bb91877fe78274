"""What survives a restart, and a kill."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.sandbox_process import ROOT, SandboxProcess, free_port
from tests.xero.sandbox.app import App
from tests.xero.sandbox.receiver import Answer, Receiver, wait_for


def remembered(sandbox: SandboxProcess, app: App) -> dict[str, Any]:
    return {
        "subscription": sandbox.api("GET", "subscription"),
        "connections": sandbox.api("GET", "connections"),
        "apps": sandbox.api("GET", "apps"),
        "organisations": sandbox.api("GET", "organisations"),
        "shift": sandbox.api("GET", "clock")["shift_seconds"],
        "call": app.call("GET", "Organisation").status_code,
    }


def test_everything_survives_a_kill(tmp_path: Path, receiver: Receiver) -> None:
    with SandboxProcess(data=tmp_path) as sandbox:
        app = App(sandbox).connect()
        code = app.code()
        receiver.key = "changed-on-the-page"
        sandbox.api("POST", "subscription", {"url": receiver.url, "key": receiver.key})
        sandbox.api("POST", f"apps/{sandbox.client_id}", {"scopes": "broad", "bulk_connect": True})
        sandbox.api("POST", "clock", {"advance_seconds": 60})
        first = app.contact("Kept over a kill", "key-1")
        wait_for(lambda: sandbox.api("GET", "subscription")["waiting"] == 0)
        before = remembered(sandbox, app)
        sandbox.kill()
        sandbox.restart()
        assert remembered(sandbox, app) == before
        assert app.contact("Kept over a kill", "key-1").content == first.content
        assert app.exchange(code).status_code == 200
        assert app.refresh().status_code == 200


def test_undelivered_events_survive_a_kill(tmp_path: Path, receiver: Receiver) -> None:
    with SandboxProcess(data=tmp_path, webhook_retry_seconds=1, webhook_delay_ms=10) as sandbox:
        app = App(sandbox).connect()
        sandbox.api("POST", "subscription", {"url": receiver.url})
        receiver.answer = Answer(right=503)
        created = app.contact("Told late").json()["Contacts"][0]["ContactID"]
        wait_for(lambda: sandbox.api("GET", "subscription")["status"] == "retry")
        sandbox.kill()
        receiver.received.clear()
        receiver.answer = Answer()
        sandbox.restart()
        wait_for(lambda: sandbox.api("GET", "subscription")["status"] == "ok")
        assert [event["resourceId"] for event in receiver.events()] == [created]


def test_seeding_cut_short_is_done_again(tmp_path: Path) -> None:
    options = [
        "--organisations=1",
        "--invoices=6000",
        f"--data={tmp_path}",
        f"--port={free_port()}",
    ]
    seeding = subprocess.Popen([sys.executable, "-m", "xero.sandbox", *options], cwd=ROOT)
    wait_for(lambda: bytes_in(tmp_path) > 200_000)  # some of it, and far from all
    seeding.kill()
    seeding.wait()
    with SandboxProcess(data=tmp_path, organisations=1, invoices=6000) as sandbox:
        assert sandbox.organisation()["invoices"] == 6000


def bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_day_count_survives_a_restart(tmp_path: Path) -> None:
    with SandboxProcess(data=tmp_path) as sandbox:
        app = App(sandbox).connect()
        before = app.call("GET", "Organisation").headers["X-DayLimit-Remaining"]
        sandbox.restart()
        assert (
            int(app.call("GET", "Organisation").headers["X-DayLimit-Remaining"]) == int(before) - 1
        )


def test_manage_py_command_becomes_the_sandbox(tmp_path: Path) -> None:
    class Managed(SandboxProcess):
        def _command(self) -> list[str]:
            python, _, _, *options = super()._command()
            return [python, str(ROOT / "manage.py"), "xero_sandbox", *options]

    with Managed(data=tmp_path, organisations=1) as sandbox:
        assert len(sandbox.api("GET", "organisations")) == 1
        sandbox.process.send_signal(signal.SIGTERM)
        assert sandbox.process.wait(timeout=5) == 0


def test_interrupted_load_finishes_nothing_twice(tmp_path: Path) -> None:
    """Writes under keys while the process is killed: repeating them afterwards makes each contact
    once.
    """
    with SandboxProcess(data=tmp_path, port=free_port(), minute_limit=10_000) as sandbox:
        app = App(sandbox).connect()
        names = [f"Contact {number}" for number in range(60)]
        threading.Timer(0.15, sandbox.kill).start()
        answered = _write_until_it_breaks(app, names)
        sandbox.process.wait(timeout=5)
        sandbox.restart()
        repeated = [app.contact(name, f"key {name}").status_code for name in names[:answered]]
        found = app.call("GET", "Contacts?searchTerm=Contact&page=1&pageSize=1000").json()[
            "Contacts"
        ]
        made = [contact["Name"] for contact in found if contact["Name"].startswith("Contact ")]
        assert repeated == [200] * answered
        assert sorted(set(made)) == sorted(made)


def _write_until_it_breaks(app: App, names: list[str]) -> int:
    """How many were answered."""
    for done, name in enumerate(names):
        try:
            app.contact(name, f"key {name}")
        except OSError:
            return done
    return len(names)
