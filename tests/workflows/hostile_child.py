"""A child process that evaluates each text it reads (JSON, name to text), with 64 MB and 3 s.

Writes the end of each: {"ended": "value" or the exception's name, "seconds": of its own time}.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from workflows.definition.expressions import ExpressionError, evaluate_text

SPARE = 64 * 1024 * 1024
DATA = {
    "trigger": {"number": 7},
    "steps": {"invoice": {"InvoiceNumber": "INV-0042", "Total": 1150}},
}


def used() -> int:
    """Return the bytes of address space."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def run(text: str) -> dict[str, Any]:
    resource.setrlimit(resource.RLIMIT_AS, (used() + SPARE,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (3, 3))
    started = time.process_time()
    try:
        evaluate_text(text, DATA)
        ended = "value"
    except Exception as error:  # noqa: BLE001 - what it is, is what is asked
        ended = "ExpressionError" if isinstance(error, ExpressionError) else type(error).__name__
    return {"ended": ended, "seconds": time.process_time() - started}


def forked(text: str) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(run(text)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        found = answer.read()
    os.waitpid(child, 0)
    return dict(json.loads(found)) if found else {"ended": "killed", "seconds": 99.0}


if __name__ == "__main__":
    sys.stdout.write(
        json.dumps({name: forked(text) for name, text in json.load(sys.stdin).items()})
    )
