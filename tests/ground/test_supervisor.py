import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskjuice.demo.supervisor import Child, Supervisor


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def supervisor(told: list[str]) -> Iterator[Supervisor]:
    one = Supervisor(told.append)
    yield one
    one.stop()


def child(folder: Path, code: str) -> Child:
    return Child("sleeper", [sys.executable, "-c", code], dict(os.environ), folder / "log", folder)


def until(supervisor: Supervisor, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline, "waited too long"
        supervisor.watch()
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_supervisor_restarts_a_killed_child(
    supervisor: Supervisor, told: list[str], tmp_path: Path
) -> None:
    sleeper = child(tmp_path, "import time; time.sleep(60)")
    supervisor.add(sleeper)
    assert sleeper.process is not None
    first = sleeper.process.pid

    sleeper.process.kill()
    until(supervisor, lambda: sleeper.process is not None and sleeper.process.pid != first)

    assert told == ["sleeper ended (signal 9); it is started again"]


def test_supervisor_gives_up_hope_for_a_child_that_never_starts(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    broken = child(tmp_path, "import sys; print('no such thing'); sys.exit(3)")
    broken.quick_deaths = 3  # spare the test the growing waits
    supervisor.add(broken)

    until(supervisor, lambda: supervisor.hopeless is not None)

    assert supervisor.hopeless is broken
    assert broken.tail(1) == "no such thing"


def test_stop_ends_what_children_started_themselves(supervisor: Supervisor, tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    code = (
        "import signal, subprocess, sys, time;"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"open({str(note)!r}, 'w').write(str(p.pid));"
        "time.sleep(60)"
    )
    supervisor.add(child(tmp_path, code))
    until(supervisor, lambda: note.exists() and note.read_text() != "")
    grandchild = int(note.read_text())

    supervisor.stop()

    deadline = time.monotonic() + 5
    while alive(grandchild) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(grandchild)


def test_children_die_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "child"
    pid = os.fork()
    if pid == 0:
        one = child(tmp_path, "import time; time.sleep(60)")
        one.start()
        assert one.process is not None
        note.write_text(str(one.process.pid))
        time.sleep(60)
        os._exit(0)
    while not (note.exists() and note.read_text()):
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    deadline = time.monotonic() + 5
    while alive(int(note.read_text())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(int(note.read_text()))
