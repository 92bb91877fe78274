"""django-q2's ORM broker, except that messages are taken in the order they came, each with one statement.

The original takes any row with two, so that a message could be overtaken again and again; a lane waits its turn fairly
only behind those that came before it.
"""

from time import sleep

from django.db import close_old_connections
from django.db import connection as database
from django_q.brokers.orm import ORM
from django_q.conf import Conf

TAKE = """
UPDATE django_q_ormq SET lock = clock_timestamp() + %(retry)s * interval '1 second'
 WHERE id = (SELECT id FROM django_q_ormq WHERE key = %(key)s AND lock < clock_timestamp()
              ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, payload
"""


class InOrder(ORM):  # type: ignore[misc]  # django-q2 publishes no types
    """`lock` is when a message may be taken (again), by the database's clock."""

    def dequeue(self) -> list[tuple[int, str]] | None:
        if not database.in_atomic_block:
            close_old_connections()
        with database.cursor() as cursor:
            cursor.execute(TAKE, {"key": self.list_key, "retry": Conf.RETRY})
            taken: list[tuple[int, str]] = cursor.fetchall()
        if taken:
            return taken
        sleep(Conf.POLL)
        return None
