"""Named points at which a test can have a process killed.

Set `TASKJUICE_CRASH=journal.after_intent` in the environment of a started process; without it
nothing happens.
"""

import os
import signal

POINTS = (
    "journal.after_intent",  # the intent is stored, nothing is sent
    "journal.after_send",  # the answer is here, nothing of it is stored
    "journal.before_commit",  # it is written, but not committed
    "journal.after_commit",  # it is stored, but nobody was told
)

RECEIVER_POINTS = (
    "receiver.before_write",  # the signature is right, nothing is stored
    "receiver.after_commit",  # the delivery is stored, but the provider was not told
)


def crash_point(name: str) -> None:
    """Kill this process with SIGKILL where the environment names this point."""
    if os.environ.get("TASKJUICE_CRASH") == name:
        os.kill(os.getpid(), signal.SIGKILL)
