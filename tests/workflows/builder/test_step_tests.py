"""Steps tested on real events change nothing; a workflow is run by hand once per event."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from connections.integrations import (
    ActionContext,
    Data,
    Done,
    Failed,
    Outcome,
    Preview,
    TryLater,
    registry,
)
from connections.models import Call as JournalCall
from connections.models import Connection, Event
from taskjuice.workspaces.models import Agency, AuditEntry, User, Workspace
from tests.conftest import SignIn
from tests.factories import make_activation, make_connection, make_event, make_secret, make_workflow
from tests.receiver import Receiver, answering, receiving
from workflows.builder import step_test_runner
from workflows.builder import step_tests as builder_step_tests
from workflows.builder.step_tests import StepTestResult
from workflows.definition.drafts import Draft, Step
from workflows.engine import runner
from workflows.models import Activation, Approval, SentRequest, StepRun, Workflow

pytestmark = pytest.mark.django_db

LOOK_UP = Step("invoice", "xero/get-invoice", {"invoice_id": "{{ trigger.resource_id }}"})
NOTE = Step("note", "core/set-values", {"values": {"total": "{{ steps.invoice.Total | plus: 1 }}"}})


@pytest.fixture(autouse=True)
def _tested_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run step tests in this process; their own process has its tests in
    test_step_test_runner.py.
    """
    monkeypatch.setattr(step_test_runner, "ask_process", step_test_runner.answer_request)


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Harbour Café Limited")


@pytest.fixture
def event(connection: Connection) -> Event:
    return make_event(connection)


@pytest.fixture
def xero(monkeypatch: pytest.MonkeyPatch) -> list[Outcome]:
    """Return the outcomes that a look-up at Xero gives."""
    answers: list[Outcome] = [
        Done({"Total": 1200, "LineItems": [{"Description": f"line {n}"} for n in range(9)]})
    ]

    def run_many(calls: list[ActionContext], rows: list[Data]) -> list[Outcome]:
        assert all(call.user is not None and call.activation_id is None for call in calls)
        return answers[:1] * len(rows)

    monkeypatch.setattr(registry.actions["xero/get-invoice"], "run_many", run_many)
    return answers


def tried(event: Event, user: User, *steps: Step) -> StepTestResult:
    """Return the result of the last of these steps."""
    return builder_step_tests.try_out(
        Draft("xero/invoice-event", {"change": "any"}, steps), len(steps) - 1, event, user
    )


def test_step_reads_for_real_and_shows_what_came_of_it(
    event: Event, owner: User, xero: list[Outcome]
) -> None:
    trial = tried(event, owner, LOOK_UP, NOTE)
    assert (trial.state, trial.input, trial.output) == (
        "done",
        [("values.total", "1201")],
        [("total", "1201")],
    )
    assert (Activation.objects.count(), StepRun.objects.count()) == (0, 0)


def test_e_mail_is_shown_and_not_sent(event: Event, owner: User, xero: list[Outcome]) -> None:
    step = Step(
        "mail",
        "core/send-email",
        {"to": "a@b.example", "subject": "{{ steps.note.total }}", "body": "x"},
    )
    trial = tried(event, owner, LOOK_UP, NOTE, step)
    assert (trial.state, trial.input[1]) == ("preview", ("subject", "1201"))
    assert mail.outbox == []


def test_e_mail_is_shown_as_it_would_go_out(event: Event, owner: User) -> None:
    given = {
        "to": "a@b.example, c@d.example",
        "subject": "It is {{ trigger.type }}",
        "body": "Hello,\n\nbye",
    }
    trial = tried(event, owner, Step("mail", "core/send-email", given))
    assert (trial.state, trial.head, trial.calls) == (
        "preview",
        "E-mail to a@b.example, c@d.example",
        Decimal(0),
    )
    assert trial.document == (
        "From: Harbour Café Limited via Northwind Books <no-reply@localhost>\nReply-To: owner@northwind.example\n"
        "To: a@b.example, c@d.example\nSubject: It is UPDATE\n\nHello,\n\nbye"
    )
    assert mail.outbox == []


