"""django-q2's ORM broker, changed to take messages in the order they came.

The original takes any row, with two statements, so that a message could be overtaken again and
again. Here one statement takes the oldest, and a lane waits only for those that came before it.
"""

import logging
from time import sleep

from django.db import Error, close_old_connections
from django.db import connection as database
from django_q.brokers.orm import ORM
from django_q.conf import Conf

from taskjuice.database import limits

logger = logging.getLogger(__name__)

WITHOUT_DATABASE_SECONDS = 0.5
TAKE_SECONDS = 3.0
TAKE = """
UPDATE django_q_ormq SET lock = clock_timestamp() + %(retry)s * interval '1 second'
 WHERE id = (SELECT id FROM django_q_ormq WHERE key = %(key)s AND lock < clock_timestamp()
              ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, payload
"""


class InOrder(ORM):  # type: ignore[misc]  # django-q2 publishes no types
    """A broker in the order of arrival. `lock` is when a message may be taken (again), by the
    database's clock.
    """

    def dequeue(self) -> list[tuple[int, str]] | None:
        """Return the next message, or None where there is none or the database is away."""
        try:
            with limits.set_deadline(TAKE_SECONDS):
                taken = self._take()
        except Error:
            # An exception from here would put django-q2's pusher to sleep for ten seconds.
            logger.exception("the queue cannot be read")
            close_old_connections()
            sleep(WITHOUT_DATABASE_SECONDS)
            return None
        if not taken:
            sleep(Conf.POLL)
        return taken or None

    def _take(self) -> list[tuple[int, str]]:
        if not database.in_atomic_block:
            close_old_connections()
        with database.cursor() as cursor:
            cursor.execute(TAKE, {"key": self.list_key, "retry": Conf.RETRY})
            taken: list[tuple[int, str]] = cursor.fetchall()
        return taken
