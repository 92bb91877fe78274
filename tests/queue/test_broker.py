"""Messages are taken in the order they came, and each by one node only."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ

from taskjuice.queue.broker import InOrder

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> InOrder:
    monkeypatch.setattr(Conf, "POLL", 0)
    found = get_broker()
    assert isinstance(found, InOrder)
    return found


def put(broker: InOrder, payload: str, *, ago: float = 1) -> int:
    lock = timezone.now() - timedelta(seconds=ago)
    return int(OrmQ.objects.create(key=broker.list_key, payload=payload, lock=lock).pk)


def test_oldest_message_is_taken_first_and_once(broker: InOrder) -> None:
    first, second = put(broker, "first"), put(broker, "second", ago=100)
    OrmQ.objects.filter(pk=first).update(payload="first")  # moves the row behind the other
    assert [broker.dequeue() for _ in range(3)] == [[(first, "first")], [(second, "second")], None]


def test_message_that_nobody_acknowledges_comes_back(broker: InOrder) -> None:
    pk = put(broker, "lost")
    broker.dequeue()
    lock = OrmQ.objects.get(pk=pk).lock
    assert lock is not None
    wait = (lock - timezone.now()).total_seconds()
    assert Conf.RETRY - 5 < wait <= Conf.RETRY
    OrmQ.objects.update(lock=timezone.now() - timedelta(seconds=1))
    assert broker.dequeue() == [(pk, "lost")]


def test_messages_of_another_cluster_are_left_alone(broker: InOrder) -> None:
    OrmQ.objects.create(key="another", payload="x", lock=timezone.now() - timedelta(seconds=1))
    assert broker.dequeue() is None
