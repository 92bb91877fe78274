"""The builder over plain HTTP, as a browser without JavaScript uses it."""

import re
from typing import Any

import pytest
from django.test import Client

from connections.integrations import registry
from connections.models import Connection
from taskjuice.workspaces.models import Agency, User, Workspace
from tests.conftest import SignIn
from tests.factories import make_connection, make_workflow
from workflows.engine import lifecycle
from workflows.models import Version, Workflow

pytestmark = pytest.mark.django_db

NEW = "/northwind/workflows/new/"


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Harbour Café Limited")


@pytest.fixture
def draft(as_member: Client, connection: Connection) -> Workflow:
    """Create a workflow from the template, not yet published."""
    as_member.post(NEW, {"template": "large-invoice", "connections": [connection.pk], "do": "save"})
    return Workflow.objects.get()


def fields(workflow: Workflow, **changes: Any) -> dict[str, Any]:
    """Return the fields that the builder posts for the template's draft."""
    version = workflow.versions.latest("number")
    posted = {
        "stamp": f"{version.number}.{'published' if version.published_at else version.revision}",
        "name": workflow.name,
        "connections": list(workflow.applications.values_list("connection_id", flat=True)),
        "trigger": "xero/invoice-event",
        "trigger-change": "any",
        "step": ["s1", "s2"],
        "step-s1-action": "xero/get-invoice",
        "called-s1": "invoice",
        "step-s1-invoice_id": "{{ trigger.resource_id }}",
        "step-s2-action": "core/set-values",
        "called-s2": "note",
        "step-s2-values-0-name": "note",
        "step-s2-values-0-value": "{{ steps.invoice.Total }}",
        "step-s2-values-1-name": "",
        "step-s2-values-1-value": "",
    }
    return posted | changes


def edit(workflow: Workflow) -> str:
    return f"/northwind/workflows/{workflow.pk}/edit/"


def test_template_is_created_and_published_in_two_posts(
    as_member: Client, connection: Connection
) -> None:
    made = as_member.post(
        NEW, {"template": "large-invoice", "connections": [connection.pk], "do": "save"}
    )
    workflow = Workflow.objects.get()
    assert (made.status_code, made["Location"]) == (302, edit(workflow))
    published = as_member.post(f"/northwind/workflows/{workflow.pk}/publish/")
    assert (published.status_code, published["Location"]) == (
        302,
        f"/northwind/workflows/{workflow.pk}/",
    )
    version = workflow.versions.get()
    assert (version.live, version.number, version.trigger) == (True, 1, "xero/invoice-event")
    assert [step["action"] for step in version.steps] == [
        "xero/get-invoice",
        "core/filter",
        "core/set-values",
    ]
    workflow.refresh_from_db()
    assert (workflow.state, workflow.name) == ("published", "Note large invoices")


def test_pages_render(as_member: Client, draft: Workflow) -> None:
    for path in (
        "/northwind/workflows/",
        NEW,
        edit(draft),
        f"/northwind/workflows/{draft.pk}/",
        NEW + "?template=large-invoice",
    ):
        assert as_member.get(path).status_code == 200
    as_member.post(f"/northwind/workflows/{draft.pk}/publish/")
    for path in ("/northwind/workflows/", NEW, edit(draft), f"/northwind/workflows/{draft.pk}/"):
        assert as_member.get(path).status_code == 200
    assert as_member.get("/northwind/activations/").status_code == 200


def test_template_is_created_and_published_in_one_post(
    as_member: Client, connection: Connection
) -> None:
    as_member.post(
        NEW, {"template": "large-invoice", "connections": [connection.pk], "do": "publish"}
    )
    assert Version.objects.get().live


def test_template_is_published_at_the_clients_own_pages(
    as_member: Client, connection: Connection, workspace: Workspace
) -> None:
    place = "/northwind/harbour-cafe/workflows/"
    made = as_member.post(
        f"{place}new/", {"template": "large-invoice", "connections": [connection.pk]}
    )
    workflow = Workflow.objects.get()
    assert made["Location"] == f"{place}{workflow.pk}/edit/"
    assert as_member.post(f"{place}{workflow.pk}/publish/")["Location"] == f"{place}{workflow.pk}/"


def test_workflow_without_organisation_is_edited_where_it_was_made(
    as_member: Client, connection: Connection
) -> None:
    place = "/northwind/harbour-cafe/workflows/"
    made = as_member.post(f"{place}new/", {"template": "large-invoice"})
    assert made["Location"] == f"{place}{Workflow.objects.get().pk}/edit/"
    assert as_member.get(made["Location"]).status_code == 200


def builder_of(response: Any) -> Any:
    return response.context["builder"]


def shape(response: Any) -> list[tuple[str, str]]:
    return [(card.handle, card.step.action) for card in builder_of(response).cards]


