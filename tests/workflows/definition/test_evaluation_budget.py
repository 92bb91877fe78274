"""The expressions of a step share one budget, and every typed text ends in a message at its
field.
"""

import time
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from connections.models import Connection
from taskjuice import exact_json
from taskjuice.workspaces.models import Workspace
from tests.factories import make_activation, make_connection, make_workflow
from workflows.definition import conditions
from workflows.definition.drafts import Draft, Step
from workflows.definition.evaluation_budget import evaluation_budget
from workflows.definition.expressions import ExpressionError, evaluate_text, fill_values
from workflows.definition.validation import list_problems
from workflows.engine import lanes, runner
from workflows.models import Activation, StepRun, Workflow
from xero.fields import ExactAmountField

NEW = "/northwind/workflows/new/"
LONG = {"steps": {"get": {"body": ["7"] * 200_000, "text": "x" * 2_000_000}}}


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Harbour Café Limited")


@pytest.mark.parametrize(
    "one",
    [
        "{{ steps.get.body | sum }}",
        "{{ steps.get.body | join: ',' | size }}",
        "{{ steps.get.text | upcase | size }}",
        "{{ steps.get.body | map: 'a' | size }}",
    ],
)
def test_many_expressions_over_a_long_list_are_refused_as_a_whole(one: str) -> None:
    began = time.thread_time()
    with evaluation_budget(), pytest.raises(ExpressionError):
        fill_values([one * 20] * 40, LONG)
    assert time.thread_time() - began < 4


def test_one_look_at_a_long_list_is_fine() -> None:
    assert evaluate_text("{{ steps.get.body | sum }}", LONG) == Decimal(1_400_000)


@pytest.mark.parametrize(
    ("field", "operator", "value"),
    [
        ("{{ rows }}", "contains", "{{ rows }}"),
        ("{{ rows }}", "in-list", "{{ rows }}"),
        ("{{ rows | join: '' }}", "equals", "x"),
    ],
)
def test_conditions_spend_from_the_same_budget(field: str, operator: str, value: str) -> None:
    row = {"field": field, "operator": operator, "value": value}
    began = time.thread_time()
    with pytest.raises(ExpressionError):
        conditions.check_condition(
            {"match": "all", "rows": [row] * 20}, {"rows": ["a" * 300] * 90_000}
        )
    assert time.thread_time() - began < 4


def test_what_is_wrong_with_an_expression_is_not_taken_for_emptiness() -> None:
    row = {"field": "{{ 1 | divided_by: 0 }}", "operator": "is-empty", "value": ""}
    with pytest.raises(ExpressionError, match="Division by zero"):
        conditions.check_condition({"rows": [row]}, {})
    row["field"] = "{{ steps.gone.Name }}"
    assert conditions.check_condition({"rows": [row]}, {"steps": {}})[0]


SUMS = "; ".join(["{{ trigger.rows | sum }}"] * 200)


@pytest.mark.django_db
def test_lane_outlives_steps_that_ask_for_too_much(connection: Connection) -> None:
    """Each fails at its own field; the lane's turn stays short and its lease is not lost."""
    note = {"name": "note", "action": "core/set-values", "input": {"values": {"x": SUMS}}}
    stop = {
        "name": "stop",
        "action": "core/filter",
        "input": {
            "condition": {
                "match": "all",
                "rows": [{"field": SUMS, "operator": "equals", "value": "1"}],
            }
        },
    }
    for step in (note, stop):
        workflow = make_workflow(connection.agency, connection, steps=[step])
        for _ in range(2):
            make_activation(workflow, connection, trigger_data={"rows": ["1"] * 60_000})
    lanes.wake_lanes([connection.pk])
    for _ in range(8):
        runner.run_lane(connection.pk)
    ended = Activation.objects.values_list("state", "error_code", "error")
    assert [(state, code, "Work on a shorter list" in error) for state, code, error in ended] == [
        ("failed", "expression", True)
    ] * 4
    assert StepRun.objects.count() == 4


@pytest.mark.django_db
def test_checking_a_draft_is_bounded_as_a_whole() -> None:
    text = "{{ trigger.type | append: 'a' }}" * 600
    steps = [
        Step(f"s{n}", "core/set-values", {"values": {f"v{m}": text for m in range(50)}})
        for n in range(50)
    ]
    began = time.thread_time()
    found = list_problems(Draft("xero/invoice-event", {"change": "any"}, steps))
    assert time.thread_time() - began < 20
    assert any("to work out" in one.message or "in all" in one.message for one in found)


# -- numbers, JSON, ids
# ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ '1e30' | round: 2 }}", Decimal("1e30")),
        ("{{ '1e39' | modulo: 7 }}", Decimal(10**39 % 7)),
        ("{{ '12345678901234567890123456789' | times: 3 }}", Decimal(37037036703703703670370370367)),
        ("{{ '123456789012345678901234567890.56' | plus: 0.01 }}", Decimal("123456789012345678901234567890.57")),
    ],
)  # fmt: skip
def test_large_numbers_are_exact(text: str, value: Decimal) -> None:
    assert evaluate_text(text, {}) == value


