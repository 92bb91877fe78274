"""Options of a step, edited on its card over plain HTTP."""

from typing import Any

import pytest
from django.test import Client

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from workflows.definition import step_options
from workflows.definition.drafts import Draft, Step
from workflows.definition.validation import list_problems
from workflows.models import Workflow

pytestmark = pytest.mark.django_db

NEW = "/northwind/workflows/new/"
LINES = "{{ steps.invoice.LineItems }}"


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Harbour Café Limited")


def posted(connection: Connection, **changes: Any) -> dict[str, Any]:
    """Return the builder's fields as a browser sends them: a look-up and a note."""
    blank = {
        "only_if-match": "all",
        "only_if-0-field": "",
        "only_if-0-operator": "equals",
        "only_if-0-value": "",
    }
    options = blank | {"for_each": "", "then": "stop", "times": "", "seconds": ""}
    found: dict[str, Any] = {
        "name": "With options",
        "connections": [connection.pk],
        "trigger": "xero/invoice-event",
        "step": ["s1", "s2"],
        "step-s1-action": "xero/get-invoice",
        "called-s1": "invoice",
        "step-s1-invoice_id": "{{ trigger.resource_id }}",
        "step-s2-action": "core/set-values",
        "called-s2": "note",
        "step-s2-values-0-name": "line",
        "step-s2-values-0-value": "text",
    }
    found |= {
        f"step-{handle}-options-{name}": value
        for handle in ("s1", "s2")
        for name, value in options.items()
    }
    return found | {name.replace("__", "-options-"): value for name, value in changes.items()}


def saved(client: Client, connection: Connection, **changes: Any) -> list[dict[str, Any]]:
    client.post(NEW, posted(connection, **changes) | {"do": "save"})
    return list(Workflow.objects.get().versions.get().steps)


FULL = {
    "step-s2__only_if-match": "any",
    "step-s2__only_if-0-field": "{{ steps.invoice.Total }}",
    "step-s2__only_if-0-operator": "greater",
    "step-s2__only_if-0-value": "1,000",
    "step-s2__for_each": LINES,
    "step-s2__then": "continue",
    "step-s2__times": "3",
    "step-s2__seconds": "30",
    "step-s2-values-0-value": "{{ item.Description }}",
}
STORED = {
    "only_if": {
        "match": "any",
        "rows": [{"field": "{{ steps.invoice.Total }}", "operator": "greater", "value": "1,000"}],
    },
    "for_each": LINES,
    "on_error": {"then": "continue", "times": 3, "seconds": 30},
}


def test_options_left_alone_are_not_stored(as_member: Client, connection: Connection) -> None:
    assert [step.keys() for step in saved(as_member, connection)] == [
        {"name", "action", "input"}
    ] * 2


def test_options_are_stored_shown_again_and_told_in_words(
    as_member: Client, connection: Connection
) -> None:
    step = saved(as_member, connection, **FULL)[1]
    assert {key: step[key] for key in step_options.KEYS} == STORED
    workflow = Workflow.objects.get()
    page = as_member.get(f"/northwind/workflows/{workflow.pk}/edit/")
    card = page.context["builder"].cards[1]
    assert step_options.as_stored(card.options_form.initial) == STORED
    assert page.context["builder"].problems == []
    detail = as_member.get(f"/northwind/workflows/{workflow.pk}/")
    assert detail.context["detail"].steps[1].lines == [
        "line = {{ item.Description }}",
        "Only if {{ steps.invoice.Total }} is greater than 1,000",
        "Once for each element of {{ steps.invoice.LineItems }}",
        "If it fails: try again 3 times, 30 seconds apart, then go on with the next step",
    ]


def test_options_survive_publishing_and_a_second_save(
    as_member: Client, connection: Connection
) -> None:
    before = saved(as_member, connection, **FULL)
    workflow = Workflow.objects.get()
    assert as_member.post(f"/northwind/workflows/{workflow.pk}/publish/").status_code == 302
    again = posted(connection, **FULL) | {"stamp": "1.published", "do": "save"}
    assert as_member.post(f"/northwind/workflows/{workflow.pk}/edit/", again).status_code == 302
    assert [version.steps for version in workflow.versions.all()] == [before]  # nothing new to save


