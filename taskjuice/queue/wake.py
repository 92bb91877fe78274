"""Wake-ups through the queue. A message carries ids and only wakes; the rows it names decide."""

import uuid
from functools import lru_cache

from django.db import connection as database
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from taskjuice.queue.models import Wake

# A wake-up that no worker has taken for so long is queued again, which costs one message.
LOST_SECONDS = 60

RAISE = """
INSERT INTO queue_wake (name, pending, since) VALUES (%(name)s, true, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET pending = true, since = excluded.since
 WHERE NOT queue_wake.pending OR queue_wake.since IS NULL
    OR queue_wake.since < clock_timestamp() - %(lost)s * interval '1 second'
"""


# Signed once per process: what only wakes is the same each time.
@lru_cache(maxsize=4096)
def sign_message(task: str, *ids: int | str) -> str:
    """Return a signed message for the task at this dotted path, as django-q2's pusher reads it.

    Raises ImportError where there is no such task, since the queue would drop the message silently.
    """
    import_string(task)
    tag = uuid.uuid4().hex
    return str(
        SignedPackage.dumps(
            {
                "id": tag,
                "name": tag[:12],
                "func": task,
                "args": ids,
                "kwargs": {},
                "ack_failure": True,
                "started": timezone.now(),
            }
        )
    )


def enqueue_task(task: str, *ids: int | str) -> int:
    """Queue the task inside the caller's transaction, to commit with the state that needs it."""
    return enqueue_messages([sign_message(task, *ids)])[0]


def enqueue_messages(packages: list[str]) -> list[int]:
    rows = OrmQ.objects.bulk_create(
        OrmQ(key=Conf.CLUSTER_NAME, payload=payload, lock=Now()) for payload in packages
    )
    return [row.pk for row in rows]


def wake_once(name: str, task: str) -> None:
    """Queue a single-instance task, unless a wake-up of it is queued and not yet taken.

    A flag that has stood for LOST_SECONDS has lost its message and is raised again.
    """
    with transaction.atomic(), database.cursor() as cursor:
        cursor.execute(RAISE, {"name": name, "lost": LOST_SECONDS})
        if cursor.rowcount:
            enqueue_task(task)


def wake_again(name: str, task: str) -> None:
    """Queue the task whatever the flag says: the wake-up that set it may be lost."""
    with transaction.atomic():
        Wake.objects.update_or_create(name=name, defaults={"pending": True, "since": Now()})
        enqueue_task(task)


def note_taken(name: str) -> None:
    """Note that the task starts, so that the next change queues a new wake-up."""
    Wake.objects.filter(name=name).update(pending=False)
