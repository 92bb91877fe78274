"""Settings of the queue that would lose, repeat or stall tasks are refused."""

from typing import Any

import pytest
from django.conf import settings

from taskjuice.queue.checks import list_problems

GOOD: dict[str, Any] = dict(settings.Q_CLUSTER)


def test_the_products_own_settings_pass() -> None:
    assert list_problems(GOOD) == []


@pytest.mark.parametrize("workers", [1, 2, 4, 16])
def test_any_number_of_workers_passes(workers: int) -> None:
    assert list_problems(GOOD | {"workers": workers, "queue_limit": workers}) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"orm": "other"}, "queue.E001"),
        ({"broker_class": None}, "queue.E001"),
        ({"bulk": 10}, "queue.E001"),
        ({"max_attempts": 0}, "queue.E001"),
        ({"ack_failures": False}, "queue.E001"),
        ({"catch_up": True}, "queue.E001"),
        ({"scheduler": True}, "queue.E001"),
        ({"save_limit": 250}, "queue.E001"),
        ({"queue_limit": 16}, "queue.E002"),
        ({"queue_limit": 0}, "queue.E002"),
        ({"retry": 60}, "queue.E003"),
        ({"retry": 419}, "queue.E003"),
        ({"timeout": None}, "queue.E003"),
        ({"timeout": 600}, "queue.E003"),
    ],
)
def test_setting_that_breaks_promises_is_refused(changes: dict[str, Any], expected: str) -> None:
    assert [problem.id for problem in list_problems(GOOD | changes)] == [expected]
