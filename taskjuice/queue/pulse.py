"""Files that tasks touch when they begin and end; the watchdog reads them without the database."""

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
        """Return when a task last began or ended, in seconds since 1970."""
        return max([_touched_at(self.folder / "last"), *self._running().values()])

    def is_busy(self) -> bool:
        return bool(self._running())

    def is_running(self, pid: str) -> bool:
        """Return whether this process is in a task."""
        return (self.folder / pid).exists()

    def clear(self) -> None:
        """Start with an empty folder."""
        # Made again: a clean-up of temporary files may have removed it.
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)
        self.touch()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _touch(self, name: str) -> None:
        try:
            (self.folder / name).touch()
        except FileNotFoundError:  # a clean-up of temporary files
            self.folder.mkdir(mode=0o700, exist_ok=True)
            (self.folder / name).touch()

    def _running(self) -> dict[str, float]:
        """Return when each process inside a task began it, by pid."""
        try:
            files = [path for path in self.folder.iterdir() if path.name.isdigit()]
        except FileNotFoundError:
            return {}
        began = {
            path.name: _touched_at(path) for path in files if Path(f"/proc/{path.name}").exists()
        }
        return {pid: at for pid, at in began.items() if at}


def _touched_at(path: Path) -> float:
    """Return when the file was touched; 0 where it is gone, since a task that ends removes its
    file.
    """
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
