"""When tasks of this node last moved: files that its processes touch, read by the watchdog. No
database in it.
"""

import os
import shutil
from pathlib import Path

PULSE = "TASKJUICE_PULSE"  # the environment variable that tells the cluster's processes the folder


class Pulse:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self) -> None:
        self._touch(str(os.getpid()))

    def end(self) -> None:
        (self.folder / str(os.getpid())).unlink(missing_ok=True)
        self.touch()

    def touch(self) -> None:
        self._touch("last")

    def last(self) -> float:
        """When a task last began or ended, seconds since 1970."""
        return max([_touched_at(self.folder / "last"), *self._running().values()])

    def is_busy(self) -> bool:
        return bool(self._running())

    def is_running(self, pid: str) -> bool:
        """Whether this process is in a task."""
        return (self.folder / pid).exists()

    def clear(self) -> None:
        """Begin anew; the folder is made again should somebody have cleaned up the temporary files."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)
        self.touch()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _touch(self, name: str) -> None:
        try:
            (self.folder / name).touch()
        except FileNotFoundError:  # somebody cleaned up the temporary files
            self.folder.mkdir(mode=0o700, exist_ok=True)
            (self.folder / name).touch()

    def _running(self) -> dict[str, float]:
        """When the task of each process that is inside one began, by pid."""
        try:
            files = [path for path in self.folder.iterdir() if path.name.isdigit()]
        except FileNotFoundError:
            return {}
        began = {
            path.name: _touched_at(path) for path in files if Path(f"/proc/{path.name}").exists()
        }
        return {pid: at for pid, at in began.items() if at}


def _touched_at(path: Path) -> float:
    """0 where it is gone: a task that ends removes its file at any moment."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