def test_task_is_shown_and_not_asked(event: Event, owner: User) -> None:
    given = {"question": "Pay {{ trigger.type }}?", "details": "Now", "to": "", "days": "3"}
    trial = tried(event, owner, Step("ask", "core/approval", given))
    assert (trial.head, trial.document) == (
        "A task for your team",
        "Pay UPDATE?\n\nNow\n\nTold by e-mail: the owner and the admins. Time to decide: 3 days.",
    )
    assert Approval.objects.count() == 0


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving() as found:
        settings.HTTP_STEP_PRIVATE_HOSTS = [f"localhost:{found.port}"]
        yield found


def request(receiver: Receiver, **given: Any) -> Step:
    url = f"http://localhost:{receiver.port}/in/{{{{ trigger.type }}}}"
    return Step("call", "core/http-request", {"method": "POST", "url": url} | given)


def test_request_is_shown_with_its_secrets_masked_and_not_sent(
    event: Event, owner: User, agency: Agency, receiver: Receiver
) -> None:
    make_secret(agency, "crm_token", host="localhost", value="s3cret-token-of-the-crm")
    headers = [{"name": "Authorization", "value": "Bearer", "secret": "crm_token"}]
    trial = tried(
        event, owner, request(receiver, headers=headers, json='{"kind": "{{ trigger.type }}"}')
    )
    assert (trial.state, trial.calls) == ("preview", Decimal(0))
    assert trial.head == f"POST http://localhost:{receiver.port}/in/UPDATE"
    head, _, body = trial.document.partition("\n\n")
    assert head.splitlines()[2:] == [
        "Content-Type: application/json",
        "Authorization: Bearer [secret value crm_token]",
        "Idempotency-Key: one of its own for each run",
    ]
    assert json.loads(body) == {"kind": "UPDATE"}
    assert (receiver.got, SentRequest.objects.count()) == ([], 0)


def test_get_reads_for_real(event: Event, owner: User, receiver: Receiver) -> None:
    receiver.behave = answering(200, b'{"price": 0.10}')
    note = Step("note", "core/set-values", {"values": {"price": "{{ steps.call.body.price }}"}})
    assert tried(event, owner, request(receiver, method="GET"), note).output == [("price", "0.10")]
    assert ([one.method for one in receiver.got], SentRequest.objects.count()) == (["GET"], 0)


@pytest.fixture
def previews(monkeypatch: pytest.MonkeyPatch) -> list[Preview | Outcome]:
    """Return the previews of creating a contact."""
    found: list[Preview | Outcome] = [
        Preview("PUT /Contacts", {"Contacts": [{"Name": "New UPDATE"}]})
    ]
    monkeypatch.setattr(
        registry.actions["xero/create-contact"], "preview", lambda call, data: found[0]
    )
    return found


def test_what_would_be_refused_is_told_before(
    event: Event, owner: User, previews: list[Preview | Outcome]
) -> None:
    previews[:] = [Failed("duplicate", "The contact name is taken.")]
    contact = Step("contact", "xero/create-contact", {"name": "New {{ trigger.type }}"})
    trial = tried(event, owner, contact)
    assert (trial.state, trial.message) == ("failed", "The contact name is taken.")


def test_write_is_shown_and_not_made_and_later_steps_see_its_sample(
    event: Event, owner: User, previews: list[Preview | Outcome]
) -> None:
    contact = Step("contact", "xero/create-contact", {"name": "New {{ trigger.type }}"})
    after = Step("after", "core/set-values", {"values": {"id": "{{ steps.contact.ContactID }}"}})
    assert ("name", "New UPDATE") in tried(event, owner, contact).input
    trial = tried(event, owner, contact)
    assert (trial.state, trial.head, trial.calls) == ("preview", "PUT /Contacts", Decimal(2))
    assert json.loads(trial.document) == {"Contacts": [{"Name": "New UPDATE"}]}
    sample = registry.actions["xero/create-contact"].sample
    assert tried(event, owner, contact, after).output == [("id", str(sample["ContactID"]))]
    assert JournalCall.objects.count() == 0


