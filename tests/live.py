"""The whole product as real processes for a test: PostgreSQL of its own, sandbox, web and worker on
free ports.
"""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taskjuice import postgres
from taskjuice.demo.place import Place, free_port
from taskjuice.demo.running import Running
from taskjuice.demo.stages import Stages
from tests.environment import ROOT
from tests.migrated_database import digest_of_migrations, one_process_at_a_time


class Quiet(Stages):
    """Nothing to say while tests run."""

    def done(self, text: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def ensure_prepared(folder: Path) -> Path:
    """Return a folder to furnish places from: database migrated, people there, static files
    collected, nothing running.

    It is made once under `folder`, and anew when a migration, a static file or the demo changes.
    """
    static = (path for path in (ROOT / "static").rglob("*") if path.is_file())
    prepared = (
        folder
        / f"prepared-{digest_of_migrations(*(ROOT / 'taskjuice/demo').glob('*.py'), *static)}"
    )
    with one_process_at_a_time(folder / "prepared.lock"):
        if not prepared.exists():
            for obsolete in folder.glob("prepared-*"):
                shutil.rmtree(obsolete)
            unfinished = folder / "prepared-unfinished"
            _prepare(unfinished)
            unfinished.rename(prepared)
    return prepared


def _prepare(folder: Path) -> None:
    running = Running(Place(folder, free_port(0), free_port(0)), Quiet())
    try:
        running.finish(running.prepare())
    finally:
        postgres.stop_server(running.place.postgres)


def furnish(folder: Path, prepared: Path) -> Place:
    """A place that need not migrate, on free ports."""
    subprocess.run(["cp", "-a", f"{prepared}/.", folder], check=True)
    return Place(folder, free_port(0), free_port(0))


@contextmanager
def live(place: Place) -> Iterator[Place]:
    """Everything up; a thread restarts what dies, as the supervisor of the demo does."""
    running = Running(place, Quiet())
    over, up = threading.Event(), threading.Event()
    trouble: list[BaseException] = []

    def run() -> None:  # children live as long as the thread that starts them
        try:
            running.start()
            up.set()
            while not over.wait(0.25):
                running.watch()
        except Exception as error:  # noqa: BLE001 - raised by the test's own thread below
            trouble.append(error)
        finally:
            up.set()
            running.stop()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        up.wait()
        if not trouble:
            yield place
    finally:
        over.set()
        thread.join()
    if trouble:
        raise trouble[0]