@pytest.mark.parametrize(
    "text",
    [
        "{{ '1e99999999999999999999' | plus: 1 }}",
        "{{ '1e999999999' | abs }}",
        "{{ 'NaN' | times: 2 }}",
        "{{ 'sNaN' | round }}",
        "{{ '1e40' | times: '1e40' }}",
        "{{ '2026-01-01' | date: x }}",
        "{{ y | date: '%d' }}",
        "{{ '2026-01-01' | add_days: '1e40' }}",
        "{{ 1 | round: '1e40' }}",
        "{{ 'a' | truncate: '-1e40' | plus: 1 }}",
    ],
)
def test_numbers_and_days_that_are_none_are_said(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate_text(text, {"x": "%d\ud800", "y": "9" * 5_000})


@pytest.mark.parametrize(
    "text",
    [
        "[1e99999999999999999999]",
        "[-1e-99999999999999999999]",
        "[" + "9" * 5000 + "]",
        "[" * 100_000,
    ],
)
def test_reader_of_exact_json_knows_one_refusal(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        exact_json.loads(text)
    with pytest.raises(ValueError, match=r"."):
        exact_json.loads(text.encode())


@pytest.mark.parametrize(
    "typed", ["1" * 1_100_000, Decimal("1e999999999"), 10**400, Decimal("sNaN")]
)
def test_amount_beyond_all_bounds_is_said_at_its_field(typed: Any) -> None:
    form_field = ExactAmountField(label="Amount")
    with pytest.raises(ValidationError):
        form_field.clean(typed)


FILE = (
    '{"taskjuice": "workflow", "format": 1, "name": "x", "trigger": {"key": "xero/invoice-event",'
    ' "settings": {}}, "steps": [{"name": "a", "action": "core/note", "input": {"text": %s}}]}'
)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "number",
    [
        "1e999999999",
        "-1e999999999",
        "1e-999999999",
        "1e99999999999999999999",
        "9" * 5000,
        "0e999999999",
    ],
)
def test_import_of_a_number_that_is_none_is_refused(as_member: Client, number: str) -> None:
    given = SimpleUploadedFile("w.json", (FILE % number).encode())
    answer = as_member.post("/northwind/workflows/import/", {"file": given})
    assert (answer.status_code, Workflow.objects.count()) == (422, 0)


@pytest.mark.django_db
@pytest.mark.parametrize("body", ["[1e99999999999999999999]", "[" * 5000, "[" + "9" * 5000 + "]"])
def test_stored_body_that_is_no_json_is_said_on_its_page(
    as_member: Client, connection: Connection, body: str
) -> None:
    url = "https://api.example.com/in"
    call = {
        "name": "call",
        "action": "core/http-request",
        "input": {"method": "POST", "url": url, "json": body},
    }
    workflow = make_workflow(connection.agency, connection, steps=[call])
    page = as_member.get(f"/northwind/workflows/{workflow.pk}/edit/")
    assert page.status_code == 200
    assert "This is not JSON." in page.content.decode()
    detail = as_member.get(f"/northwind/workflows/{workflow.pk}/")
    assert detail.status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text", ["[" * 5000, "[" + "9" * 5000 + "]", "[1e99999999999999999999]", "no"]
)
@pytest.mark.parametrize(
    ("action", "name"),
    [("core/filter", "condition"), ("core/set-values", "values"), ("core/http-request", "headers")],
)
def test_rows_that_are_no_json_are_said_on_their_page(
    as_member: Client, connection: Connection, action: str, name: str, text: str
) -> None:
    step = {"name": "a", "action": action, "input": {name: text}}
    workflow = make_workflow(connection.agency, connection, steps=[step])
    assert as_member.get(f"/northwind/workflows/{workflow.pk}/edit/").status_code == 200
    assert as_member.get(f"/northwind/workflows/{workflow.pk}/").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("pk", ["9" * 5000, "9" * 30, "٣", "-1"])
def test_id_that_is_none_is_not_ticked(as_member: Client, connection: Connection, pk: str) -> None:
    data = {"name": "x", "connections": [pk], "trigger": "xero/invoice-event"}
    assert as_member.post(NEW, data | {"do": "again"}).status_code == 200
    assert as_member.post(NEW, data | {"do": "save"}).status_code == 422


@pytest.mark.django_db
@pytest.mark.parametrize(
    "term", ["1e999999999", "1e-999999999", "1e99999999999999999999", "-1e30", "sNaN"]
)
def test_search_for_an_amount_beyond_all_bounds_finds_nothing(
    as_member: Client, connection: Connection, term: str
) -> None:
    for page in ("invoices", "payments"):
        assert as_member.get(f"/northwind/harbour-cafe/{page}/", {"q": term}).status_code == 200