def test_list_is_tried_for_its_first_elements(
    event: Event, owner: User, xero: list[Outcome]
) -> None:
    each = {"for_each": "{{ steps.invoice.LineItems }}"}
    lines = Step("lines", "core/set-values", {"values": {"text": "{{ item.Description }}"}}, each)
    trial = tried(event, owner, LOOK_UP, lines)
    assert trial.output == [("[0].text", "line 0"), ("[1].text", "line 1"), ("[2].text", "line 2")]


@pytest.mark.parametrize(
    ("answer", "state", "message"),
    [
        (Failed("not-found", "Xero has no such invoice."), "failed", "Xero has no such invoice."),
        (TryLater("The minute is used up."), "later", "The minute is used up."),
    ],
)
def test_what_xero_refuses_is_told(
    event: Event, owner: User, xero: list[Outcome], answer: Outcome, state: str, message: str
) -> None:
    xero[:] = [answer]
    trial = tried(event, owner, LOOK_UP)
    assert (trial.state, trial.message) == (state, message)
    later = tried(event, owner, LOOK_UP, NOTE)
    assert (later.state, later.message) == (state, f"Step 1 ends it before this one: {message}")


def test_condition_that_says_no_is_told(event: Event, owner: User) -> None:
    no = {
        "match": "all",
        "rows": [{"field": "{{ trigger.type }}", "operator": "equals", "value": "CREATE"}],
    }
    note = Step("note", "core/set-values", {"values": {"a": "b"}})
    assert tried(event, owner, Step("only", "core/filter", {"condition": no})).state == "stopped"
    assert (
        tried(
            event,
            owner,
            Step("a", "core/set-values", {"values": {"a": "b"}}, {"only_if": no}),
            note,
        ).state
        == "done"
    )
    assert (
        tried(
            event, owner, Step("a", "core/set-values", {"values": {"a": "b"}}, {"only_if": no})
        ).state
        == "skipped"
    )


def test_unfinished_step_is_not_run(event: Event, owner: User) -> None:
    trial = tried(
        event, owner, Step("invoice", "xero/get-invoice", {"invoice_id": "{{ steps.gone.ID }}"})
    )
    assert (trial.state, trial.message) == (
        "failed",
        "First finish what is missing: No earlier step is called “gone”.",
    )


# -- on the page --


def posted(connection: Connection, **changes: Any) -> dict[str, Any]:
    return {
        "name": "Tried",
        "connections": [connection.pk],
        "trigger": "xero/invoice-event",
        "trigger-change": "any",
        "step": ["s1"],
        "step-s1-action": "core/set-values",
        "called-s1": "note",
        "step-s1-values-0-name": "id",
        "step-s1-values-0-value": "{{ trigger.resource_id }}",
        "do": "test:s1",
    } | changes


NEW = "/northwind/workflows/new/"


def test_button_on_a_card_tests_it_on_the_chosen_event(
    as_member: Client, connection: Connection, event: Event
) -> None:
    page = as_member.post(NEW, posted(connection, event=event.pk))
    assert page.context["builder"].cards[0].trial.output == [("id", str(event.resource_id))]
    assert (Workflow.objects.count(), Activation.objects.count()) == (0, 0)
    assert "<strong>It works.</strong>" in page.content.decode()


@pytest.mark.parametrize("typed", ["", "0", "-1", "x", "9" * 40, "1; DROP", "²"])
def test_nonsense_for_an_event_is_told(
    as_member: Client, connection: Connection, typed: str
) -> None:
    page = as_member.post(NEW, posted(connection, event=typed))
    assert page.context["builder"].cards[0].trial.state == "failed"


def test_events_of_others_and_of_unticked_organisations_are_no_choice(
    as_member: Client,
    connection: Connection,
    other_workspace: Workspace,
    foreign_workspace: Workspace,
) -> None:
    unticked, foreign = (
        make_event(make_connection(other_workspace)),
        make_event(make_connection(foreign_workspace)),
    )
    for event in (unticked, foreign, make_event(connection, category="CONTACT")):
        page = as_member.post(
            NEW,
            posted(connection, event=event.pk, connections=[connection.pk, foreign.connection_id]),
        )
        assert page.context["builder"].cards[0].trial.state == "failed"
        assert page.context["events"] == []


