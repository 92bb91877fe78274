"""`make drill`: docs/deploy.md done under load, a table at the end, and an exit code of 1 if anything was not well.

python -m tests.drill [--postgres PROGRAMS] [chapter …]
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.database.cluster import EMBEDDED
from tests.drill import chapters
from tests.drill.installation import Installation, installation
from tests.drill.load import Line, Load
from tests.drill.nodes import can_have_host

Chapter = Callable[[Installation, Load], None]
CHAPTERS: dict[str, tuple[str, Chapter]] = {
    "token-keys": ("TOKEN_KEYS rotated in its phases", chapters.rotate_token_keys),
    "secret-key": ("SECRET_KEY rotated by fallbacks", chapters.rotate_secret_key),
    "webhook-key": ("the webhook key rotated", chapters.rotate_webhook_key),
    "client-secret": ("the Xero client secret rotated", chapters.rotate_client_secret),
    "database-password": ("the database's passwords rotated", chapters.rotate_database_password),
    "upgrade": ("upgraded, node by node", chapters.upgrade),
    "loss": ("each node lost in turn", chapters.lose_each_node),
    "database": ("PostgreSQL restarted", chapters.restart_database),
    "restore": ("last night's backup restored", chapters.restore_backup),
}
DOWN = {"restore"}
WIDTHS = (8, 8, 8, 6, 8, 9, 9, 8)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make drill")
    parser.add_argument(
        "--postgres", type=Path, default=EMBEDDED, help="folder of another server's programs"
    )
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help=f"of {', '.join(CHAPTERS)}")
    given = parser.parse_args()
    # What was started ends with it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="taskjuice-drill-"))
    folder.chmod(0o755)
    if not can_have_host():
        print(
            "Nodes share this machine's process numbers: this user may not give them their own (unshare)."
        )
    lines: list[Line] = []
    with installation(folder, programs=given.postgres) as made:
        began = time.monotonic()
        made.prepare()
        made.start()
        made.furnish()
        print(
            f"brought up in {time.monotonic() - began:.0f} s; check --deploy has no warning",
            flush=True,
        )
        load = Load(made)
        print_head()
        lines.append(load.measure("nothing happens", lambda: time.sleep(10)))
        say(lines[-1])
        for name in given.chapters or CHAPTERS:
            title, do = CHAPTERS[name]
            lines.append(load.measure(title, lambda do=do: do(made, load), is_down=name in DOWN))  # type: ignore[misc]
            say(lines[-1])
    print_table(lines)
    is_well = all(line.is_well for line in lines)
    if is_well:
        shutil.rmtree(folder)
    else:
        print(f"not well: logs and data are under {folder}")
    return 0 if is_well else 1


def say(line: Line) -> None:
    print(row_of(line), flush=True)
    if line.trouble:
        print(line.trouble, flush=True)


def print_table(lines: list[Line]) -> None:
    print()
    print_head()
    for line in lines:
        print(row_of(line))
    print(
        "Longest: of a webhook to its answer, of an event to the end of its activation, or of a page."
    )


def print_head() -> None:
    head = ("sent", "acked", "errors", "lost", "doubled", "longest", "took", "verdict")
    print(
        " ".join(f"{name:>{width}}" for name, width in zip(head, WIDTHS, strict=True)),
        " chapter",
        flush=True,
    )


def row_of(line: Line) -> str:
    cells = (
        line.sent,
        line.acknowledged,
        line.errors.total(),
        line.lost,
        line.doubled,
        f"{line.longest:.1f} s",
        f"{line.seconds:.0f} s",
        "well" if line.is_well else "NOT WELL",
    )
    row = " ".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
    errors = (
        f" ({', '.join(f'{n} × {what}' for what, n in line.errors.items())})" if line.errors else ""
    )
    return f"{row}  {line.chapter}{errors}"


if __name__ == "__main__":
    sys.exit(main())
