"""The process that tests steps: `python -m workflows.builder.step_test_process`.

It reads the request from its standard input, and limits itself before it looks at anything that a
person typed. The limits are counted from what Django itself has used.
"""

import os
import resource
import sys
from pathlib import Path

import django

PROCESSOR_SECONDS = 10  # the expressions' own budget is far below
SPARE_BYTES = 512 * 1024 * 1024
POLITE = 5  # a page's request goes first


def limit_resources() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * os.sysconf("SC_PAGE_SIZE") + SPARE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + PROCESSOR_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(POLITE)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskjuice.settings")
    request = sys.stdin.buffer.read()
    django.setup()
    # They need Django to be set up
    from taskjuice.database import limits
    from workflows.builder.step_test_runner import answer_request

    limits.set_kind("web")
    limit_resources()
    sys.stdout.buffer.write(answer_request(request))


if __name__ == "__main__":
    main()
