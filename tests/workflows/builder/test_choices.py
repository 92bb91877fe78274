"""Choices and rows in the builder: colleagues, secret values, lines of an invoice."""

import json
import re
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from connections.integrations import registry
from connections.models import Connection
from taskjuice.workspaces.models import Agency, User
from workflows.builder.choices import Colleague
from workflows.builder.widgets import AddressesInput
from workflows.definition import import_export
from workflows.definition.descriptions import step_in_words
from workflows.definition.diffs import list_changes
from workflows.definition.drafts import Draft, Step
from workflows.definition.validation import list_problems
from workflows.engine.plans import build_plan
from workflows.models import Workflow

pytestmark = pytest.mark.django_db

NEW = "/northwind/workflows/new/"


def posted(action: str, **given: Any) -> dict[str, Any]:
    typed = {
        "name": "Chosen",
        "trigger": "core/manual",
        "step": ["s1"],
        "called-s1": "one",
        "do": "again",
    }
    return (
        typed
        | {"step-s1-action": action}
        | {f"step-s1-{name}": value for name, value in given.items()}
    )


def shown(client: Client, action: str, **given: Any) -> tuple[str, Any]:
    """Return the page drawn again, and its value for the step."""
    page = client.post(NEW, posted(action, **given))
    return page.content.decode(), page.context["builder"].cards[0].step.input


# -- colleagues --


def ticked(page: str, field: str) -> list[str]:
    return re.findall(rf'name="step-s1-{field}-pick" value="([^"]*)"[^>]* checked', page)


@pytest.mark.parametrize(
    ("action", "has_others"), [("core/send-email", True), ("core/approval", False)]
)
def test_colleagues_are_ticked(
    as_member: Client, agency: Agency, admin: User, stranger: User, action: str, has_others: bool
) -> None:
    page, given = shown(as_member, action, **{"to-pick": [admin.email, "member@northwind.example"]})
    assert given["to"] == f"{admin.email}, member@northwind.example"
    assert ticked(page, "to") == [admin.email, "member@northwind.example"]
    offered = re.findall(r'name="step-s1-to-pick" value="([^"]*)"', page)
    assert offered == [admin.email, "member@northwind.example", "owner@northwind.example"]
    assert ('name="step-s1-to"' in page) is has_others


def test_others_stay_as_typed_beside_them(as_member: Client, admin: User) -> None:
    others = "a@b.example, {{ trigger.to | replace: ',', ';' }}"
    page, given = shown(as_member, "core/send-email", **{"to": others, "to-pick": [admin.email]})
    assert given["to"] == f"{admin.email}, {others}"
    assert ticked(page, "to") == [admin.email]
    assert "a@b.example, {{ trigger.to | replace: &#x27;,&#x27;, &#x27;;&#x27; }}" in page


def test_typed_address_of_a_colleague_becomes_a_tick(as_member: Client, admin: User) -> None:
    page, _ = shown(as_member, "core/send-email", to=f"{admin.email.upper()}, a@b.example")
    assert ticked(page, "to") == [admin.email]
    assert re.search(r'name="step-s1-to" value="a@b.example"', page)


def test_stranger_in_a_task_is_shown_so_that_it_can_be_taken_away() -> None:
    widget = AddressesInput([Colleague("Max", "max@a.example")], only_colleagues=True)
    assert 'value="gone@a.example"' in widget.render(
        "to", "gone@a.example, max@a.example", {"id": "x"}
    )
    assert 'type="text"' not in widget.render("to", "max@a.example", {"id": "x"})
    assert widget.value_from_datadict(
        QueryDict("to-pick=MAX@a.example&to-pick=max@a.example"), {}, "to"
    ) == ("max@a.example")
    assert widget.value_from_datadict(QueryDict("to-pick=&x=1"), {}, "to") == ""
    assert widget.value_from_datadict(QueryDict("x=1"), {}, "to") is None


# -- rows of an invoice --

LINES = [
    {
        "description": "{{ trigger.client }}",
        "quantity": "2",
        "unit_amount": "10.50",
        "account_code": "200",
    },
    {"item_code": "W", "tracking": "Region: North"},
]


def rows(lines: list[dict[str, str]]) -> dict[str, str]:
    names = registry.actions["xero/create-invoice"].form.base_fields["lines"].row_form.base_fields  # type: ignore[attr-defined]
    return {
        f"lines-{number}-{name}": line.get(name, "")
        for number, line in enumerate([*lines, {}])
        for name in names
    }


