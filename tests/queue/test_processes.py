"""Processes by name: alive, dead, and another one with the same pid."""

import os
import subprocess
import sys

import pytest

from taskjuice.queue import processes
from tests.environment import ROOT


def test_this_process_lives() -> None:
    assert not processes.is_dead(processes.identify_process())


def test_ended_process_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        name = processes.identify_process(child.pid)
        assert not processes.is_dead(name)
    assert processes.is_dead(name)


def test_killed_process_that_nobody_waited_for_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        name = processes.identify_process(child.pid)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
        assert processes.is_dead(name)


def test_another_process_with_the_same_pid_is_told_apart() -> None:
    host, pid, _ = processes.identify_process().split("|")
    assert processes.is_dead(f"{host}|{pid}|1")


def test_process_of_another_container_with_the_same_host_name_is_never_called_dead() -> None:
    code = "from taskjuice.queue import processes; print(processes.identify_process())"
    command = [
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        sys.executable,
        "-c",
        code,
    ]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not make a namespace of processes")
    host, pid, _ = done.stdout.strip().split("|")
    assert host != processes.identify_process().split("|")[0]
    assert int(pid) < 10
    assert not processes.is_dead(done.stdout.strip())


def test_processes_of_other_hosts_are_never_called_dead() -> None:
    assert not processes.is_dead("another-host|999999999|1")
