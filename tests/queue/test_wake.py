"""Wake-ups: one at a time, with the state that needs them, and nothing but ids inside."""

import pytest
from django.db import transaction
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from taskjuice.queue import wake
from taskjuice.queue.models import Wake

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def flag(db: None) -> None:
    Wake.objects.get_or_create(name="fan-out")


def test_wake_queues_once_until_taken() -> None:
    wake.wake_once("fan-out", "connections.tasks.fan_out")
    wake.wake_once("fan-out", "connections.tasks.fan_out")
    assert OrmQ.objects.count() == 1
    wake.note_taken("fan-out")
    wake.wake_once("fan-out", "connections.tasks.fan_out")
    assert OrmQ.objects.count() == 2


def test_rewake_queues_whatever_the_flag_says() -> None:
    Wake.objects.all().delete()
    wake.wake_again("fan-out", "connections.tasks.fan_out")
    wake.wake_again("fan-out", "connections.tasks.fan_out")
    assert (OrmQ.objects.count(), Wake.objects.get(name="fan-out").pending) == (2, True)


def test_wake_up_goes_with_its_transaction() -> None:
    with transaction.atomic():
        wake.enqueue_task("workflows.tasks.run_lane", 7)
        transaction.set_rollback(True)
    assert OrmQ.objects.count() == 0


def test_message_carries_ids_only() -> None:
    """Payloads are signed pickles: whatever else were in them could be read by who reads the table."""
    wake.enqueue_task("workflows.tasks.run_lane", 7)
    message = SignedPackage.loads(OrmQ.objects.get().payload)
    assert (message["func"], message["args"], message["kwargs"]) == (
        "workflows.tasks.run_lane",
        (7,),
        {},
    )
