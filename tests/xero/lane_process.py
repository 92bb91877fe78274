"""A worker's process that takes one turn of a lane: `python -m tests.xero.lane_process <connection id>`."""

import sys

import django


def main() -> None:
    django.setup()
    from workflows import engine  # it needs Django to be set up

    engine.run_lane(int(sys.argv[1]))


if __name__ == "__main__":
    main()
