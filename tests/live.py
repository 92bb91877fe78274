"""The whole product as real processes for a test: PostgreSQL of its own, sandbox, web and worker on free ports."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taskjuice import postgres
from taskjuice.demo.place import Place, free_port
from taskjuice.demo.running import Running
from taskjuice.demo.stages import Stages


class Quiet(Stages):
    """Nothing to say while tests run."""

    def done(self, text: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def prepare(folder: Path) -> Path:
    """A folder to furnish places from: database migrated, people there, static files collected, nothing running."""
    running = Running(Place(folder, free_port(0), free_port(0)), Quiet())
    try:
        running.finish(running.prepare())
    finally:
        postgres.stop(running.place.postgres)
    return folder


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
