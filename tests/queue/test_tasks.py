"""Messages name their task by its dotted path. One that was queued before an upgrade must still
find it.
"""

import pydoc
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Never rename or remove one while messages of an older release may be queued: leave it for a
# release.
TASKS = (
    "connections.tasks.fan_out",
    "connections.tasks.settle_calls",
    "connections.tasks.tell_link",
    "taskjuice.queue.tasks.canary",
    "taskjuice.queue.tasks.prune",
    "taskjuice.workspaces.tasks.erase_workspace",
    "taskjuice.workspaces.tasks.make_export",
    "workflows.tasks.run_lane",
    "workflows.tasks.tell_of_approval",
    "xero.tasks.run_ledger",
)


@pytest.mark.parametrize("path", TASKS)
def test_tasks_that_messages_name_are_there(path: str) -> None:
    assert callable(pydoc.locate(path))


def test_every_task_that_is_queued_stands_here() -> None:
    sources = [
        path
        for app in ("connections", "taskjuice", "workflows", "xero")
        for path in (ROOT / app).rglob("*.py")
    ]
    queued = {
        name
        for path in sources
        for name in re.findall(r'"(\w+(?:\.\w+)*\.tasks\.\w+)"', path.read_text())
    }
    assert queued <= set(TASKS)
