"""Migrations over rows that are there: what was written before them is kept, forwards and
backwards.
"""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.db.utils import IntegrityError

from connections.models import Connection
from taskjuice.partitions import add_months, get_month_start
from tests.factories import make_activation, make_workflow
from workflows.activations import retention as activation_retention
from workflows.models import Activation, StepRun

pytestmark = pytest.mark.django_db

PLAIN, BY_MONTH = "plain", "by month"
by_month = import_module("workflows.migrations.0013_step_history_by_month")
ROWS = "SELECT * FROM workflows_steprun ORDER BY id"
NOW = datetime.now(UTC)
TIMES = (
    NOW - timedelta(days=700),
    NOW - timedelta(days=40),
    NOW,
    add_months(get_month_start(NOW), 2),
)


@pytest.fixture
def activation(connection: Connection) -> Activation:
    """The tables as they were before, in the test's own transaction, which takes all of it back."""
    made = make_activation(make_workflow(connection.agency, connection), connection)
    migrate(PLAIN)
    return made


def migrate(way: str) -> None:
    """The statements themselves: the migrations behind this one build indexes, which no transaction
    may.
    """
    execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks to come cannot be altered
    execute(by_month.FORWARD if way == BY_MONTH else by_month.BACK)
    execute("SET CONSTRAINTS ALL DEFERRED")


def execute(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(statement, values or None)  # without values a % is a %
        return cursor.fetchall() if cursor.description else []


def add_step(activation: Activation, at: datetime) -> int:
    """As the engine writes one, what has a default in the database left out."""
    statement = """
        INSERT INTO workflows_steprun
            (activation_id, position, name, action, attempt, outcome, input, output, started_at, finished_at)
        VALUES (%s, 0, 'look', 'test/look', 1, 'done', '{"total": 10.50}', NULL, %s, %s) RETURNING id
    """
    [[pk]] = execute(statement, activation.pk, at, at)
    return int(pk)


def test_steps_written_before_months_stay_as_they_were(activation: Activation) -> None:
    for at in TIMES:
        add_step(activation, at)
    before = execute(ROWS)
    migrate(BY_MONTH)
    assert (execute(ROWS), len(before)) == (before, len(TIMES))
    assert list(activation.step_runs.order_by("id").values_list("finished_at", flat=True)) == list(
        TIMES
    )
    [[stays_in]] = execute("SELECT DISTINCT tableoid::regclass::text FROM workflows_steprun")
    assert stays_in == "workflows_steprun_before"


def test_steps_of_months_stay_as_they_were_on_the_way_back(activation: Activation) -> None:
    add_step(activation, NOW - timedelta(days=40))
    migrate(BY_MONTH)
    activation_retention.STEP_HISTORY.make_ahead(NOW)
    for at in (
        NOW,
        add_months(get_month_start(NOW), 1),
        add_months(get_month_start(NOW), 30),
    ):  # before, in a month, in the default
        add_step(activation, at)
    before = execute(ROWS)
    migrate(PLAIN)
    assert (execute(ROWS), len(before)) == (before, 4)
    migrate(BY_MONTH)
    assert execute(ROWS) == before


@pytest.mark.parametrize("way", [(), (BY_MONTH,), (BY_MONTH, PLAIN), (BY_MONTH, PLAIN, BY_MONTH)])
def test_table_of_steps_takes_new_ones_wherever_the_migrations_stand(
    activation: Activation, way: tuple[str, ...]
) -> None:
    ids = [add_step(activation, NOW)]
    for name in way:
        migrate(name)
        ids.append(add_step(activation, NOW))
        made = StepRun.objects.create(
            activation=activation,
            position=1,
            name="note",
            action="core/note",
            attempt=1,
            outcome="done",
            started_at=NOW,
        )
        made.refresh_from_db()
        assert (made.wave, made.error_code, made.error) == (1, "", "")
        ids.append(made.pk)
    assert ids == sorted(set(ids))
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError), transaction.atomic():
        add_step(Activation(pk=activation.pk + 1), NOW)


def test_months_follow_the_steps_that_were_there(activation: Activation) -> None:
    """A step that ended (by a clock that ran ahead) in a later month moves the first partition's
    end.
    """
    add_step(activation, add_months(get_month_start(NOW), 2) + timedelta(days=3))
    migrate(BY_MONTH)
    assert activation_retention.STEP_HISTORY.list_ends() == {
        "workflows_steprun_before": add_months(get_month_start(NOW), 3)
    }
    made = activation_retention.STEP_HISTORY.make_ahead(NOW)
    assert made == [f"workflows_steprun_{add_months(get_month_start(NOW), 3):%Y_%m}"]
    add_step(activation, add_months(get_month_start(NOW), 3))
    assert activation.step_runs.count() == 2