def test_lines_are_edited_as_rows(as_member: Client) -> None:
    page, given = shown(as_member, "xero/create-invoice", contact_name="A", **rows(LINES))
    assert given["lines"] == LINES
    assert page.count('aria-label="Line ') == 3  # and a blank one
    assert re.search(r'name="step-s1-lines-1-tracking" [^>]*value="Region: North"', page)
    dropped = as_member.post(
        NEW, posted("xero/create-invoice", **rows(LINES)) | {"do": "drop:step-s1-lines-0"}
    )
    assert dropped.context["builder"].cards[0].step.input["lines"] == LINES[1:]


def test_lines_given_as_one_value_stay_so_until_it_is_emptied(as_member: Client) -> None:
    page, given = shown(as_member, "xero/create-invoice", lines="{{ steps.made.lines }}")
    assert given["lines"] == "{{ steps.made.lines }}"
    assert 'value="{{ steps.made.lines }}"' in page
    page, given = shown(as_member, "xero/create-invoice", lines="")
    assert given["lines"] == []
    assert 'name="step-s1-lines-0-description"' in page


def invoice(*lines: dict[str, str]) -> Step:
    return Step("bill", "xero/create-invoice", {"contact_name": "A", "lines": list(lines)})


def messages(*lines: dict[str, str]) -> list[tuple[str, str]]:
    found = list_problems(Draft("core/manual", {}, [invoice(*lines)]))
    return [(problem.field, problem.message) for problem in found]


def test_cells_with_expressions_are_judged_when_it_runs() -> None:
    assert messages(*LINES) == []
    assert messages({"description": "x", "unit_amount": "{{ trigger.time }}"}) == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            [{"description": "x", "quantity": "many"}],
            "Line 1, Quantity: Give a number, such as 1234.50.",
        ),
        (
            [{"description": "{{ trigger.client }}", "quantity": "many"}],
            "Line 1, Quantity: Give a number, such as 1234.50.",
        ),
        (
            [{"quantity": "1", "account_code": "200"}],
            "Line 1, Description: A line needs a description or an item.",
        ),
        (
            [{"description": "{{ steps.gone.x }}"}],
            "No earlier step is called “gone”.",
        ),
        ([], "This field is required."),
    ],
)
def test_wrong_cells_are_said_at_the_lines(lines: list[dict[str, str]], message: str) -> None:
    assert messages(*lines) == [("lines", message)]


def test_lines_are_filled_and_cleaned_when_it_runs() -> None:
    shown_, data = build_plan(invoice(*LINES).as_stored()).prepare(
        {"trigger": {"client": "Harbour"}, "steps": {}}
    )
    assert shown_["lines"][0]["description"] == "Harbour"
    assert [(line["description"], str(line["unit_amount"])) for line in data["lines"]] == [
        ("Harbour", "10.50"),
        ("", "None"),
    ]


def test_lines_are_told_compared_exported_and_imported() -> None:
    before, after = (
        Draft("core/manual", {}, [invoice(*LINES)]),
        Draft("core/manual", {}, [invoice(LINES[0])]),
    )
    assert step_in_words(before.steps[0])[1:] == [
        "Line 1: Description {{ trigger.client }}, Quantity 2, Unit price 10.50, Account 200",
        "Line 2: Item W, Tracking Region: North",
    ]
    ((field,),) = [change.fields for change in list_changes(before, after)]
    assert (field.label, field.before, field.after) == (
        "Line 2",
        "Item W, Tracking Region: North",
        "nothing",
    )
    assert import_export.read_workflow(import_export.write_workflow("Mine", before)) == (
        "Mine",
        before,
    )
    for wrong in ({"a": "b"}, [["x"]], [{"description": ["x"]}]):
        document = json.loads(import_export.write_workflow("Mine", before))
        document["steps"][0]["input"]["lines"] = wrong
        with pytest.raises(import_export.NotReadable):
            import_export.read_workflow(json.dumps(document).encode())


def test_lines_are_stored_as_rows(as_member: Client, connection: Connection) -> None:
    typed = posted("xero/create-invoice", contact_name="A", **rows(LINES)) | {"do": "save"}
    as_member.post(NEW, typed | {"connections": [connection.pk]})
    assert Workflow.objects.get().versions.get().steps[0]["input"]["lines"] == LINES
