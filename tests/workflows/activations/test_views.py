"""The list of activations and the page of one."""

from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connections.models import Connection
from taskjuice.workspaces.models import Agency, Workspace
from tests.factories import make_activation, make_connection, make_workflow
from workflows.activations import queries as activation_queries
from workflows.activations import search as activation_search
from workflows.activations import timeline
from workflows.definition.templates import LARGE_INVOICE
from workflows.models import Activation, Lane, StepRun, Workflow
from xero.sync import upsert

pytestmark = pytest.mark.django_db

LIST = "/northwind/activations/"
POLL = {"HX-Request": "true", "HX-Target": "live"}


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Harbour Café Limited")


@pytest.fixture
def elsewhere(other_workspace: Workspace) -> Connection:
    return make_connection(other_workspace, name="Kauri Builders Limited")


@pytest.fixture
def workflow(agency: Agency, connection: Connection, elsewhere: Connection) -> Workflow:
    return make_workflow(
        agency, connection, elsewhere, name="Note", steps=LARGE_INVOICE.draft.steps_as_stored()
    )


def subjects(client: Client, path: str) -> list[str]:
    return [row.activation.subject for row in client.get(path).context["list"].rows]


def counts(client: Client, path: str = LIST) -> dict[str, str]:
    return {chip.text: chip.counted for chip in client.get(path).context["list"].chips}


def step_run(activation: Activation, position: int, outcome: str, **fields: Any) -> StepRun:
    step = LARGE_INVOICE.draft.steps[position]
    values = {"name": step.name, "action": step.action, "attempt": 1, "started_at": timezone.now()}
    return StepRun.objects.create(
        activation=activation, position=position, outcome=outcome, **values | fields
    )


def test_list_is_filtered_by_state_with_counts(
    as_member: Client, workflow: Workflow, connection: Connection
) -> None:
    for state in (
        "ready",
        "running",
        "failed",
        "failed",
        "unknown",
        "succeeded",
        "stopped",
        "cancelled",
    ):
        make_activation(workflow, connection, state=state, subject=state)
    assert counts(as_member) == {
        "All": "8",
        "Running": "1",
        "Waiting": "1",
        "Failed": "2",
        "Needs a decision": "1",
        "Succeeded": "1",
        "Stopped": "1",
        "Cancelled": "1",
    }
    assert subjects(as_member, f"{LIST}?state=failed") == ["failed", "failed"]
    assert subjects(as_member, f"{LIST}?state=waiting") == ["ready"]
    assert len(subjects(as_member, f"{LIST}?state=nonsense")) == 8


def test_counts_stop_where_nobody_counts_on(
    as_member: Client, workflow: Workflow, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation_queries, "COUNTED", 2)
    for _ in range(4):
        make_activation(workflow, connection, state="failed")
    assert (
        counts(as_member)["All"],
        counts(as_member)["Failed"],
        counts(as_member)["Stopped"],
    ) == (
        "2+",
        "2+",
        "0",
    )


def test_search_is_by_the_beginning_of_the_subject(
    as_member: Client, workflow: Workflow, connection: Connection
) -> None:
    for subject in ("INV-0042", "INV-0043", "BILL-7", "100%", "a_b", "Zoë’s 🍊"):
        make_activation(workflow, connection, subject=subject)
    for typed, found in [
        ("inv-00", ["INV-0043", "INV-0042"]),
        ("0042", []),
        ("100%", ["100%"]),
        ("%", []),
        ("a_", ["a_b"]),
        ("_", []),
        ("zoë", ["Zoë’s 🍊"]),
        ("\\", []),
        ("' OR 1=1", []),
    ]:
        answer = as_member.get(LIST, {"q": typed})
        assert [row.activation.subject for row in answer.context["list"].rows] == found


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        f"before={10**30}",
        "before=x",
        "after=-1",
        "workflow=0",
        "state=%F0%9F%8D%8A",
        f"q={'x' * 3000}",
    ],
)
def test_wrong_filters_count_as_none(
    as_member: Client, workflow: Workflow, connection: Connection, query: str
) -> None:
    make_activation(workflow, connection, subject="INV-1")
    assert subjects(as_member, f"{LIST}?{query}") == ["INV-1"]


