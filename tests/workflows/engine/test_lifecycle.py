"""Drafts, versions and states of workflows, without pages."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import InternalError, transaction
from django.db.utils import IntegrityError

from connections.models import Connection
from taskjuice.workspaces.models import Agency, AuditEntry, User, Workspace
from tests.factories import make_connection, make_event
from workflows.definition.drafts import Draft, Step
from workflows.definition.templates import LARGE_INVOICE
from workflows.definition.validation import Problem, list_problems
from workflows.engine import lifecycle
from workflows.engine.lifecycle import NotAllowedNow, NotPublishable, StaleDraft
from workflows.models import Version, Workflow
from workflows.triggers.intake import start_activations

pytestmark = pytest.mark.django_db

INVOICE = Step("invoice", "xero/get-invoice", {"invoice_id": "{{ trigger.resource_id }}"})


def note(text: str, name: str = "note") -> Step:
    return Step(name, "core/set-values", {"values": {"text": text}})


def unless(
    field: str, operator: str = "greater", amount: str = "1,000", name: str = "large"
) -> Step:
    row = {"field": field, "operator": operator, "value": amount}
    return Step(name, "core/filter", {"condition": {"match": "all", "rows": [row]}})


def draft(*steps: Step, trigger: str = "xero/invoice-event", change: str = "any") -> Draft:
    return Draft(trigger, {"change": change}, list(steps))


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace)


@pytest.fixture
def workflow(agency: Agency, connection: Connection, owner: User) -> Workflow:
    return lifecycle.create_workflow(
        agency=agency,
        name="Note",
        draft=draft(INVOICE, note("a")),
        connections=[connection],
        by=owner,
    )


def save(workflow: Workflow, by: User, *steps: Step, stamp: str = "", **settings: str) -> Version:
    stamp = stamp or lifecycle.current_content(workflow).stamp
    return lifecycle.save_draft(
        workflow=workflow, draft=draft(*steps, **settings), stamp=stamp, by=by
    )


def numbers(workflow: Workflow) -> list[tuple[int, bool, bool]]:
    """Return (number, live, published) of every version."""
    rows = workflow.versions.order_by("number").values_list("number", "live", "published_at")
    return [(number, live, at is not None) for number, live, at in rows]


def test_create_makes_a_draft_that_starts_nothing(
    workflow: Workflow, connection: Connection
) -> None:
    assert numbers(workflow) == [(1, False, False)]
    assert workflow.state == "draft"
    assert start_activations([make_event(connection)]) == {}


def test_create_refuses_a_name_that_is_taken(workflow: Workflow, owner: User) -> None:
    with pytest.raises(ValidationError, match="has a workflow of this name"):
        lifecycle.create_workflow(agency=workflow.agency, name="Note", draft=draft(), by=owner)
    assert Workflow.objects.count() == 1


def test_publish_makes_the_draft_live_and_events_start_it(
    workflow: Workflow, connection: Connection, owner: User
) -> None:
    lifecycle.publish_draft(workflow=workflow, by=owner)
    event = make_event(connection)
    assert numbers(workflow) == [(1, True, True)]
    assert start_activations([event]) == {event.pk: 1}


def test_publish_of_an_edit_replaces_what_was_live(
    workflow: Workflow, owner: User, member: User
) -> None:
    lifecycle.publish_draft(workflow=workflow, by=owner)
    assert save(workflow, member, INVOICE, note("b")).number == 2
    assert numbers(workflow) == [(1, True, True), (2, False, False)]
    lifecycle.publish_draft(workflow=workflow, by=member)
    assert numbers(workflow) == [(1, False, True), (2, True, True)]


def test_publish_stores_the_triggers_cleaned_settings(
    agency: Agency, connection: Connection, owner: User
) -> None:
    made = lifecycle.create_workflow(
        agency=agency,
        name="New ones",
        draft=draft(note("a"), change="CREATE"),
        connections=[connection],
        by=owner,
    )
    lifecycle.publish_draft(workflow=made, by=owner)
    created, updated = make_event(connection, type="CREATE"), make_event(connection, type="UPDATE")
    assert start_activations([created, updated]) == {created.pk: 1}


def test_publish_without_a_draft_is_refused(workflow: Workflow, owner: User) -> None:
    lifecycle.publish_draft(workflow=workflow, by=owner)
    with pytest.raises(NotAllowedNow):
        lifecycle.publish_draft(workflow=workflow, by=owner)


def test_publish_needs_a_connection_that_lives(
    workflow: Workflow, connection: Connection, owner: User
) -> None:
    Connection.objects.update(state="revoked")
    with pytest.raises(NotPublishable) as gone:
        lifecycle.publish_draft(workflow=workflow, by=owner)
    assert [problem.where for problem in gone.value.problems] == ["connections"]
    workflow.applications.all().delete()
    with pytest.raises(NotPublishable, match="at least one organisation"):
        lifecycle.publish_draft(workflow=workflow, by=owner)
    assert numbers(workflow) == [(1, False, False)]


@pytest.mark.parametrize(
    "change",
    [
        {"steps": []},
        {"trigger": "xero/contact-event"},
        {"trigger_settings": {"change": "CREATE"}},
        {"number": 7},
        {"published_at": None, "live": False},
    ],
)
def test_published_version_is_frozen_by_the_database(
    workflow: Workflow, owner: User, change: dict[str, Any]
) -> None:
    lifecycle.publish_draft(workflow=workflow, by=owner)
    before = workflow.versions.values().get()
    with pytest.raises((InternalError, IntegrityError), match="frozen"), transaction.atomic():
        workflow.versions.update(**change)
    assert workflow.versions.values().get() == before


def test_second_editor_is_told_and_overwrites_nothing(
    workflow: Workflow, owner: User, member: User
) -> None:
    both_began_with = lifecycle.current_content(workflow).stamp
    save(workflow, owner, INVOICE, note("mine"), stamp=both_began_with)
    with pytest.raises(StaleDraft) as told:
        save(workflow, member, INVOICE, note("theirs"), stamp=both_began_with)
    assert told.value.saved is not None
    assert told.value.saved.edited_by == owner
    assert lifecycle.current_content(workflow).draft == draft(INVOICE, note("mine"))


def test_editor_of_a_draft_published_meanwhile_is_told(
    workflow: Workflow, owner: User, member: User
) -> None:
    began_with = lifecycle.current_content(workflow).stamp
    lifecycle.publish_draft(workflow=workflow, by=owner)
    with pytest.raises(StaleDraft):
        save(workflow, member, note("late"), stamp=began_with)
    assert numbers(workflow) == [(1, True, True)]


def test_two_editors_fork_only_one_draft(workflow: Workflow, owner: User, member: User) -> None:
    lifecycle.publish_draft(workflow=workflow, by=owner)
    began_with = lifecycle.current_content(workflow).stamp
    save(workflow, owner, note("first"), stamp=began_with)
    with pytest.raises(StaleDraft):
        save(workflow, member, note("second"), stamp=began_with)
    assert numbers(workflow) == [(1, True, True), (2, False, False)]


def test_saving_without_a_change_makes_no_draft(workflow: Workflow, owner: User) -> None:
    lifecycle.publish_draft(workflow=workflow, by=owner)
    save(workflow, owner, INVOICE, note("a"))
    assert numbers(workflow) == [(1, True, True)]


def test_discard_goes_back_to_what_is_published(workflow: Workflow, owner: User) -> None:
    with pytest.raises(NotAllowedNow):
        lifecycle.discard_draft(workflow=workflow, by=owner)
    lifecycle.publish_draft(workflow=workflow, by=owner)
    save(workflow, owner, note("b"))
    lifecycle.discard_draft(workflow=workflow, by=owner)
    assert numbers(workflow) == [(1, True, True)]


def test_restore_makes_a_draft_like_the_old_version(workflow: Workflow, owner: User) -> None:
    lifecycle.publish_draft(workflow=workflow, by=owner)
    save(workflow, owner, note("b"))
    with pytest.raises(NotAllowedNow):
        lifecycle.restore_version(workflow=workflow, number=1, by=owner)
    lifecycle.publish_draft(workflow=workflow, by=owner)
    lifecycle.restore_version(workflow=workflow, number=1, by=owner)
    assert numbers(workflow) == [(1, False, True), (2, True, True), (3, False, False)]
    assert lifecycle.current_content(workflow).draft == draft(INVOICE, note("a"))


def test_paused_and_archived_workflows_start_nothing(
    workflow: Workflow, connection: Connection, owner: User
) -> None:
    lifecycle.publish_draft(workflow=workflow, by=owner)
    seen = []
    for verb in (
        lifecycle.pause_workflow,
        lifecycle.resume_workflow,
        lifecycle.archive_workflow,
        lifecycle.unarchive_workflow,
        lifecycle.resume_workflow,
    ):
        verb(workflow=workflow, by=owner)
        workflow.refresh_from_db()
        seen.append((workflow.state, sum(start_activations([make_event(connection)]).values())))
    assert seen == [
        ("paused", 0),
        ("published", 1),
        ("archived", 0),
        ("paused", 0),
        ("published", 1),
    ]


def test_archived_workflow_takes_no_changes(workflow: Workflow, owner: User) -> None:
    lifecycle.archive_workflow(workflow=workflow, by=owner)
    with pytest.raises(NotAllowedNow):
        save(workflow, owner, note("b"))
    with pytest.raises(NotAllowedNow):
        lifecycle.publish_draft(workflow=workflow, by=owner)


def test_apply_changes_only_what_it_was_shown(
    workflow: Workflow, connection: Connection, other_workspace: Workspace, owner: User
) -> None:
    elsewhere, added = make_connection(other_workspace), make_connection(connection.workspace)
    lifecycle.set_connections(
        workflow=workflow, connections=[elsewhere], within=[elsewhere], by=owner
    )
    here = [connection, added]
    lifecycle.set_connections(workflow=workflow, connections=[added], within=here, by=owner)
    listening = set(workflow.applications.values_list("connection_id", flat=True))
    assert listening == {elsewhere.pk, added.pk}


def test_every_change_is_in_the_audit_trail(workflow: Workflow, owner: User) -> None:
    lifecycle.publish_draft(workflow=workflow, by=owner)
    save(workflow, owner, note("b"))
    lifecycle.discard_draft(workflow=workflow, by=owner)
    lifecycle.rename_workflow(workflow=workflow, name="Noted", by=owner)
    for verb in (
        lifecycle.pause_workflow,
        lifecycle.pause_workflow,
        lifecycle.resume_workflow,
        lifecycle.archive_workflow,
        lifecycle.unarchive_workflow,
    ):
        verb(workflow=workflow, by=owner)
    verbs = AuditEntry.objects.filter(actor=owner).order_by("id").values_list("verb", flat=True)
    assert list(verbs) == [
        "workflow created",
        "workflow published",
        "workflow draft saved",
        "workflow draft discarded",
        "workflow renamed",
        "workflow paused",
        "workflow resumed",
        "workflow archived",
        "workflow brought back",
    ]


def test_starting_points_are_publishable() -> None:
    assert list_problems(LARGE_INVOICE.draft) == []


@pytest.mark.parametrize(
    ("content", "where", "words"),
    [
        (draft(), "trigger", "at least one step"),
        (draft(note("a"), trigger="xero/gone"), "trigger", "Choose what starts"),
        (
            draft(note("a"), change="DELETED"),
            "trigger",
            "DELETED is not one of the available choices",
        ),
        (draft(Step("x", "xero/gone", {})), 0, "has no action xero/gone"),
        (draft(Step("invoice", "xero/get-invoice", {"invoice_id": ""})), 0, "required"),
        (draft(Step("invoice", "xero/get-invoice", {"invoice_id": "INV-0042"})), 0, "no Xero ID"),
        (draft(note("{{ steps.invoice.Total }}")), 0, "No earlier step is called “invoice”"),
        (draft(note("{{ steps.invoice.Total }}"), INVOICE), 0, "does not come before this one"),
        (draft(note("{{ steps.note.text }}")), 0, "does not come before this one"),
        (draft(note("{{ steps }}")), 0, "Name the step"),
        (draft(note("{{ trigger.invoice }}")), 0, "there is no “invoice”"),
        (draft(note("{{ trigger }}")), 0, "name one"),
        (draft(note("{{ invoice.Total }}")), 0, "There is no “invoice” here"),
        (draft(note("{{ trigger.type ")), 0, "In “{{ trigger.type ”"),
        (draft(note("{{ trigger.type | nonsense }}")), 0, "nonsense"),
        (draft(note("{% if true %}x{% endif %}")), 0, "Tags"),
        (draft(note("a"), note("b")), 1, "called note already"),
        (draft(note("a", name="two words")), 0, "letters, digits and underscores"),
        (draft(note("a", name="")), 0, "letters, digits and underscores"),
        (draft(note("a"), note("{{ steps.note.other }}", name="b")), 1, "there is no “other”"),
        (draft(INVOICE, unless("Total")), 1, "only a word"),
        (
            draft(INVOICE, unless("{{ steps.invoice.Total }}", operator="larger")),
            1,
            "one of the operators",
        ),
        (
            draft(INVOICE, unless("{{ steps.invoice.Total }}", amount="")),
            1,
            "value to compare with",
        ),
        (draft(INVOICE, unless("")), 1, "needs a field"),
        (
            draft(Step("f", "core/filter", {"condition": {"match": "all", "rows": []}})),
            0,
            "between 1 and 20",
        ),
        (
            draft(Step("v", "core/set-values", {"values": {"1 x": "a"}})),
            0,
            "does not begin with a digit",
        ),
    ],
)
def test_publish_names_what_is_wrong_and_where(
    content: Draft, where: str | int, words: str
) -> None:
    (found,) = list_problems(content)
    assert isinstance(found, Problem)
    assert found.where == where
    assert words in found.message


@pytest.mark.parametrize(
    "text", ["{{ steps[trigger.type].x }}", "{{ steps['invoice'].Total }}", "{{ 'a' | upcase }}"]
)
def test_computed_references_are_left_to_the_run(text: str) -> None:
    assert list_problems(draft(INVOICE, note(text))) == []


def test_conditions_and_lists_of_a_step_are_checked_too() -> None:
    item = {"values": {"a": "{{ item.Name }}"}}
    each = Step("n", "core/set-values", item, {"for_each": "{{ trigger.type }}"})
    assert list_problems(draft(each)) == []
    row = {"field": "{{ steps.x.y }}", "operator": "is-true"}
    gone = Step("n", "core/set-values", item, {"only_if": {"match": "all", "rows": [row]}})
    assert [problem.message for problem in list_problems(draft(gone))] == [
        "No earlier step is called “x”.",
        "There is no “item” here: the step does not run once per element of a list.",
    ]
