"""Claiming is as quick with a long history as without one."""

import pytest
from django.db import connection as database
from django.db import transaction

from connections.models import Connection
from taskjuice.queue.leases import Lease
from tests.factories import make_activation, make_workflow
from tests.workflows.conftest import Look
from workflows.engine import lanes
from workflows.engine.store import _claim
from workflows.models import Activation

pytestmark = pytest.mark.django_db
HISTORY = 20_000


def test_claim_reads_no_more_than_what_is_due(look: Look, connection: Connection) -> None:
    steps = [{"name": "look", "action": look.key, "input": {"number": "{{ trigger.number }}"}}]
    workflow = make_workflow(connection.agency, connection, steps=steps)
    due = make_activation(workflow, connection, trigger_data={"number": 1})
    lanes.wake_lanes([connection.pk])
    lease = lanes.acquire(connection.pk)
    assert lease is not None
    without_history = rows_read_by_claim(lease, due)
    grow_history(due)
    assert rows_read_by_claim(lease, due) < without_history + 50


def rows_read_by_claim(lease: Lease, due: Activation) -> int:
    """Claim the due activation and put it back; return the rows read.

    Dead index entries of earlier tests count in each call.
    """
    with database.cursor() as cursor:
        cursor.execute("ANALYZE workflows_activation")
    before = rows_read()
    with transaction.atomic():
        assert [run.id for run in _claim(lease, 100, "<")] == [due.pk]
        transaction.set_rollback(True)
    return rows_read() - before


def grow_history(one: Activation) -> None:
    columns = [
        str(field.column)
        for field in Activation._meta.concrete_fields
        if field.name not in {"id", "event", "state", "finished_at"}
    ]
    listed = ", ".join(columns)
    with database.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO workflows_activation (state, finished_at, {listed})
                SELECT 'succeeded', clock_timestamp(), {listed}
                  FROM workflows_activation, generate_series(1, {HISTORY}) WHERE id = %s""",
            [one.pk],
        )


def rows_read() -> int:
    """Return how many rows and index entries of the table this transaction has read so far."""
    with database.cursor() as cursor:
        cursor.execute("""
            SELECT pg_stat_get_xact_tuples_returned(c.oid)::bigint + coalesce(pg_stat_get_xact_tuples_fetched(c.oid), 0)
              FROM pg_class c WHERE c.oid = 'workflows_activation'::regclass""")
        in_table = cursor.fetchone()[0]
        cursor.execute("""
            SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(indexrelid)), 0)
              FROM pg_index WHERE indrelid = 'workflows_activation'::regclass""")
        return int(in_table + cursor.fetchone()[0])