def test_recent_events_are_named_by_what_is_known_of_them(
    agency: Agency, connection: Connection
) -> None:
    known, unknown = make_event(connection), make_event(connection)
    workflow = make_workflow(agency, connection)
    make_activation(workflow, connection, event=known, subject="INV-0042")
    old = make_event(connection)
    Event.objects.filter(pk=old.pk).update(received_at=timezone.now() - timedelta(days=31))
    found = builder_step_tests.recent_events([connection.pk], "xero/invoice-event")
    assert [choice.subject for choice in found] == [
        f"record {str(unknown.resource_id)[:8]}",
        "INV-0042",
    ]


# -- by hand --


@pytest.fixture
def live(agency: Agency, connection: Connection) -> Workflow:
    step = {
        "name": "note",
        "action": "core/set-values",
        "input": {"values": {"id": "{{ trigger.resource_id }}"}},
    }
    return make_workflow(agency, connection, steps=[step], name="By hand")


def run(client: Client, workflow: Workflow, event: Event) -> Any:
    """Run the workflow as a browser does: the preview page first, then its form."""
    address = f"/northwind/workflows/{workflow.pk}/run/"
    asked = client.get(address, {"event": event.pk})
    if asked.status_code != 200:
        return client.post(address, {"event": event.pk, "sure": "on"})
    return client.post(address, {"event": event.pk, "key": asked.context["key"], "sure": "on"})


def test_workflow_is_run_by_hand_once_per_event(
    as_member: Client, live: Workflow, event: Event
) -> None:
    page = as_member.get(f"/northwind/workflows/{live.pk}/")
    assert [choice.event for choice in page.context["events"]] == [event]
    first = run(as_member, live, event)
    activation = Activation.objects.get()
    assert first["Location"] == f"/northwind/activations/{activation.pk}/"
    assert run(as_member, live, event)["Location"] == f"/northwind/workflows/{live.pk}/"
    runner.run_lane(event.connection_id)
    activation.refresh_from_db()
    assert (Activation.objects.count(), activation.state, activation.event) == (
        1,
        "succeeded",
        event,
    )
    assert activation.run_by == "Max Member"
    for path in ("/northwind/activations/", f"/northwind/activations/{activation.pk}/"):
        assert "by hand" in as_member.get(path).content.decode()
    assert ", by hand" in as_member.get(f"/northwind/workflows/{live.pk}/").content.decode()
    assert AuditEntry.objects.filter(verb="workflow run by hand").count() == 1


@pytest.mark.parametrize("state", ["paused", "archived", "draft"])
def test_what_is_not_live_is_not_run(
    as_member: Client, live: Workflow, event: Event, state: str
) -> None:
    Workflow.objects.filter(pk=live.pk).update(state=state)
    run(as_member, live, event)
    assert Activation.objects.count() == 0


def test_event_of_another_client_is_not_run_from_here(
    as_member: Client, live: Workflow, other_workspace: Workspace, foreign_workspace: Workspace
) -> None:
    for workspace in (other_workspace, foreign_workspace):
        run(as_member, live, make_event(make_connection(workspace)))
    assert Activation.objects.count() == 0


def test_client_user_is_offered_nothing_to_run(
    sign_in: SignIn, client_user: User, live: Workflow, event: Event
) -> None:
    page = sign_in(client_user).get(f"/northwind/harbour-cafe/workflows/{live.pk}/")
    assert page.context["events"] == []


PAY_AND_MAIL = [
    {
        "name": "mail",
        "action": "core/send-email",
        "input": {"to": "payer@ridgeway.test", "subject": "Paid in full", "body": "Thank you"},
    },
    {
        "name": "contact",
        "action": "xero/create-contact",
        "input": {"name": "New {{ trigger.type }}"},
    },
]


