"""The whole product on one machine: PostgreSQL, sandbox, web and worker, started and stopped
together.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

import requests

from taskjuice import postgres
from taskjuice.demo.place import ROOT, Place
from taskjuice.demo.stages import StageFailed, Stages
from taskjuice.demo.supervisor import Child, Supervisor
from taskjuice.private_files import open_to_append

START = 60.0  # seconds for everything to answer
# How the web server is started wherever it is: by the units and the image too (deploy/,
# docs/decisions/0001-web-server.md).
GRANIAN = "--interface wsgi --no-ws --blocking-threads 10 --respawn-failed-workers --respawn-interval 0.5".split()
APPLICATION = "taskjuice.wsgi:application"
NOWHERE = "postgres://nobody@localhost:1/nothing"  # for commands that need settings but no database


class Running:
    def __init__(self, place: Place, stages: Stages) -> None:
        self.place = place
        self.stages = stages
        self.supervisor = Supervisor(stages.note)
        self.environment = place.environment(NOWHERE)

    def start(self) -> None:
        """Start everything, create the people, and wait until all answer."""
        self.add_sandbox()  # it needs nothing of ours, so it starts while the database does
        people = self.prepare()
        self.add_product()
        self.finish(people)
        self.wait_until_ready()

    def prepare(self) -> subprocess.Popen[bytes]:
        """Prepare the database and static files, and return the command that still creates the
        people.
        """
        self.place.log("commands").parent.mkdir(parents=True, exist_ok=True)
        static = (
            None if self.place.dev else self._command("manage.py", "collectstatic", "--noinput")
        )
        self.environment = self.place.environment(
            postgres.ensure_running(self.place.postgres, "taskjuice")
        )
        self.stages.done("PostgreSQL runs")
        self.finish(self._command("manage.py", "migrate", "--noinput"))
        if static is not None:
            self.finish(static)
        self.stages.done("database and static files prepared")
        return self._command(
            "-m", "taskjuice.demo.people", OWNER_PASSWORD=self.place.secrets["OWNER_PASSWORD"]
        )

    def add_sandbox(self) -> None:
        kept, place = self.place.secrets, self.place
        settings = {
            "PORT": str(place.sandbox_port),
            "DATA": str(place.folder / "sandbox"),
            "CLIENT_ID": kept["XERO_CLIENT_ID"],
            "CLIENT_SECRET": kept["XERO_CLIENT_SECRET"],
            "WEBHOOK_KEY": kept["XERO_WEBHOOK_KEY"],
            "REDIRECT_URIS": ",".join(place.redirect_uris),
        }
        environment = dict(os.environ) | {
            f"XERO_SANDBOX_{name}": value for name, value in settings.items()
        }
        self._add("sandbox", ["-m", "xero.sandbox"], environment)

    def add_product(self) -> None:
        port = str(self.place.web_port)
        if self.place.dev:
            self._add("web", ["manage.py", "runserver", port], self.environment)
        else:
            words = ["-m", "granian", *GRANIAN, "--port", port, "--workers", "1", APPLICATION]
            self._add("web", words, self.environment)
        self._add("worker", ["manage.py", "worker"], self.environment)

    def wait_until_ready(self) -> None:
        sandbox = f"{self.place.sandbox_url}/sandbox/api/health"
        for url in (sandbox, f"{self.place.base_url}/healthz", f"{self.place.base_url}/readyz"):
            self._wait_for(url)
        self.stages.done("sandbox, web and worker answer")

    def watch(self) -> None:
        """Restart what died. Call it a few times a second from the thread that started
        everything.
        """
        self.supervisor.watch()
        hopeless = self.supervisor.hopeless
        if hopeless is not None:
            raise StageFailed(
                f"{hopeless.name} does not start; {hopeless.log} ends:\n{hopeless.tail()}"
            )

    def beside(self, job: Callable[[], None]) -> None:
        """Run `job` in a thread of its own, while this one keeps the processes alive."""
        trouble: list[BaseException] = []

        def run() -> None:
            try:
                job()
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
        postgres.stop_server(self.place.postgres)

    def _add(self, name: str, words: Sequence[str], environment: dict[str, str]) -> None:
        command = [sys.executable, *words]
        self.supervisor.add(Child(name, command, environment, self.place.log(name), ROOT))

    def _command(self, *words: str, **more: str) -> subprocess.Popen[bytes]:
        with open_to_append(self.place.log("commands")) as log:
            return subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env=self.environment | more,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def finish(self, command: subprocess.Popen[bytes]) -> None:
        if command.wait() != 0:
            raise StageFailed(f"{command.args!r} failed; see {self.place.log('commands')}")

    def _wait_for(self, url: str) -> None:
        deadline = time.monotonic() + START
        while not _answers(url):
            self.watch()
            if time.monotonic() > deadline:
                raise StageFailed(
                    f"{url} is not well after {START:.0f} s; see {self.place.folder / 'logs'}"
                )
            time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False
