"""Processes by name, so that a lease can say who holds it and others can see whether that one still
lives.
"""

import ctypes
import hashlib
import os
import signal
import socket
from functools import cache
from pathlib import Path

PR_SET_PDEATHSIG = 1


def identity(pid: int | None = None) -> str:
    """Return `host|pid|start`: the start time (clock ticks since boot) tells a reused pid apart."""
    pid = pid or os.getpid()
    return f"{_host()}|{pid}|{_started(pid)}"


def host_prefix() -> str:
    """Return what the names of all processes of this host begin with, as `identity` gives them."""
    return f"{_host()}|"


def is_here(name: str) -> bool:
    """Return whether the named process is or was one of this host: elsewhere its number means
    another process.
    """
    return name.startswith(host_prefix())


def is_dead(name: str) -> bool:
    """Whether the named process ran on this host and is gone. Other hosts' processes are never
    called dead.
    """
    host, pid, started = name.split("|")
    return host == _host() and _started(int(pid)) != started


@cache
def _host() -> str:
    """Return the name of the place in which a process number means one process.

    A host name alone does not tell containers apart, which may share one and count their processes
    each from 1: the running kernel and its namespace of processes do.
    """
    kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    digest = hashlib.sha256(f"{kernel} {namespace}".encode()).hexdigest()
    return f"{socket.gethostname()[:40]}-{digest[:8]}"


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux), so that no orphan works on
    unsupervised.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]
