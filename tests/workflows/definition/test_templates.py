"""Every template can be published as it is, and does what its title says."""

from typing import Any

import pytest
from django.core import mail
from django.test import Client

from connections.integrations import ActionContext, Data, Done, Outcome, registry
from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection, make_event
from workflows.definition.templates import STARTING_POINTS
from workflows.definition.validation import list_problems
from workflows.engine import runner
from workflows.models import Activation, Version, Workflow
from workflows.triggers import intake

pytestmark = pytest.mark.django_db

NEW = "/northwind/workflows/new/"
FACTS = {
    "kind": "sales invoice",
    "type": "ACCREC",
    "number": "INV-0042",
    "reference": "",
    "contact": "Ridgeway University",
    "contact_id": "5c2d0ab1-91c1-4c9e-8f2b-77d0cf6f6c01",
    "date": "2026-11-02",
    "due_date": "2026-11-10",
    "currency": "NZD",
    "total": 6000,
    "amount_due": 6000,
    "status": "AUTHORISED",
}


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace, name="Harbour Café Limited")


ASKS = {
    "record-payment": ["Choose the account that the money goes to or comes from."],
    "copy-contacts": ["This field is required."],
}


@pytest.mark.parametrize("key", ASKS)
def test_starting_point_asks_for_what_only_the_agency_knows(
    as_member: Client, connection: Connection, key: str
) -> None:
    found = list_problems(STARTING_POINTS[key].draft_for("me@example.com"))
    assert [problem.message for problem in found] == ASKS[key]


@pytest.mark.parametrize("key", [key for key in STARTING_POINTS if key not in ASKS])
def test_starting_point_is_published_in_one_post(
    as_member: Client, connection: Connection, key: str
) -> None:
    assert list_problems(STARTING_POINTS[key].draft_for("me@example.com")) == []
    as_member.post(NEW, {"template": key, "connections": [connection.pk], "do": "publish"})
    version = Version.objects.get()
    assert (version.live, version.workflow.name) == (True, STARTING_POINTS[key].name)


def test_e_mails_to_oneself_go_to_who_began_with_it(as_member: Client) -> None:
    page = as_member.get(f"{NEW}?template=paid")
    assert page.context["builder"].cards[0].step.input["to"] == "member@northwind.example"


def run(as_member: Client, connection: Connection, key: str, **facts: Any) -> Activation:
    """Publish the workflow, let one event start it, and run the lane."""
    as_member.post(NEW, {"template": key, "connections": [connection.pk], "do": "publish"})
    category = registry.triggers[Workflow.objects.get().versions.get().trigger].category
    event = make_event(connection, category=category, details=FACTS | facts)
    intake.start_activations([event])
    runner.run_lane(connection.pk)
    return Activation.objects.get()


@pytest.fixture
def customer(monkeypatch: pytest.MonkeyPatch) -> Data:
    """Return the customer's record at Xero."""
    contact: Data = {"Name": "Ridgeway University", "EmailAddress": "accounts@ridgeway.example"}

    def outcomes(calls: list[ActionContext], rows: list[Data]) -> list[Outcome]:
        return [Done(contact) for _ in rows]

    monkeypatch.setattr(registry.actions["xero/get-contact"], "run_many", outcomes)
    return contact


def sent() -> list[tuple[list[str], str]]:
    return [(message.to, str(message.subject)) for message in mail.outbox]


def test_paid_tells_me(as_member: Client, connection: Connection) -> None:
    done = run(
        as_member, connection, "paid", status="PAID", amount_due=0, previous_status="AUTHORISED"
    )
    assert (done.state, done.subject) == ("succeeded", "INV-0042")
    assert sent() == [(["member@northwind.example"], "INV-0042 is paid")]


def test_payer_is_thanked(as_member: Client, connection: Connection, customer: Data) -> None:
    run(
        as_member,
        connection,
        "thank-payer",
        status="PAID",
        amount_due=0,
        previous_status="AUTHORISED",
    )
    assert sent() == [(["accounts@ridgeway.example"], "Thank you for paying INV-0042")]


def test_payer_without_an_address_is_let_be(
    as_member: Client, connection: Connection, customer: Data
) -> None:
    customer["EmailAddress"] = ""
    done = run(
        as_member,
        connection,
        "thank-payer",
        status="PAID",
        amount_due=0,
        previous_status="AUTHORISED",
    )
    assert (done.state, sent()) == ("succeeded", [])


def test_overdue_invoice_is_chased(
    as_member: Client, connection: Connection, customer: Data
) -> None:
    run(as_member, connection, "chase-overdue", days=7)
    assert sent() == [(["accounts@ridgeway.example"], "A reminder: INV-0042 was due on 2026-11-10")]
    assert "6000 NZD of INV-0042 has been due since 2026-11-10." in mail.outbox[0].body


def test_large_bill_is_told(as_member: Client, connection: Connection) -> None:
    run(as_member, connection, "large-bill", type="ACCPAY", previous_status="SUBMITTED")
    assert sent() == [(["member@northwind.example"], "Large bill: 6000 NZD to Ridgeway University")]


def test_part_payment_is_noted(as_member: Client, connection: Connection) -> None:
    done = run(
        as_member,
        connection,
        "part-payment",
        amount_due=1500,
        previous_amount_due=6000,
        previous_status="AUTHORISED",
    )
    assert (done.state, done.error) == ("succeeded", "")
    assert done.step_runs.get(name="note").output == {"paid": 4500, "left": 1500}


def test_draft_is_asked_for_again_after_three_days(
    as_member: Client, connection: Connection
) -> None:
    done = run(as_member, connection, "forgotten-draft", status="DRAFT")
    assert (done.state, done.position) == ("ready", 1)
    assert (done.next_at - done.created_at).days in {2, 3}
