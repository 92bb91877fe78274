"""Names of processes, by which a lease says who holds it and others see whether that one lives."""

import ctypes
import hashlib
import os
import signal
import socket
from functools import cache
from pathlib import Path

PR_SET_PDEATHSIG = 1


def identify_process(pid: int | None = None) -> str:
    """Return `host|pid|start`; the start time (clock ticks since boot) tells reused pids apart."""
    pid = pid or os.getpid()
    return f"{_name_host()}|{pid}|{_read_start(pid)}"


def get_host_prefix() -> str:
    """Return the beginning of the names of all processes of this host."""
    return f"{_name_host()}|"


def is_here(name: str) -> bool:
    """Return whether the named process is or was one of this host."""
    return name.startswith(get_host_prefix())


def is_dead(name: str) -> bool:
    """Return whether the named process ran on this host and has ended.

    Processes of other hosts are never called dead.
    """
    host, pid, started = name.split("|")
    return host == _name_host() and _read_start(int(pid)) != started


@cache
def _name_host() -> str:
    """Return the name of the place in which a process number means one process."""
    # A host name does not tell containers apart, which may share one and count their processes each
    # from 1. The running kernel and its namespace of processes do.
    kernel = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    digest = hashlib.sha256(f"{kernel} {namespace}".encode()).hexdigest()
    return f"{socket.gethostname()[:40]}-{digest[:8]}"


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, so that no orphan works on (Linux)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _read_start(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]