def test_options_emptied_on_the_page_are_gone(as_member: Client, connection: Connection) -> None:
    saved(as_member, connection, **FULL)
    workflow = Workflow.objects.get()
    emptied = posted(connection) | {"stamp": "1.0", "do": "save"}
    assert as_member.post(f"/northwind/workflows/{workflow.pk}/edit/", emptied).status_code == 302
    assert workflow.versions.get().steps[1].keys() == {"name", "action", "input"}


def test_item_is_among_the_values_with_the_lists_first_element(
    as_member: Client, connection: Connection
) -> None:
    page = as_member.post(NEW, posted(connection, **FULL) | {"do": "again"})
    sources = page.context["builder"].sources
    assert [source.name for source in sources] == ["trigger", "invoice", "item", "note"]
    assert ("{{ item.Description }}", "Consulting") in sources[2].values
    assert sources[3].values == [("{{ steps.note[0].line }}", "{{ item.Description }}")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"only_if-0-field": "Total", "only_if-0-value": "1"}, "only_if"),
        ({"only_if-0-field": "{{ steps.gone.Total }}", "only_if-0-value": "1"}, "only_if"),
        ({"only_if-0-field": "{{ item.x }}", "only_if-0-value": "1", "for_each": LINES}, "only_if"),
        ({"only_if-0-field": "{{ trigger.type }}", "only_if-0-operator": "no-such"}, "only_if"),
        ({"for_each": "LineItems"}, "for_each"),
        ({"for_each": "{{ steps.note }}"}, "for_each"),
        ({"for_each": "{{ steps.invoice.LineItems | }}"}, "for_each"),
        ({"for_each": "{{ " + "a" * 3000 + " }}"}, "for_each"),
        ({"times": "many"}, "times"),
        ({"times": "5"}, "times"),
        ({"times": "-1"}, "times"),
        ({"times": "9" * 400}, "times"),
        ({"times": "2", "seconds": "0.5"}, "seconds"),
        ({"times": "2", "seconds": "1"}, "seconds"),
        ({"then": "explode"}, "then"),
    ],
)
def test_wrong_options_are_told_at_their_field(
    as_member: Client, connection: Connection, changes: dict[str, str], expected: str
) -> None:
    wrong = {f"step-s2__{name}": value for name, value in changes.items()}
    as_member.post(NEW, posted(connection, **wrong) | {"do": "publish"})
    workflow = Workflow.objects.get()
    assert workflow.state == "draft"
    card = as_member.get(f"/northwind/workflows/{workflow.pk}/edit/").context["builder"].cards[1]
    assert set(card.options_form.errors) == {expected}
    assert card.has_option_problems


@pytest.mark.parametrize("action", ["core/filter", "core/delay"])
def test_filter_and_wait_do_not_run_once_per_element(action: str) -> None:
    found = list_problems(
        Draft(
            "xero/invoice-event",
            steps=[Step("one", action, {}, {"for_each": "{{ trigger.type }}"})],
        )
    )
    assert step_options.WITHOUT_LIST[action] in [problem.message for problem in found]


def test_output_of_a_repeated_step_is_a_list() -> None:
    repeated = Step(
        "each", "core/set-values", {"values": {"a": "1"}}, {"for_each": "{{ trigger.type }}"}
    )
    good = Step(
        "good", "core/set-values", {"values": {"b": "{{ steps.each[0].a }}{{ steps.each.size }}"}}
    )
    bad = Step("bad", "core/set-values", {"values": {"b": "{{ steps.each.a }}"}})
    found = list_problems(Draft("xero/invoice-event", {"change": "any"}, [repeated, good, bad]))
    assert [(problem.where, problem.message) for problem in found] == [
        (2, "“each” gives a list: one output per element it ran for.")
    ]


def test_item_without_a_list_is_told() -> None:
    step = Step("one", "core/set-values", {"values": {"b": "{{ item.Name }}"}})
    found = list_problems(Draft("xero/invoice-event", {"change": "any"}, [step]))
    assert [problem.message for problem in found] == [
        "There is no “item” here: the step does not run once per element of a list."
    ]