def test_buttons_change_the_page_and_keep_what_was_typed(
    as_member: Client, draft: Workflow
) -> None:
    typed = fields(draft, name="Typed 🍊 name", **{"step-s1-invoice_id": "half typed {{ trig"})
    added = as_member.post(edit(draft), typed | {"do": "add:core/filter"})
    assert shape(added) == [
        ("s1", "xero/get-invoice"),
        ("s2", "core/set-values"),
        ("s3", "core/filter"),
    ]
    assert added.context["name"] == "Typed 🍊 name"
    assert builder_of(added).cards[0].step.input == {"invoice_id": "half typed {{ trig"}
    moved = as_member.post(edit(draft), typed | {"do": "up:s2"})
    assert shape(moved) == [("s2", "core/set-values"), ("s1", "xero/get-invoice")]
    stays = as_member.post(edit(draft), typed | {"do": "down:s2"})
    assert shape(stays) == [("s1", "xero/get-invoice"), ("s2", "core/set-values")]
    removed = as_member.post(edit(draft), typed | {"do": "remove:s1"})
    assert shape(removed) == [("s2", "core/set-values")]
    assert draft.versions.get().steps[1]["action"] == "core/filter"  # nothing of it was saved


def test_duplicated_step_stands_below_under_a_name_of_its_own(
    as_member: Client, draft: Workflow
) -> None:
    typed = fields(draft, **{"step-s1-options-for_each": "{{ trigger.type }}"})
    copied = as_member.post(edit(draft), typed | {"do": "copy:s1"})
    assert shape(copied) == [
        ("s1", "xero/get-invoice"),
        ("s3", "xero/get-invoice"),
        ("s2", "core/set-values"),
    ]
    first, second = (card.step for card in builder_of(copied).cards[:2])
    assert (first.name, second.name) == ("invoice", "invoice_2")
    assert (first.input, first.options) == (second.input, second.options)
    full = {"step": [f"n{n}" for n in range(50)]}
    assert len(shape(as_member.post(edit(draft), fields(draft) | full | {"do": "copy:n1"}))) == 50


def test_rows_are_added_and_dropped(as_member: Client, draft: Workflow) -> None:
    typed = fields(draft) | {"step-s2-values-1-name": "second", "step-s2-values-1-value": "2"}
    grown = as_member.post(edit(draft), typed | {"do": "again"})
    second = {"name": "second", "value": "2"}
    assert builder_of(grown).cards[1].step.input == {
        "values": [{"name": "note", "value": "{{ steps.invoice.Total }}"}, second]
    }
    assert b'name="step-s2-values-2-name"' in grown.content
    dropped = as_member.post(edit(draft), typed | {"do": "drop:step-s2-values-0"})
    assert builder_of(dropped).cards[1].step.input == {"values": [second]}


def test_new_step_reads_the_record_that_started_the_workflow(as_member: Client) -> None:
    page = as_member.post(NEW, {"trigger": "xero/invoice-event", "do": "add:xero/get-invoice"})
    step = builder_of(page).cards[0].step
    assert (step.name, step.input) == ("invoice", {"invoice_id": "{{ trigger.resource_id }}"})
    assert Workflow.objects.count() == 0


def test_two_steps_of_one_kind_get_names_of_their_own(as_member: Client, draft: Workflow) -> None:
    page = as_member.post(edit(draft), fields(draft) | {"do": "add:xero/get-invoice"})
    assert [card.step.name for card in builder_of(page).cards] == ["invoice", "note", "invoice_2"]


def test_saved_draft_keeps_every_kind_of_text(as_member: Client, draft: Workflow) -> None:
    text = 'Zoë said "5 < 6" 🍊 \\u0000 \x00end' + "x" * 5000
    saved = as_member.post(
        edit(draft), fields(draft, **{"step-s2-values-0-value": text}) | {"do": "save"}
    )
    assert saved.status_code == 302
    rows = [{"name": "note", "value": text.replace("\x00", "")}]
    assert draft.versions.get().steps[1]["input"] == {"values": rows}
    page = as_member.get(edit(draft))
    assert builder_of(page).draft.steps[1].input["values"] == rows


def test_values_keep_the_order_they_were_typed_in(as_member: Client, draft: Workflow) -> None:
    typed = fields(draft)
    for number, name in enumerate(["zebra", "a", "longer_name", "b"]):
        typed |= {
            f"step-s2-values-{number}-name": name,
            f"step-s2-values-{number}-value": str(number),
        }
    as_member.post(edit(draft), typed | {"do": "save"})
    shown = as_member.get(edit(draft)).content.decode()
    names = re.findall(r'name="step-s2-values-\d+-name"[^>]* value="(\w*)"', shown)
    assert names == ["zebra", "a", "longer_name", "b", ""]


