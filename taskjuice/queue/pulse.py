"""When tasks of this node last moved: files that its processes touch, read by the watchdog. No database in it."""

import os
import shutil
from pathlib import Path

PULSE = "TASKJUICE_PULSE"  # the environment variable that tells the cluster's processes the folder


class Pulse:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> None:
        (self.folder / str(os.getpid())).touch()

    def end(self) -> None:
        (self.folder / str(os.getpid())).unlink(missing_ok=True)
        self.touch()

    def touch(self) -> None:
        (self.folder / "last").touch()

    def last(self) -> float:
        """When a task last began or ended, seconds since 1970."""
        return max(path.stat().st_mtime for path in [self.folder / "last", *self._running()])

    def is_busy(self) -> bool:
        return bool(self._running())

    def is_running(self, pid: str) -> bool:
        """Whether this process is in a task."""
        return (self.folder / pid).exists()

    def clear(self) -> None:
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)
        self.touch()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _running(self) -> list[Path]:
        return [
            path
            for path in self.folder.iterdir()
            if path.name.isdigit() and Path(f"/proc/{path.name}").exists()
        ]
