"""A worker's process that runs one turn of a lane whose step takes all of its memory.

`python -m tests.workflows.engine.hungry_process <connection id>`. What the kernel does to it on a
full machine it does here to itself, since a test may not fill the machine.
"""

import os
import resource
import signal
import sys

import django

MOST = 1 << 30


def main() -> None:
    django.setup()
    from connections.integrations import (  # they need Django to be set up
        ActionContext,
        Data,
        registry,
    )
    from tests.workflows.conftest import Look
    from workflows.engine import runner

    class Hungry(Look):
        def run(self, call: ActionContext, data: Data) -> Data:
            if data["number"] == 13:
                try:
                    bytearray(4 * MOST)
                except MemoryError:
                    os.kill(os.getpid(), signal.SIGKILL)
            return {"number": data["number"]}

    registry.add(actions=[Hungry()])
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    runner.run_lane(int(sys.argv[1]))


if __name__ == "__main__":
    main()