def test_problems_are_listed_with_links_to_their_cards(as_member: Client, draft: Workflow) -> None:
    wrong = fields(draft, **{"step-s2-values-0-value": "{{ steps.gone.Total }}"})
    answer = as_member.post(edit(draft), wrong | {"do": "publish"}, follow=True)
    assert answer.redirect_chain == [(f"{edit(draft)}#problems", 302)]
    assert [(p.where, p.field) for p in builder_of(answer).problems] == [(1, "values")]
    assert (
        '<a href="#card-s2">Step 2, Set values. Values: No earlier step is called “gone”.</a>'
        in answer.content.decode()
    )
    assert not draft.versions.get().live


def test_published_version_stays_while_its_draft_is_edited(
    as_member: Client, draft: Workflow
) -> None:
    as_member.post(f"/northwind/workflows/{draft.pk}/publish/")
    as_member.post(edit(draft), fields(draft) | {"do": "save"})
    assert list(draft.versions.order_by("number").values_list("number", "live")) == [
        (1, True),
        (2, False),
    ]
    as_member.post(edit(draft), fields(draft) | {"do": "publish"})
    assert list(draft.versions.order_by("number").values_list("number", "live")) == [
        (1, False),
        (2, True),
    ]


def test_builder_asks_before_it_publishes_at_several_clients(
    as_member: Client,
    draft: Workflow,
    connection: Connection,
    other_workspace: Workspace,
    owner: User,
) -> None:
    """The clients are ticked on the page before the first version; from then on they are out of
    sight.
    """
    asks = "takes effect at once at"
    other = make_connection(other_workspace)
    lifecycle.set_connections(
        workflow=draft, connections=[connection, other], within=[connection, other], by=owner
    )
    assert asks not in as_member.get(edit(draft)).content.decode()
    as_member.post(f"/northwind/workflows/{draft.pk}/publish/")
    page = as_member.get(edit(draft)).content.decode()
    assert f"Version 2 {asks} 2 organisations of 2 clients." in page
    assert "Publish at 2 organisations" in page
    as_member.post(edit(draft), fields(draft) | {"do": "save"})
    assert (
        f"Version 2 {asks} 2 organisations of 2 clients."
        in as_member.get(edit(draft)).content.decode()
    )
    lifecycle.set_connections(
        workflow=draft, connections=[connection], within=[connection, other], by=owner
    )
    assert asks not in as_member.get(edit(draft)).content.decode()


def test_second_editor_keeps_what_they_typed_and_decides(
    as_member: Client, sign_in: SignIn, admin: User, draft: Workflow
) -> None:
    mine, theirs = (
        fields(draft, name="Mine"),
        fields(draft, name="Theirs", **{"called-s1": "looked_up"}),
    )
    assert sign_in(admin).post(edit(draft), mine | {"do": "save"}).status_code == 302
    told = as_member.post(edit(draft), theirs | {"do": "save"})
    assert told.status_code == 409
    assert "Ada Admin changed this workflow" in told.content.decode()
    assert (told.context["name"], builder_of(told).cards[0].step.name) == ("Theirs", "looked_up")
    draft.refresh_from_db()
    assert (draft.name, draft.versions.get().steps[0]["name"]) == ("Mine", "invoice")
    taken = as_member.post(
        edit(draft), theirs | {"do": "save", "stamp": told.context["stale_stamp"]}
    )
    assert taken.status_code == 302
    draft.refresh_from_db()
    assert (draft.name, draft.versions.get().steps[0]["name"]) == ("Theirs", "looked_up")


@pytest.mark.parametrize(
    "stamp",
    ["", "1", "0.0", "1.published", "9.9", "'; DROP TABLE", "\x00", "1.999999999999999999999"],
)
def test_wrong_stamp_saves_nothing(as_member: Client, draft: Workflow, stamp: str) -> None:
    before = draft.versions.values().get()
    answer = as_member.post(edit(draft), fields(draft, stamp=stamp, name="Late") | {"do": "save"})
    assert answer.status_code == 409
    draft.refresh_from_db()
    assert (draft.name, draft.versions.values().get()) == ("Note large invoices", before)


def test_foreign_and_unknown_connections_are_refused(
    as_member: Client, connection: Connection, foreign_workspace: Workspace
) -> None:
    foreign = make_connection(foreign_workspace)
    for pk in (foreign.pk, 10**30, -1, "x", "1; DROP"):
        answer = as_member.post(
            NEW, {"template": "large-invoice", "connections": [connection.pk, pk], "do": "save"}
        )
        assert answer.status_code == 422
    assert Workflow.objects.count() == 0


