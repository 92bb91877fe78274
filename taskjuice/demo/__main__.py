"""`make demo` and `make dev`: start everything, run the journey, serve until Ctrl-C, stop
everything.
"""

import argparse
import fcntl
import signal
import sys
from pathlib import Path
from types import FrameType

from taskjuice.demo import journey
from taskjuice.demo.place import OWNER_EMAIL, ROOT, SANDBOX_PORT, WEB_PORT, Place, free_port
from taskjuice.demo.running import Running
from taskjuice.demo.stages import StageFailed, Stages

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(Exception):
    """A request to end: Ctrl-C, a closed terminal, or `kill`."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m taskjuice.demo")
    parser.add_argument(
        "--once", action="store_true", help="end after the main job; not 0 if a stage failed"
    )
    parser.add_argument("--dev", action="store_true", help="autoreload, DEBUG, and no main job")
    parser.add_argument(
        "--folder", type=Path, help="data, logs and secrets; default var/demo or var/dev"
    )
    options = parser.parse_args()
    folder = (options.folder or ROOT / "var" / ("dev" if options.dev else "demo")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                f"Another run uses {folder}. Stop it first, or give another --folder.",
                file=sys.stderr,
            )
            return 1
        place = Place(folder, free_port(WEB_PORT), free_port(SANDBOX_PORT), options.dev)
        return run(place, once=options.once)


def run(place: Place, *, once: bool) -> int:
    """Run the product, and return 0, or 1 if a stage failed. No process is left running."""
    stages = Stages()
    running = Running(place, stages)
    for number in ENDINGS:
        signal.signal(number, _end)
    try:
        running.start()
        if not place.dev:
            running.beside(lambda: journey.run(place, stages))
        password = place.secrets["OWNER_PASSWORD"]
        stages.invite(place.base_url, place.sandbox_url, OWNER_EMAIL, password, place.folder)
        if not once:
            stages.note("Ctrl-C stops everything")
            running.serve()
    except Ended:
        return 0
    except StageFailed as failure:
        stages.failed(str(failure))
        return 1
    finally:
        for number in ENDINGS:
            signal.signal(
                number, signal.SIG_IGN
            )  # a second Ctrl-C must not leave something running
        running.stop()
        stages.note("everything stopped")
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    raise Ended


if __name__ == "__main__":
    sys.exit(main())
