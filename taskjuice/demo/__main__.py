"""The supervisor behind `make demo` and `make dev`: starts everything, does the main job, serves, stops everything."""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import requests

from taskjuice import postgres
from taskjuice.demo import journey
from taskjuice.demo.place import OWNER_EMAIL, ROOT, SANDBOX_PORT, WEB_PORT, Place, free_port
from taskjuice.demo.stages import StageFailed, Stages
from taskjuice.demo.supervisor import Child, Supervisor

START = 60.0  # seconds for everything to answer


class Ended(Exception):
    """Ctrl-C, a closed terminal, or `kill`."""


class Demo:
    def __init__(self, place: Place, stages: Stages) -> None:
        self.place = place
        self.stages = stages
        self.supervisor = Supervisor(stages.note)

    def start(self) -> None:
        """Everything up and answering, the people there."""
        self._add_sandbox()  # it needs nothing of ours, so it starts beside the database
        static = None if self.place.dev else self._command("collectstatic", "--noinput", "--clear")
        database_url = postgres.ensure_running(self.place.postgres, "taskjuice")
        self.environment = self.place.environment(database_url)
        self.stages.done("PostgreSQL runs")
        self._finish(self._command("migrate", "--noinput"))
        if static is not None:
            self._finish(static)
        self.stages.done("database and static files prepared")
        people = subprocess.Popen(
            [sys.executable, "-m", "taskjuice.demo.people"],
            cwd=ROOT,
            env=self.environment | {"OWNER_PASSWORD": self.place.secrets["OWNER_PASSWORD"]},
        )
        self._add_product()
        self._finish(people)
        self._wait_until_ready()

    def watch(self) -> None:
        self.supervisor.watch()
        hopeless = self.supervisor.hopeless
        if hopeless is not None:
            raise StageFailed(
                f"{hopeless.name} does not start. The end of {hopeless.log}:\n{hopeless.tail()}"
            )

    def run_journey(self) -> None:
        """The main job, in a thread of its own, while this one keeps the processes alive."""
        trouble: list[BaseException] = []

        def run() -> None:
            try:
                journey.run(self.place, self.stages)
            except Exception as error:  # noqa: BLE001 - carried over to the main thread, which raises it
                trouble.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        while thread.is_alive():
            self.watch()
            thread.join(0.1)
        if trouble:
            raise trouble[0]

    def serve(self) -> None:
        while True:
            self.watch()
            time.sleep(0.25)

    def stop(self) -> None:
        self.supervisor.stop()
        postgres.stop(self.place.postgres)

    def _add_sandbox(self) -> None:
        kept, place = self.place.secrets, self.place
        settings = {
            "PORT": str(place.sandbox_port),
            "DATA": str(place.folder / "sandbox"),
            "CLIENT_ID": kept["XERO_CLIENT_ID"],
            "CLIENT_SECRET": kept["XERO_CLIENT_SECRET"],
            "WEBHOOK_KEY": kept["XERO_WEBHOOK_KEY"],
            "REDIRECT_URIS": f"{place.base_url}/connections/xero/callback/",
        }
        environment = dict(os.environ) | {f"XERO_SANDBOX_{name}": value for name, value in settings.items()}
        self._add("sandbox", [sys.executable, "-m", "xero.sandbox"], environment)

    def _add_product(self) -> None:
        port = str(self.place.web_port)
        if self.place.dev:
            self._add("web", [sys.executable, "manage.py", "runserver", port], self.environment)
        else:
            granian = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--port", port]
            threads = ["--workers", "1", "--blocking-threads", "8"]
            self._add("web", [*granian, *threads, "taskjuice.wsgi:application"], self.environment)
        worker = [sys.executable, "manage.py", "worker"]
        self._add("worker", worker, self.environment)

    def _add(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        self.supervisor.add(Child(name, command, environment, self.place.log(name), ROOT))

    def _command(self, *words: str) -> subprocess.Popen[bytes]:
        """A management command; it may run before the database does."""
        environment = getattr(self, "environment", None) or self.place.environment(
            "postgres://nobody@localhost:1/x"
        )
        with self.place.log("commands").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", *words],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _finish(self, command: subprocess.Popen[bytes]) -> None:
        if command.wait() != 0:
            words = " ".join(map(str, command.args)) if isinstance(command.args, list) else str(command.args)
            raise StageFailed(f"`{words}` failed; see {self.place.log('commands')}")

    def _wait_until_ready(self) -> None:
        sandbox = f"{self.place.sandbox_url}/sandbox/api/health"
        for url in (sandbox, f"{self.place.base_url}/healthz", f"{self.place.base_url}/readyz"):
            self._wait_for(url)
        self.stages.done("sandbox, web and worker answer")

    def _wait_for(self, url: str) -> None:
        deadline = time.monotonic() + START
        while not _answers(url):
            self.watch()
            if time.monotonic() > deadline:
                raise StageFailed(
                    f"{url} does not answer well after {START:.0f} s; see {self.place.folder / 'logs'}"
                )
            time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


def _end(number: int, frame: FrameType | None) -> None:
    raise Ended


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m taskjuice.demo")
    parser.add_argument("--once", action="store_true", help="end after the main job; not 0 if a stage failed")
    parser.add_argument("--dev", action="store_true", help="autoreload, DEBUG, and no main job")
    parser.add_argument("--folder", type=Path, help="data, logs and secrets; default var/demo or var/dev")
    options = parser.parse_args()
    folder = (options.folder or ROOT / "var" / ("dev" if options.dev else "demo")).resolve()
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another run uses {folder}. Stop it first, or give another --folder.", file=sys.stderr)
            return 1
        return _run(
            Place(folder, free_port(WEB_PORT), free_port(SANDBOX_PORT), options.dev), once=options.once
        )


def _run(place: Place, *, once: bool) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    stages = Stages()
    demo = Demo(place, stages)
    try:
        demo.start()
        if not place.dev:
            demo.run_journey()
        stages.invite(
            place.base_url, place.sandbox_url, OWNER_EMAIL, place.secrets["OWNER_PASSWORD"], place.folder
        )
        if not once:
            demo.serve()
        return 0
    except Ended:
        return 0
    except StageFailed as failure:
        stages.failed(str(failure))
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave something running
        demo.stop()
        stages.note("everything stopped")


if __name__ == "__main__":
    sys.exit(main())
