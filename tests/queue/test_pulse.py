"""The watchdog's files: any of them may go at any moment."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from taskjuice.queue.pulse import Pulse


@pytest.fixture
def pulse(tmp_path: Path) -> Pulse:
    found = Pulse(tmp_path / "pulse")
    found.clear()
    return found


def test_task_that_ends_while_it_is_looked_at_does_no_harm(pulse: Pulse) -> None:
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            pulse.begin()
            pulse.end()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        seen = {(pulse.is_busy(), pulse.last() > 0) for _ in range(3000)}
    finally:
        over.set()
        worker.join()
    assert {moved for _, moved in seen} == {True}


def test_running_task_shows_until_it_ends(pulse: Pulse) -> None:
    pulse.begin()
    os.utime(pulse.folder / "last", (1, 1))
    assert (pulse.is_busy(), pulse.last() > 1) == (True, True)
    pulse.end()
    assert not pulse.is_busy()


def test_process_that_is_gone_is_not_busy(pulse: Pulse) -> None:
    (pulse.folder / "999999999").touch()
    assert not pulse.is_busy()


def test_folder_that_somebody_cleaned_up_is_made_again(pulse: Pulse) -> None:
    shutil.rmtree(pulse.folder)
    assert (pulse.is_busy(), pulse.last()) == (False, 0.0)
    pulse.begin()
    assert (pulse.is_busy(), pulse.last() > 0) == (True, True)
