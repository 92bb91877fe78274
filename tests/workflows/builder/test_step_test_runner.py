"""Step tests run in a process of their own: one at a time per agency, and with limits."""

import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from django.db import connection as database
from django.test import Client

from connections.models import Connection, Event
from taskjuice.workspaces.models import Agency, User, Workspace
from tests.environment import ROOT
from tests.factories import make_connection, make_event, make_workflow
from workflows.builder import step_test_runner
from workflows.builder.step_test_runner import BUSY, CROWDED, STOPPED, run_step_test
from workflows.builder.step_tests import StepTestResult
from workflows.definition.drafts import Draft, Step

NOTE = Step(
    "note",
    "core/set-values",
    {"values": {"id": "{{ trigger.resource_id }}", "n": "{{ 1 | plus: 0.10 }}"}},
)
NEW = "/northwind/workflows/new/"


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Harbour Café Limited")


@pytest.fixture
def event(connection: Connection) -> Event:
    return make_event(connection)


def try_step(event: Event, user: User, agency: Agency) -> StepTestResult:
    draft = Draft("xero/invoice-event", {"change": "any"}, [NOTE])
    return run_step_test(draft, 0, str(event.pk), [event.connection_id], agency=agency, user=user)


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes that are started use the tests' database."""
    info = database.connection.info
    url = (
        f"postgres://{info.user}:@/{info.dbname}?host={quote(info.host, safe='')}&port={info.port}"
    )
    monkeypatch.setenv("DATABASE_URL", url)


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_page_shows_what_the_process_found(
    as_member: Client,
    owner: User,
    agency: Agency,
    connection: Connection,
    event: Event,
    child: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    posted = {
        "name": "Tried",
        "connections": [event.connection_id],
        "trigger": "xero/invoice-event",
        "trigger-change": "any",
        "step": ["s1"],
        "step-s1-action": "core/set-values",
        "called-s1": "note",
        "step-s1-values-0-name": "id",
        "step-s1-values-0-value": "{{ trigger.resource_id }}",
        "do": "test:s1",
        "event": event.pk,
    }
    page = as_member.post(NEW, posted)
    assert page.context["builder"].cards[0].trial == StepTestResult(
        "done",
        input=[("values[0].name", "id"), ("values[0].value", str(event.resource_id))],
        output=[("id", str(event.resource_id))],
        output_json=f'{{\n  "id": "{event.resource_id}"\n}}',
    )
    assert "<strong>It works.</strong>" in page.content.decode()
    live = make_workflow(agency, connection, steps=[NOTE.as_stored()])
    asks = as_member.get(f"/northwind/workflows/{live.pk}/run/", {"event": event.pk})
    assert [dict(planned.trial.output) for planned in asks.context["steps"]] == [
        {"id": str(event.resource_id), "n": "1.1"}
    ]
    Event.objects.all().delete()
    assert (
        try_step(event, owner, agency).message
        == "This event is not there any more. Choose another."
    )
    monkeypatch.setattr(step_test_runner, "WALL_SECONDS", 0.01)
    assert try_step(event, owner, agency) == STOPPED
    monkeypatch.undo()  # the process finds no database and dies
    monkeypatch.setenv("DATABASE_URL", "postgres://nobody@localhost:1/nothing")
    assert try_step(event, owner, agency) == STOPPED


def test_process_limits_itself() -> None:
    ask = (
        "import resource as r; from workflows.builder.step_test_process import limit_resources; limit_resources();"
        "print(r.getrlimit(r.RLIMIT_AS)[1] < 1 << 30, r.getrlimit(r.RLIMIT_CPU)[1] < 60, r.getrlimit(r.RLIMIT_CORE));"
        "bytearray(1 << 30)"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["True", "True", "(0,", "0)"]
    assert "MemoryError" in done.stderr


@pytest.mark.django_db
def test_agency_has_one_test_at_a_time_and_a_web_process_few(
    owner: User,
    stranger: User,
    event: Event,
    agency: Agency,
    foreign_agency: Agency,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[bytes] = []
    answers: list[StepTestResult] = []

    def process(request: bytes) -> bytes:
        """While one is tested, others come."""
        begun.append(request)
        if len(begun) == 1:
            answers.append(try_step(event, owner, agency))
            answers.append(try_step(event, stranger, foreign_agency))
        elif len(begun) == 2:
            answers.append(try_step(event, owner, agency))
        return step_test_runner.answer_request(request)

    monkeypatch.setattr(step_test_runner, "ask_process", process)
    first = try_step(event, owner, agency)
    assert (first.state, first.output[1]) == ("done", ("n", "1.1"))
    assert [answer.state for answer in answers] == ["later", "later", "done"]
    assert answers[:2] == [BUSY, CROWDED]
    assert try_step(event, owner, agency).state == "done"  # both are free again
    assert len(begun) == 3


@pytest.mark.django_db
def test_claim_and_place_are_given_back_when_a_test_breaks(
    owner: User, agency: Agency, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(request: bytes) -> bytes:
        raise OSError("no process")

    monkeypatch.setattr(step_test_runner, "ask_process", broken)
    for _ in range(step_test_runner.AT_ONCE + 1):
        with pytest.raises(OSError, match="no process"):
            try_step(event, owner, agency)
    monkeypatch.setattr(step_test_runner, "ask_process", step_test_runner.answer_request)
    assert try_step(event, owner, agency).state == "done"


@pytest.mark.django_db
def test_whole_test_has_one_budget_of_expressions(
    owner: User, agency: Agency, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_test_runner, "ask_process", step_test_runner.answer_request)
    words = Step("w", "core/set-values", {"values": {"a": "x," * 1500}})
    many = "; ".join(["{{ steps.w.a | split: ',' | join: '-' | size }}"] * 60)
    draft = Draft(
        "xero/invoice-event",
        {"change": "any"},
        [words, *(Step(f"s{n}", "core/note", {"text": many}) for n in range(9))],
    )

    def at(position: int) -> StepTestResult:
        return run_step_test(
            draft, position, str(event.pk), [event.connection_id], agency=agency, user=owner
        )

    assert at(1).state == "done"  # alone it is fine
    assert at(9).state == "failed"
    assert "Work on a shorter list" in at(9).message
