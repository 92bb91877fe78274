"""A worker's process that takes one turn of a lane: `python -m tests.xero.lane_process <connection
id> [seconds]`.

With `seconds` the queue's own time limit ends it, as it ends a task.
"""

import sys

import django


def main() -> None:
    django.setup()
    from django_q.timeout import TimeoutHandler

    from workflows.engine import runner  # it needs Django to be set up

    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else -1
    with TimeoutHandler(seconds):
        runner.run_lane(int(sys.argv[1]))


if __name__ == "__main__":
    main()
