"""Files that only their owner can read, from the first byte on."""

import os
from pathlib import Path
from typing import BinaryIO


def open_to_append(path: Path) -> BinaryIO:
    """Open a log to append to it, with mode 0600 whatever the umask or the file's present mode."""
    number = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.fchmod(number, 0o600)
    return os.fdopen(number, "ab")