def test_event_that_the_trigger_refuses_is_not_run(
    as_member: Client, agency: Agency, connection: Connection
) -> None:
    """A draft that changed is no invoice that was paid, though both are told in the same category."""
    thank = make_workflow(agency, connection, trigger="xero/invoice-paid", steps=PAY_AND_MAIL[:1])
    told = {"type": "ACCREC", "total": Decimal(100), "status": "DRAFT", "amount_due": Decimal(100)}
    draft = make_event(
        connection, category=registry.triggers["xero/invoice-paid"].category, details=told
    )
    page = as_member.get(f"/northwind/workflows/{thank.pk}/")
    assert page.context["events"] == []
    answer = as_member.post(
        f"/northwind/workflows/{thank.pk}/run/", {"event": draft.pk, "sure": "on"}, follow=True
    )
    assert [str(message) for message in answer.context["messages"]] == [
        "Not run: the trigger does not start on this event."
    ]
    assert (Activation.objects.count(), mail.outbox) == (0, [])


def test_change_by_a_workflow_is_not_run_by_hand_either(
    as_member: Client, live: Workflow, connection: Connection
) -> None:
    run(as_member, live, make_event(connection, ours=True))
    assert Activation.objects.count() == 0


def test_nothing_runs_before_it_was_shown_what_it_would_do(
    as_member: Client,
    agency: Agency,
    connection: Connection,
    event: Event,
    previews: list[Preview | Outcome],
) -> None:
    workflow = make_workflow(agency, connection, steps=PAY_AND_MAIL)
    address = f"/northwind/workflows/{workflow.pk}/run/"
    as_member.post(address, {"event": event.pk})
    assert Activation.objects.count() == 0
    page = as_member.get(address, {"event": event.pk})
    text = page.content.decode()
    assert [(planned.sends, planned.writes) for planned in page.context["steps"]] == [
        (True, False),
        (False, True),
    ]
    for words in (
        "E-mail to payer@ridgeway.test",
        "PUT /Contacts",
        "to the books of Harbour Café Limited",
        "Nothing has been sent or written yet.",
    ):
        assert words in text, words
    assert (Activation.objects.count(), mail.outbox) == (0, [])


@pytest.mark.parametrize(
    ("answered", "says", "runs"),
    [(None, step_test_runner.BUSY.message, False), (b"", step_test_runner.STOPPED.message, True)],
)
def test_page_that_asks_first_reads_in_a_process_and_not_beside_another_test(
    as_member: Client,
    agency: Agency,
    live: Workflow,
    event: Event,
    monkeypatch: pytest.MonkeyPatch,
    answered: bytes | None,
    says: str,
    runs: bool,
) -> None:
    """The web process tries no step itself: it asks for them, once, and says when that could not be
    done.
    """
    asked: list[bytes] = []

    def process(request: bytes) -> bytes:
        asked.append(request)
        assert answered is not None
        return answered

    monkeypatch.setattr(step_test_runner, "ask_process", process)
    if answered is None:
        cache.add(f"step-test-{agency.pk}", True)
    page = as_member.get(
        f"/northwind/workflows/{live.pk}/run/", {"event": event.pk}
    ).content.decode()
    assert len(asked) == (0 if answered is None else 1)
    assert says in page
    assert ("Run it now" in page, "Try again" in page) == (runs, not runs)
    assert "would not run" not in page


def test_nothing_is_chosen_beforehand(as_member: Client, live: Workflow, event: Event) -> None:
    page = as_member.get(f"/northwind/workflows/{live.pk}/").content.decode()
    assert (
        '<select name="event" id="id_run_event" required><option value="">Choose…</option>' in page
    )
    builder = as_member.get(f"/northwind/workflows/{live.pk}/edit/").content.decode()
    assert (
        '<select name="event" id="id_event"><option value="">Choose an event…</option>' in builder
    )


def test_builder_marks_events_that_would_not_start_it(
    as_member: Client, connection: Connection, event: Event
) -> None:
    page = as_member.post(NEW, posted(connection, **{"trigger-change": "CREATE"}))
    assert [(choice.event, bool(choice.refusal)) for choice in page.context["events"]] == [
        (event, True)
    ]
    assert "would not start it" in page.content.decode()
