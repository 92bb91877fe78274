"""Differences between two versions, in words."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection, make_workflow
from workflows.definition.diffs import FieldChange, StepChange, list_changes
from workflows.definition.drafts import Draft, Step
from workflows.models import Version, Workflow

LOOK_UP = Step("invoice", "xero/get-invoice", {"invoice_id": "{{ trigger.resource_id }}"})
MAIL = Step("mail", "core/send-email", {"to": "a@b.example", "subject": "Hello", "body": "Text"})
WAIT = Step("wait", "core/delay", {"length": "3", "unit": "days", "until": ""})


def draft(*steps: Step, trigger: str = "xero/invoice-paid", **settings: Any) -> Draft:
    return Draft(trigger, settings, steps)


def kinds(found: Sequence[StepChange]) -> list[tuple[str, int, str]]:
    return [(change.kind, change.number, change.name) for change in found]


def test_equal_versions_differ_in_nothing() -> None:
    assert list_changes(draft(LOOK_UP, MAIL), draft(LOOK_UP, MAIL)) == []


def test_added_step_says_what_it_does() -> None:
    (added,) = list_changes(draft(LOOK_UP), draft(LOOK_UP, MAIL))
    assert (added.kind, added.number, added.title) == ("added", 2, "Send an e-mail")
    assert [(field.label, field.after) for field in added.fields] == [
        ("To", "a@b.example"),
        ("Subject", "Hello"),
        ("Text", "Text"),
    ]


def test_removed_step_comes_last_with_its_old_number() -> None:
    found = list_changes(draft(LOOK_UP, MAIL), draft(MAIL, WAIT))
    assert kinds(found) == [("added", 2, "wait"), ("removed", 1, "invoice")]


@pytest.mark.parametrize(
    ("order", "moved"),
    [
        ((MAIL, LOOK_UP, WAIT), [("moved", 2, "invoice")]),
        ((LOOK_UP, WAIT, MAIL), [("moved", 3, "mail")]),
        ((WAIT, LOOK_UP, MAIL), [("moved", 1, "wait")]),
        ((WAIT, MAIL, LOOK_UP), [("moved", 1, "wait"), ("moved", 2, "mail")]),
    ],
)
def test_as_few_steps_as_can_be_are_called_moved(
    order: Sequence[Step], moved: list[tuple[str, int, str]]
) -> None:
    found = kinds(list_changes(draft(LOOK_UP, MAIL, WAIT), draft(*order)))
    assert len(found) == len(moved)
    assert {kind for kind, *_ in found} == {"moved"}


def test_changed_field_says_from_and_to() -> None:
    other = Step("mail", "core/send-email", {"to": "", "subject": "Hello", "body": "Other"})
    (change,) = list_changes(draft(MAIL), draft(other))
    assert (change.kind, change.number, change.name) == ("changed", 1, "mail")
    assert change.fields == [
        FieldChange("Text", "Text", "Other"),
        FieldChange("To", "a@b.example", "nothing"),
    ]


def test_condition_list_failure_and_limits_are_told() -> None:
    condition = {
        "match": "all",
        "rows": [{"field": "{{ trigger.total }}", "operator": "greater", "value": "5"}],
    }
    options = {
        "only_if": condition,
        "for_each": "{{ steps.invoice.LineItems }}",
        "on_error": {"then": "continue"},
        "guard": {"per_hour": "9"},
    }
    other = Step(MAIL.name, MAIL.action, MAIL.input, options)
    (change,) = list_changes(draft(MAIL), draft(other))
    assert [(field.label, field.before, field.after) for field in change.fields] == [
        ("Only if", "nothing", "{{ trigger.total }} is greater than 5"),
        ("Once for each element of", "nothing", "{{ steps.invoice.LineItems }}"),
        ("If it fails", "nothing", "go on with the next step"),
        ("Writes an hour", "nothing", "at most 9"),
    ]


def test_renamed_step_is_the_same_step() -> None:
    renamed = Step("letter", MAIL.action, MAIL.input)
    (change,) = list_changes(draft(MAIL), draft(renamed))
    assert (change.kind, change.name, change.note) == ("renamed", "letter", "it was called mail")


def test_another_action_under_the_same_name_is_another_step() -> None:
    found = list_changes(draft(MAIL), draft(Step("mail", "core/delay", WAIT.input)))
    assert kinds(found) == [("added", 1, "mail"), ("removed", 1, "mail")]


def test_what_starts_it_is_told() -> None:
    before, after = (
        draft(MAIL, documents="ACCREC"),
        draft(MAIL, trigger="xero/invoice-overdue", days=7),
    )
    (change,) = list_changes(before, after)
    assert (change.number, change.title) == (0, "Starts when")
    assert change.fields == [
        FieldChange("What happens", "An invoice or bill is paid", "An invoice or bill is overdue"),
        FieldChange("For", "sales invoices", "sales invoices and bills"),
        FieldChange("Days after its due date", "nothing", "7"),
    ]


# -- the page
# ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace)


@pytest.fixture
def workflow(connection: Connection) -> Workflow:
    """Create a workflow where v1 is live and v2 is a draft that adds a step."""
    found = make_workflow(connection.agency, connection, steps=[LOOK_UP.as_stored()])
    add_version(found, 2, LOOK_UP, MAIL)
    return found


def add_version(workflow: Workflow, number: int, *steps: Step, **fields: Any) -> Version:
    stored = [step.as_stored() for step in steps]
    return Version.objects.create(
        workflow=workflow, number=number, trigger="xero/invoice-event", steps=stored, **fields
    )


def page(workflow: Workflow, query: str = "") -> str:
    return f"/northwind/workflows/{workflow.pk}/versions/{query}"


@pytest.mark.django_db
def test_page_compares_the_draft_with_what_is_live(as_member: Client, workflow: Workflow) -> None:
    context = as_member.get(page(workflow)).context
    assert (context["before"].number, context["after"].number) == (1, 2)
    assert kinds(context["changes"]) == [("added", 2, "mail")]


@pytest.mark.django_db
def test_any_two_versions_are_compared(as_member: Client, workflow: Workflow) -> None:
    context = as_member.get(page(workflow, "?before=2&after=1")).context
    assert kinds(context["changes"]) == [("removed", 2, "mail")]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query", ["?before=x&after=-1", "?before=99&after=9999999999999999999999", "?after=2&before=2"]
)
def test_nonsense_in_the_address_is_answered_with_a_page(
    as_member: Client, workflow: Workflow, query: str
) -> None:
    assert as_member.get(page(workflow, query)).status_code == 200


@pytest.mark.django_db
def test_page_runs_the_same_queries_for_2_versions_and_30(
    as_member: Client, workflow: Workflow, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    as_member.get(page(workflow))  # what only a first visit asks
    with CaptureQueriesContext(database) as few:
        as_member.get(page(workflow))
    published = workflow.versions.get(number=1).published_at
    for number in range(3, 31):
        add_version(workflow, number, LOOK_UP, published_at=published)
    with django_assert_num_queries(len(few)):
        as_member.get(page(workflow))
