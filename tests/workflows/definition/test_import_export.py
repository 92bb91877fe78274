"""Export and import of workflows: the same workflow returns, and unsafe files are refused."""

import json
from copy import deepcopy
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from connections.models import Connection
from taskjuice.workspaces.models import Agency, Workspace
from tests.factories import make_connection, make_workflow
from workflows.builder.choices import BuilderChoices
from workflows.builder.page import Builder
from workflows.definition import import_export
from workflows.definition.descriptions import step_in_words
from workflows.definition.drafts import Draft
from workflows.definition.templates import STARTING_POINTS
from workflows.definition.validation import list_problems
from workflows.models import Workflow

pytestmark = pytest.mark.django_db

IMPORT = "/northwind/workflows/import/"
OPTIONS = {
    "only_if": {
        "match": "any",
        "rows": [{"field": "{{ trigger.type }}", "operator": "equals", "value": "ü"}],
    },
    "for_each": "{{ steps.invoice.LineItems }}",
    "on_error": {"then": "continue", "times": 2, "seconds": 30},
}


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace)


def content(**changes: Any) -> dict[str, Any]:
    step = {"name": "note", "action": "core/set-values", "input": {"values": {"a": "{{ item.x }}"}}}
    found: dict[str, Any] = {
        "taskjuice": "workflow",
        "format": 1,
        "name": "From afar",
        "trigger": {"key": "xero/invoice-event", "settings": {"change": "any"}},
        "steps": [
            {
                "name": "invoice",
                "action": "xero/get-invoice",
                "input": {"invoice_id": "{{ trigger.resource_id }}"},
            },
            step | deepcopy(OPTIONS),
        ],
    }
    return found | changes


def upload(client: Client, data: bytes) -> Any:
    return client.post(IMPORT, {"file": SimpleUploadedFile("w.json", data)})


@pytest.mark.parametrize("key", STARTING_POINTS)
def test_workflow_comes_back_as_it_went(key: str) -> None:
    draft = STARTING_POINTS[key].draft_for("me@example.com")
    name, back = import_export.read_workflow(import_export.write_workflow("Some name", draft))
    texts = {setting: str(value) for setting, value in draft.settings.items()}
    assert (name, back) == ("Some name", Draft(draft.trigger, texts, list(draft.steps)))


def test_exported_file_is_imported_as_a_draft_with_its_options(
    as_member: Client, agency: Agency, connection: Connection
) -> None:
    source = make_workflow(agency, connection, steps=content()["steps"], name="Ünïque name!")
    exported = as_member.get(f"/northwind/workflows/{source.pk}/export/")
    assert exported["Content-Disposition"] == 'attachment; filename="n-que-name.json"'
    answer = upload(as_member, exported.content)
    made = Workflow.objects.latest("pk")
    assert (answer.status_code, answer["Location"]) == (
        302,
        f"/northwind/workflows/{made.pk}/edit/",
    )
    assert (made.name, made.state, made.applications.count()) == ("Ünïque name! (2)", "draft", 0)
    assert made.versions.get().steps == content()["steps"]


def test_published_settings_are_exported_and_taken(
    as_member: Client, connection: Connection
) -> None:
    point = {"template": "large-bill", "connections": [connection.pk], "do": "publish"}
    as_member.post("/northwind/workflows/new/", point)
    exported = as_member.get(f"/northwind/workflows/{Workflow.objects.get().pk}/export/")
    upload(as_member, exported.content)
    settings = Workflow.objects.latest("pk").versions.get().trigger_settings
    assert settings == {"documents": "ACCPAY", "over": "5000"}


def test_what_is_not_known_here_is_imported_and_told_on_its_card(as_member: Client) -> None:
    strange = content(
        steps=[{"name": "x", "action": "other/thing", "input": {"deep": {"a": ["b"]}}}]
    )
    assert upload(as_member, json.dumps(strange).encode()).status_code == 302
    page = as_member.get(f"/northwind/workflows/{Workflow.objects.get().pk}/edit/")
    assert [p.message for p in page.context["builder"].problems] == [
        "This version of TaskJuice has no action other/thing.",
        "Choose at least one organisation.",
    ]


def broken(path: list[Any], value: Any) -> bytes:
    found: Any = content()
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(found).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b'{"taskjuice": "workflow", "format": NaN}',
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b" " * (import_export.LARGEST + 1),
        json.dumps({"name": "no workflow"}).encode(),
        broken(["format"], 2),
        broken(["format"], "1"),
        broken(["name"], ""),
        broken(["name"], "x" * 101),
        broken(["name"], "nul\x00"),
        broken(["name"], ["list"]),
        broken(["trigger"], None),
        broken(["trigger", "key"], 7),
        broken(["trigger", "settings"], []),
        broken(["trigger", "settings", "change"], {"a": "b"}),
        broken(["trigger", "settings", "days"], float("nan")),
        broken(["trigger", "settings", "days"], 10**400),
        broken(["steps"], {}),
        broken(["steps"], [{}] * 51),
        broken(["steps", 0], "step"),
        broken(["steps", 0, "name"], 1),
        broken(["steps", 0, "input"], "x"),
        broken(["steps", 0, "input", "invoice_id"], ["a"]),
        broken(["steps", 0, "secret"], "x"),
        broken(["steps", 1, "input", "values"], {"a": ["x"]}),
        broken(["steps", 1, "input", "values"], [{"name": "a", "value": {}}]),
        broken(
            ["steps", 1],
            {"name": "a", "action": "core/filter", "input": {"condition": {"match": []}}},
        ),
        broken(["steps", 1, "only_if"], "x"),
        broken(["steps", 1, "only_if", "rows"], "x"),
        broken(["steps", 1, "only_if", "rows", 0], "x"),
        broken(["steps", 1, "only_if", "rows", 0, "field"], {"a": 1}),
        broken(["steps", 1, "for_each"], ["x"]),
        broken(["steps", 1, "on_error"], "continue"),
        broken(["steps", 1, "on_error", "times"], [3]),
    ],
)
def test_wrong_files_are_refused_with_a_reason(as_member: Client, data: bytes) -> None:
    answer = upload(as_member, data)
    assert answer.status_code == 422
    assert len(answer.context["form"].errors["file"]) == 1
    assert Workflow.objects.count() == 0


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["{{", "{{ item }}", "[]"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rows", "match", "field", "operator", "value", "values", "a"]), inner
        )
    ),
    max_leaves=6,
)
STEPS = st.fixed_dictionaries(
    {
        "name": st.just("a"),
        "action": st.sampled_from(
            [
                "core/filter",
                "core/set-values",
                "core/delay",
                "xero/create-invoice",
                "xero/get-invoice",
            ]
        ),
        "input": st.dictionaries(
            st.sampled_from(
                [
                    "condition",
                    "values",
                    "until",
                    "length",
                    "invoice_id",
                    "date",
                    "lines",
                    "line_items",
                ]
            ),
            ANYTHING,
        ),
    },
    optional={"only_if": ANYTHING, "for_each": ANYTHING, "on_error": ANYTHING},
)


@given(steps=st.lists(STEPS, max_size=2))
def test_whatever_a_file_says_is_refused_or_can_be_shown(steps: list[Any]) -> None:
    try:
        _, draft = import_export.read_workflow(json.dumps(content(steps=steps)).encode())
    except import_export.NotReadable:
        return
    builder = Builder.of(draft, BuilderChoices(), list_problems(draft))
    for card in builder.cards:
        assert [str(card.form), str(card.options_form), str(step_in_words(card.step))] != []
    assert builder.sources != []