def test_pages_neither_skip_nor_repeat(
    as_member: Client, workflow: Workflow, connection: Connection
) -> None:
    numbers = [f"INV-{number:03}" for number in range(120)]
    for number in numbers:
        make_activation(workflow, connection, subject=number)
    first = as_member.get(LIST).context["list"]
    second = as_member.get(f"{LIST}?before={first.older}").context["list"]
    third = as_member.get(f"{LIST}?before={second.older}").context["list"]
    seen = [row.activation.subject for page in (first, second, third) for row in page.rows]
    assert seen == numbers[::-1]
    assert (first.newer, third.older) == (None, None)
    back = as_member.get(f"{LIST}?after={third.newer}").context["list"]
    assert [row.activation.pk for row in back.rows] == [row.activation.pk for row in second.rows]


def test_list_runs_the_same_queries_for_1_and_30(
    as_member: Client,
    workflow: Workflow,
    connection: Connection,
    elsewhere: Connection,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    make_activation(workflow, connection)
    as_member.get(LIST)
    with CaptureQueriesContext(database) as few:
        as_member.get(LIST)
    for number in range(29):
        make_activation(workflow, (connection, elsewhere)[number % 2])
    with django_assert_num_queries(len(few)):
        as_member.get(LIST)


def test_client_sees_only_their_own(
    as_client_user: Client, workflow: Workflow, connection: Connection, elsewhere: Connection
) -> None:
    mine = make_activation(workflow, connection, subject="INV-MINE", state="failed")
    other = make_activation(workflow, elsewhere, subject="INV-OTHER", state="failed")
    place = "/northwind/harbour-cafe/activations/"
    assert subjects(as_client_user, place) == ["INV-MINE"]
    assert counts(as_client_user, place)["Failed"] == "1"
    page = as_client_user.get(f"{place}?state=failed").content.decode()
    assert "Replay" not in page
    assert as_client_user.get(f"{place}{mine.pk}/").status_code == 200
    assert as_client_user.get(f"{place}{other.pk}/").status_code == 404
    assert as_client_user.post(f"{place}{mine.pk}/replay/").status_code == 403
    assert (
        as_client_user.post(f"{place}bulk/", {"do": "replay", "activation": [mine.pk]}).status_code
        == 403
    )


def test_poll_answers_only_when_something_changed(
    as_member: Client, workflow: Workflow, connection: Connection
) -> None:
    activation = make_activation(workflow, connection, state="running")
    digest = as_member.get(LIST).context["list"].digest
    assert as_member.get(LIST, headers=POLL | {"X-Seen": digest}).status_code == 204
    Activation.objects.update(state="succeeded")
    answer = as_member.get(LIST, headers=POLL | {"X-Seen": digest})
    assert (answer.status_code, b"<html" in answer.content, b"Succeeded" in answer.content) == (
        200,
        False,
        True,
    )
    detail = f"{LIST}{activation.pk}/"
    seen = as_member.get(detail).context["story"].digest
    assert as_member.get(detail, headers=POLL | {"X-Seen": seen}).status_code == 204


def test_page_polls_only_while_it_may_change(
    as_member: Client, workflow: Workflow, connection: Connection
) -> None:
    for _ in range(60):
        make_activation(workflow, connection, state="succeeded")
    older = as_member.get(LIST).context["list"].older
    assert b"data-poll" in as_member.get(LIST).content
    assert b"data-poll" not in as_member.get(f"{LIST}?before={older}").content
    Activation.objects.filter(pk__lt=older).update(state="running")
    assert b"data-poll" in as_member.get(f"{LIST}?before={older}").content


def test_parked_lane_says_until_when(
    as_member: Client, workflow: Workflow, connection: Connection
) -> None:
    activation = make_activation(workflow, connection)
    until = timezone.now() + timedelta(minutes=7)
    Lane.objects.create(
        connection=connection, parked_until=until, parked_reason="60 calls a minute are used up."
    )
    words = f"limit until {timezone.localtime(until):%H:%M}"
    assert words in as_member.get(LIST).content.decode()
    assert words in as_member.get(f"{LIST}{activation.pk}/").content.decode()


def test_failures_are_grouped_by_cause_and_replayed_together(
    as_member: Client, workflow: Workflow, connection: Connection, foreign_workspace: Workspace
) -> None:
    failed = {"state": "failed", "position": 0}
    for number in range(3):
        make_activation(
            workflow, connection, **failed, error_code="not-found", error=f"No {number}."
        )
    make_activation(workflow, connection, **failed, error_code="invalid", error="Wrong.")
    abroad = make_connection(foreign_workspace)
    make_activation(
        make_workflow(foreign_workspace.agency, abroad), abroad, **failed, error_code="not-found"
    )
    causes = as_member.get(f"{LIST}?state=failed").context["causes"]
    assert [(cause.code, cause.count, cause.error) for cause in causes.shown] == [
        ("not-found", 3, "No 2."),
        ("invalid", 1, "Wrong."),
    ]
    address = f"{LIST}bulk/?{causes.shown[0].query}"
    answer = as_member.post(
        address, sure(as_member.post(address, {"do": "replay", "all": "on"})), follow=True
    )
    assert [str(message) for message in answer.context["messages"]] == [
        "3 activations replayed from the step they ended at."
    ]
    left = Activation.objects.filter(state="failed").values_list("error_code", "agency__slug")
    assert sorted(left) == [("invalid", "northwind"), ("not-found", "southwind")]


def sure(asked: Any) -> dict[str, Any]:
    """Return the fields that the confirmation page's form sends."""
    lines = asked.context["outlook"].lines
    ids = [line.activation.pk for line in lines]
    for pk in ids:
        assert f'name="activation" value="{pk}"' in asked.content.decode()
    return {"do": asked.context["verb"], "sure": "on", "activation": ids}


def test_replay_by_cause_takes_exactly_what_was_counted(
    as_member: Client,
    workflow: Workflow,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A card of the newest failures says how many; older ones with the same cause are left alone."""
    monkeypatch.setattr(activation_queries, "CAUSES_OF", 2)
    failed = {"state": "failed", "error_code": "not-found", "position": 0}
    old, *counted = [
        make_activation(workflow, connection, subject=f"INV-{n}", **failed) for n in range(3)
    ]
    (cause,) = as_member.get(f"{LIST}?state=failed").context["causes"].shown
    later = make_activation(workflow, connection, **failed)
    address = f"{LIST}bulk/?{cause.query}"
    asked = as_member.post(address, {"do": "replay", "all": "on"})
    assert Activation.objects.filter(state="failed").count() == 4  # nothing before somebody is sure
    assert "Replay 2 activations?" in asked.content.decode()
    assert "The oldest is INV-1 of Harbour Café" in asked.content.decode()
    posted = sure(asked)
    assert posted["activation"] == [one.pk for one in counted]
    as_member.post(address, posted)
    left = Activation.objects.filter(state="failed").order_by("pk").values_list("pk", flat=True)
    assert list(left) == [old.pk, later.pk]


def test_more_than_one_go_takes_is_said(
    as_member: Client, workflow: Workflow, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation_queries, "BULK", 2)
    for number in range(3):
        make_activation(
            workflow, connection, state="failed", error_code="gone", subject=f"INV-{number}"
        )
    (cause,) = as_member.get(f"{LIST}?state=failed").context["causes"].shown
    asked = as_member.post(f"{LIST}bulk/?{cause.query}", {"do": "replay", "all": "on"})
    assert "In all 3 fit; these are the oldest 2 of them" in asked.content.decode()


def test_page_that_asks_names_what_would_be_sent_and_written(
    as_member: Client, agency: Agency, connection: Connection
) -> None:
    steps = [
        {"name": "mail", "action": "core/send-email", "input": {}},
        {"name": "pay", "action": "xero/create-payment", "input": {}},
        {"name": "note", "action": "core/note", "input": {}},
    ]
    chase = make_workflow(agency, connection, steps=steps)
    ids = [make_activation(chase, connection, state="failed", position=at).pk for at in (0, 1, 2)]
    asked = as_member.post(f"{LIST}bulk/", {"do": "replay", "activation": ids})
    outlook = asked.context["outlook"]
    assert (outlook.writing, outlook.sending) == (2, 1)
    assert [(len(line.writes), len(line.sends)) for line in outlook.lines] == [
        (1, 1),
        (1, 0),
        (0, 0),
    ]
    text = asked.content.decode()
    assert "2 may write to the books, 1 may send something" in text
    assert "Send an e-mail (1)" in text


def test_figures_of_the_list_follow_its_filter_and_name_the_workflow(
    as_member: Client, workflow: Workflow, connection: Connection
) -> None:
    other = make_workflow(connection.agency, connection, name="Other flow")
    for _ in range(2):
        make_activation(workflow, connection, state="failed", error_code="a", subject="INV-1")
    make_activation(other, connection, state="failed", error_code="b", subject="BILL-1")
    for place in (LIST, "/northwind/harbour-cafe/activations/"):
        page = as_member.get(f"{place}?workflow={other.pk}&state=failed")
        assert counts(as_member, f"{place}?workflow={other.pk}")["Failed"] == "1"
        assert [cause.code for cause in page.context["causes"].shown] == ["b"]
        assert "Other flow" in page.content.decode().split("<table")[0]
        assert counts(as_member, f"{place}?q=inv")["Failed"] == "2"
        found = as_member.get(f"{place}?q=inv&state=failed").context["causes"].shown
        assert [(cause.code, cause.count) for cause in found] == [("a", 2)]


def test_causes_that_are_not_all_say_so(
    as_member: Client, workflow: Workflow, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        make_activation(workflow, connection, state="failed", error_code=f"code-{number}")
    page = as_member.get(f"{LIST}?state=failed")
    assert (len(page.context["causes"].shown), page.context["causes"].total) == (8, 10)
    assert "the 8 most frequent of 10 causes" in page.content.decode()
    every = as_member.get(f"{LIST}?state=failed&every_cause=on")
    assert (len(every.context["causes"].shown), "most frequent" in every.content.decode()) == (
        10,
        False,
    )


def test_bulk_does_what_it_can_and_says_what_not(
    as_member: Client, workflow: Workflow, connection: Connection, foreign_workspace: Workspace
) -> None:
    abroad = make_connection(foreign_workspace)
    foreign = make_activation(make_workflow(foreign_workspace.agency, abroad), abroad)
    waiting, done = (
        make_activation(workflow, connection),
        make_activation(workflow, connection, state="succeeded"),
    )
    ids = [waiting.pk, done.pk, foreign.pk, "x", "9" * 30]
    answer = as_member.post(f"{LIST}bulk/", {"do": "cancel", "activation": ids}, follow=True)
    assert [str(message) for message in answer.context["messages"]] == [
        "1 activation cancelled.",
        "1 activation left as they were: It has ended already.",
    ]
    states = {a.pk: a.state for a in Activation.objects.all()}
    assert states == {waiting.pk: "cancelled", done.pk: "succeeded", foreign.pk: "ready"}


@pytest.mark.parametrize(
    "posted", [{}, {"do": "delete"}, {"do": "replay"}, {"do": "replay", "activation": ["\x00"]}]
)
def test_bulk_without_sense_changes_nothing(
    as_member: Client, workflow: Workflow, connection: Connection, posted: dict[str, Any]
) -> None:
    make_activation(workflow, connection, state="failed")
    answer = as_member.post(f"{LIST}bulk/?state=failed", posted)
    assert answer["Location"] == f"{LIST}?state=failed"
    assert Activation.objects.get().state == "failed"


def test_detail_opens_the_failure_and_says_what_to_do(
    as_member: Client, workflow: Workflow, connection: Connection
) -> None:
    activation = make_activation(
        workflow,
        connection,
        state="failed",
        position=1,
        subject="INV-0042",
        error_code="expression",
        error="large: Oh.",
    )
    step_run(
        activation,
        0,
        "done",
        output={"Total": Decimal("1200.50"), "Contact": {"Name": "Ridgeway"}},
        wave=40,
    )
    step_run(activation, 1, "failed", error_code="expression", error="Oh.", provider_status=400)
    answer = as_member.get(f"{LIST}{activation.pk}/")
    story = answer.context["story"]
    assert [(step.name, step.state, step.is_open) for step in story.steps] == [
        ("invoice", "done", False),
        ("large", "failed", True),
        ("note", "ahead", False),
    ]
    assert dict(story.steps[0].output_fields) == {"Contact.Name": "Ridgeway", "Total": "1200.50"}
    page = answer.content.decode()
    for words in (
        "one turn served 40",
        "Cannot help until the workflow is changed.",
        "Replay from step 2",
        "are not repeated",
    ):
        assert page.count(words) >= 1, words


def test_replay_button_runs_it_again_from_there(
    as_member: Client, workflow: Workflow, connection: Connection
) -> None:
    activation = make_activation(workflow, connection, state="failed", position=1, error="Oh.")
    step_run(activation, 0, "done", output={"Total": 1})
    step_run(activation, 1, "failed")
    as_member.post(f"{LIST}{activation.pk}/replay/", {"position": 1})
    activation.refresh_from_db()
    assert (activation.state, activation.position, activation.outputs) == (
        "ready",
        1,
        {"invoice": {"Total": 1}},
    )
    story = as_member.get(f"{LIST}{activation.pk}/").context["story"]
    assert [step.state for step in story.steps] == ["done", "waiting", "ahead"]
    assert story.steps[1].last.outcome == "failed"  # of the round before, still told


@pytest.mark.parametrize(
    "posted",
    [{"position": "x"}, {"position": -1}, {"position": 2}, {"on": "newest"}, {"position": 10**20}],
)
def test_replay_without_sense_changes_nothing(
    as_member: Client, workflow: Workflow, connection: Connection, posted: dict[str, Any]
) -> None:
    activation = make_activation(workflow, connection, state="failed", position=0)
    as_member.post(f"{LIST}{activation.pk}/replay/", posted)
    activation.refresh_from_db()
    assert activation.state == "failed"


def test_hostile_values_are_shown_as_text(
    as_member: Client, workflow: Workflow, connection: Connection
) -> None:
    nasty = "<script>alert(1)</script>"
    activation = make_activation(workflow, connection, state="succeeded", position=3, subject=nasty)
    step_run(activation, 0, "done", output={nasty: [nasty, None, True, {}], "long": "x" * 100_000})
    for path in (LIST, f"{LIST}{activation.pk}/"):
        page = as_member.get(path).content.decode()
        assert (nasty in page, "&lt;script&gt;" in page) == (False, True)


RECORD = "d3b1c1f4-6d0e-4a53-9f0c-2f7d5f1b2a10"


@pytest.mark.parametrize(
    "told", [{"type": "ACCPAY"}, {"type": "UPDATE"}], ids=["told", "looked up"]
)
def test_open_in_xero_finds_bills(
    workflow: Workflow, workspace: Workspace, told: dict[str, str]
) -> None:
    known = make_connection(workspace, details={"short_code": "!ab"})
    bill = {
        "InvoiceID": RECORD,
        "Type": "ACCPAY",
        "Status": "AUTHORISED",
        "Contact": {"ContactID": RECORD},
    }
    upsert.store_records(known, "invoices", [bill | {"UpdatedDateUTC": "2026-11-23T09:00:00"}])
    activation = make_activation(workflow, known, trigger_data={"resource_id": RECORD} | told)
    assert (
        f"/AccountsPayable/View.aspx%3FInvoiceID%3D{RECORD}"
        in timeline.build_story(activation).document_href
    )


def test_open_in_xero_picks_the_organisation(
    as_member: Client, workflow: Workflow, workspace: Workspace
) -> None:
    known = make_connection(workspace, details={"short_code": "!ab&c"})
    activation = make_activation(workflow, known, trigger_data={"resource_id": RECORD})
    href = timeline.build_story(activation).document_href
    assert parse_qs(urlsplit(href).query) == {
        "shortcode": ["!ab&c"],
        "redirecturl": [f"/AccountsReceivable/View.aspx?InvoiceID={RECORD}"],
    }
    unknown = make_activation(
        workflow, make_connection(workspace, details={}), trigger_data={"resource_id": RECORD}
    )
    assert timeline.build_story(unknown).document_href == ""


def test_deep_values_are_named_as_expressions_name_them() -> None:
    value = {"Lines": [{"Amount": Decimal("1.10")}], "Paid": False, "Empty": {}, "None": None}
    assert list(timeline.flatten_values(value, "steps.invoice")) == [
        ("steps.invoice.Lines[0].Amount", "1.10"),
        ("steps.invoice.Paid", "false"),
        ("steps.invoice.Empty", "{}"),
        ("steps.invoice.None", "–"),
    ]
    assert len(list(timeline.flatten_values(list(range(1000))))) == timeline.MAX_FIELDS + 1


def test_search_with_too_many_matches_says_so(
    as_member: Client, workflow: Workflow, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation_search, "SEARCHED", 2)
    for number in (3, 1, 2):
        make_activation(workflow, connection, subject=f"INV-{number}")
    answer = as_member.get(f"{LIST}?q=inv")
    assert [row.activation.subject for row in answer.context["list"].rows] == ["INV-2", "INV-3"]
    assert "Very many subjects begin like this." in answer.content.decode()
    assert "Very many" not in as_member.get(f"{LIST}?q=inv-1").content.decode()


@pytest.mark.parametrize("place", [LIST, "/northwind/harbour-cafe/activations/"])
def test_every_combination_of_filters_leaves_what_it_says(
    as_member: Client, workflow: Workflow, connection: Connection, elsewhere: Connection, place: str
) -> None:
    """Each has its own way through the table (search.py); none may lose or add one."""
    other = make_workflow(connection.agency, connection, elsewhere, name="Other")
    for number in range(40):
        state, code = (
            ("failed", "invalid"),
            ("failed", "gave-up"),
            ("ready", "waiting"),
            ("stopped", ""),
        )[number % 4]
        make_activation(
            workflow if number % 3 else other,
            connection if number % 5 else elsewhere,
            state=state,
            error_code=code,
            subject=f"{'INV' if number % 2 else 'BILL'}-{number:02}",
        )
    everything = list(Activation.objects.order_by("-id"))
    middle = everything[20].pk
    for state, of, cause, text, bound in product(
        ("", "failed", "waiting", "stopped", "unknown"),
        (None, workflow, other),
        ("", "invalid"),
        ("", "inv-"),
        ("", "before", "after"),
    ):
        found = [
            one.pk
            for one in everything
            if (place == LIST or one.connection_id == connection.pk)
            and state in {"", "waiting" if one.state == "ready" else one.state}
            and (of is None or one.workflow_id == of.pk)
            and (not cause or (one.state, one.error_code) == ("failed", cause))
            and one.subject.startswith(text.upper())
            and (not bound or (one.pk < middle if bound == "before" else one.pk > middle))
        ]
        query = {
            "state": state,
            "workflow": of.pk if of else "",
            "cause": cause,
            "q": text,
            bound or "x": middle,
        }
        page = as_member.get(place, query).context["list"]
        assert [row.activation.pk for row in page.rows] == found, query


def test_stranger_to_the_workflow_finds_nothing_by_its_number(
    as_stranger: Client, foreign_agency: Agency, workflow: Workflow, connection: Connection
) -> None:
    make_activation(workflow, connection, subject="INV-0042")
    for query in (f"workflow={workflow.pk}", f"workflow={workflow.pk}&state=waiting", "q=INV"):
        assert subjects(as_stranger, f"/{foreign_agency.slug}/activations/?{query}") == []