def test_client_of_another_workspace_is_no_choice_in_this_one(
    as_member: Client, draft: Workflow, other_workspace: Workspace
) -> None:
    other = make_connection(other_workspace)
    place = f"/northwind/harbour-cafe/workflows/{draft.pk}/edit/"
    assert (
        as_member.post(place, fields(draft, connections=[other.pk]) | {"do": "save"}).status_code
        == 422
    )


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 101, "nul\x00byte"], ids=["empty", "blank", "too long", "nul"]
)
def test_wrong_names_are_told_and_nothing_is_lost(
    as_member: Client, draft: Workflow, name: str
) -> None:
    answer = as_member.post(edit(draft), fields(draft, name=name) | {"do": "save"})
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {"name"}
    assert shape(answer) == [("s1", "xero/get-invoice"), ("s2", "core/set-values")]


def test_taken_name_is_told(as_member: Client, draft: Workflow, agency: Agency) -> None:
    make_workflow(agency, name="Taken")
    answer = as_member.post(edit(draft), fields(draft, name="Taken") | {"do": "save"})
    assert answer.status_code == 422
    assert answer.context["form"].errors["name"] == ["The agency has a workflow of this name."]
    assert draft.versions.get().revision == 0


def test_hostile_fields_break_nothing(as_member: Client, draft: Workflow) -> None:
    hostile = fields(
        draft,
        trigger="no/such",
        step=["s1", "s2", "../../etc", "s1", "<b>", "s" * 99, "unsent"],
        **{
            "step-s1-action": "no/such-action",
            "step-s2-action": "core/filter",
            "step-s2-condition-0-field": "x",
            "step-s2-condition-0-operator": "no-such",
            "step-s2-condition-0-value": "{{ ''",
            "step-s2-condition-match": "most",
        },
    )
    assert as_member.post(edit(draft), hostile | {"do": "again"}).status_code == 200
    assert as_member.post(edit(draft), hostile | {"do": "publish"}).status_code == 302
    assert not draft.versions.get().live
    assert as_member.get(edit(draft)).status_code == 200
    assert as_member.get(f"/northwind/workflows/{draft.pk}/").status_code == 200


def test_more_steps_than_allowed_are_a_problem(as_member: Client, draft: Workflow) -> None:
    many = {"step": [f"n{n}" for n in range(80)]}
    as_member.post(edit(draft), fields(draft) | many | {"do": "save"})
    assert "A workflow has at most 50 steps." in as_member.get(edit(draft)).content.decode()


def test_what_the_page_does_not_show_of_a_step_is_kept(as_member: Client, draft: Workflow) -> None:
    steps = [
        {
            "name": "invoice",
            "action": "xero/get-invoice",
            "input": {},
            "only_if": {"match": "all", "rows": []},
        }
    ]
    draft.versions.update(steps=steps)
    as_member.post(edit(draft), fields(draft) | {"do": "save"})
    assert draft.versions.get().steps[0]["only_if"] == {"match": "all", "rows": []}


def test_htmx_gets_the_page_again_or_is_sent_on(as_member: Client, draft: Workflow) -> None:
    wrong = as_member.post(edit(draft), fields(draft, name=""), headers={"HX-Request": "true"})
    assert wrong.status_code == 200  # htmx shows nothing else
    right = as_member.post(edit(draft), fields(draft), headers={"HX-Request": "true"})
    assert (right.status_code, right["HX-Redirect"]) == (200, edit(draft))


def test_archived_workflow_is_not_edited(as_member: Client, draft: Workflow) -> None:
    as_member.post(f"/northwind/workflows/{draft.pk}/archive/")
    assert as_member.get(edit(draft))["Location"] == f"/northwind/workflows/{draft.pk}/"
    assert (
        as_member.post(edit(draft), fields(draft, name="No"))["Location"]
        == f"/northwind/workflows/{draft.pk}/"
    )
    draft.refresh_from_db()
    assert draft.name == "Note large invoices"


def test_an_actions_own_name_is_not_the_steps(as_member: Client, draft: Workflow) -> None:
    contact = {
        "step-s2-action": "xero/create-contact",
        "called-s2": "contact",
        "step-s2-name": "Tui Studio",
    }
    as_member.post(edit(draft), fields(draft, **contact) | {"do": "save"})
    stored = draft.versions.get().steps[1]
    assert (stored["name"], stored["input"]["name"]) == ("contact", "Tui Studio")
    page = as_member.get(edit(draft)).content.decode()
    assert (
        page.count('name="step-s2-name" value="Tui Studio"') == page.count('name="called-s2"') == 1
    )


def test_no_action_has_a_field_that_every_card_has() -> None:
    names = {name for action in registry.actions.values() for name in action.form.base_fields}
    assert names & {"action", "called", "options", "guard"} == set()
