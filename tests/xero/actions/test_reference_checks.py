"""Steps that name an account, a contact or an item outright: said on their card where the local
copy knows better.
"""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from connections.integrations import registry
from connections.models import Connection, ConnectionState
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from workflows.definition.drafts import Draft, Step
from workflows.definition.validation import RunScope, list_problems
from workflows.models import Workflow
from xero.models import Ledger, Part
from xero.sync import upsert

pytestmark = pytest.mark.django_db

ACTIVE, ARCHIVED = str(uuid4()), str(uuid4())
BOOKS: dict[str, list[dict[str, Any]]] = {
    "accounts": [
        {
            "AccountID": str(uuid4()),
            "Code": "090",
            "Name": "Bank",
            "Type": "BANK",
            "Status": "ACTIVE",
        },
        {
            "AccountID": str(uuid4()),
            "Code": "200",
            "Name": "Sales",
            "Type": "REVENUE",
            "Status": "ACTIVE",
        },
        {
            "AccountID": str(uuid4()),
            "Code": "210",
            "Name": "Old",
            "Type": "REVENUE",
            "Status": "ARCHIVED",
        },
        {
            "AccountID": str(uuid4()),
            "Code": "220",
            "Name": "Old",
            "Type": "REVENUE",
            "Status": "ARCHIVED",
        },
        {
            "AccountID": str(uuid4()),
            "Code": "220",
            "Name": "New",
            "Type": "REVENUE",
            "Status": "ACTIVE",
        },
    ],
    "contacts": [
        {"ContactID": ACTIVE, "Name": "Ridgeway", "ContactStatus": "ACTIVE"},
        {"ContactID": ARCHIVED, "Name": "Gone", "ContactStatus": "ARCHIVED"},
    ],
    "items": [{"ItemID": str(uuid4()), "Code": "Widget", "Name": "A widget"}],
}
UPDATED = {"UpdatedDateUTC": "/Date(1763856000000+0000)/"}


def read(connection: Connection) -> Connection:
    """With a local copy of these books."""
    ledger = Ledger.objects.create(connection=connection, workspace=connection.workspace)
    for kind, bodies in BOOKS.items():
        upsert.store_records(connection, kind, [body | UPDATED for body in bodies])
        Part.objects.create(ledger=ledger, kind=kind, finished_at=timezone.now())
    return connection


@pytest.fixture
def harbour(workspace: Workspace) -> Connection:
    return read(make_connection(workspace, name="Harbour Limited"))


def said(step: Step, *connections: Connection) -> list[tuple[str, str]]:
    """(field, message) that the copies of these organisations add to what the form says."""
    found = step.known_action.wrong_for(connections[0].agency, connections, step.input)  # type: ignore[union-attr]
    return list(found)


def payment(**given: Any) -> Step:
    return Step("pay", "xero/create-payment", {"invoice_id": "{{ trigger.resource_id }}"} | given)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("090", ""),
        ("{{ trigger.account }}", ""),
        ("", ""),
        (
            "200",
            "The account 200 takes no payments at Harbour Limited. Enable them in Xero, or choose another.",
        ),
        ("210", "The account 210 is archived at Harbour Limited. Choose another."),
        (
            "999",
            "There is no account 999 at Harbour Limited. If it is new in Xero, refresh the accounts here.",
        ),
    ],
)
def test_account_of_a_payment_must_be_there_and_take_payments(
    harbour: Connection, code: str, message: str
) -> None:
    assert said(payment(account_code=code), harbour) == (
        [("account_code", message)] if message else []
    )


def test_account_named_by_its_id(harbour: Connection) -> None:
    stranger = str(uuid4())
    ((field, message),) = said(payment(account_id=stranger), harbour)
    assert (field, message.partition(".")[0]) == (
        "account_id",
        f"There is no account {stranger} at Harbour Limited",
    )
    assert said(payment(account_id="no id at all"), harbour) == []  # the form says so itself


def test_lines_contact_and_defaults_are_looked_at(harbour: Connection) -> None:
    lines = [
        {"description": "a", "account_code": "200", "item_code": "widget"},
        {"description": "b", "account_code": "210", "item_code": "Gadget"},
        {"description": "c", "account_code": "220"},  # used again after it was archived
    ]
    invoice = Step("bill", "xero/create-invoice", {"contact_id": ARCHIVED, "lines": lines})
    assert said(invoice, harbour) == [
        ("contact_id", f"The contact {ARCHIVED} is archived at Harbour Limited. Choose another."),
        ("lines", "The account 210 is archived at Harbour Limited. Choose another."),
        (
            "lines",
            "There is no item Gadget at Harbour Limited. If it is new in Xero, refresh the items here.",
        ),
    ]
    fine = Step("bill", "xero/create-invoice", {"contact_id": ACTIVE, "lines": lines[:1]})
    assert said(fine, harbour) == []
    contact = Step("contact", "xero/create-contact", {"name": "N", "sales_account_code": "210"})
    assert [field for field, _ in said(contact, harbour)] == ["sales_account_code"]


def test_organisations_are_told_apart(harbour: Connection, other_workspace: Workspace) -> None:
    others = [make_connection(other_workspace, name=f"Kauri {number}") for number in range(3)]
    for other in others:
        Ledger.objects.create(connection=other, workspace=other.workspace)
    assert said(payment(account_code="090"), harbour, *others) == []  # not read yet: nobody knows
    for other in others:
        Part.objects.create(ledger_id=other.pk, kind="accounts", finished_at=timezone.now())
    ((_, message),) = said(payment(account_code="090"), harbour, *others)
    assert message.startswith("There is no account 090 at Kauri 0, Kauri 1 and 1 other.")


def test_disconnected_organisations_are_not_asked(harbour: Connection) -> None:
    harbour.state = ConnectionState.REVOKED
    draft = Draft("xero/invoice-event", {"change": "any"}, [payment(account_code="999")])
    assert [p.message for p in list_problems(draft, RunScope(harbour.agency, [harbour]))] == [
        "None of the chosen organisations is connected any more."
    ]


def test_archived_account_is_said_on_its_card_and_keeps_from_publishing(
    as_member: Client, harbour: Connection
) -> None:
    typed = {
        "name": "Pay",
        "connections": [harbour.pk],
        "trigger": "xero/invoice-approved",
        "trigger-documents": "ACCREC",
        "step": ["s1"],
        "step-s1-action": "xero/create-payment",
        "called-s1": "payment",
        "step-s1-invoice_id": "{{ trigger.resource_id }}",
        "step-s1-account_code": "210",
        "do": "publish",
    }
    page = as_member.post("/northwind/workflows/new/", typed, follow=True)
    assert Workflow.objects.get().state == "draft"
    card = page.context["builder"].cards[0]
    assert card.form.errors == {
        "account_code": ["The account 210 is archived at Harbour Limited. Choose another."]
    }
    assert (
        '<a href="#card-s1">Step 1, Record a payment. Account&#x27;s code: The account 210 is archived'
        in page.content.decode()
    )
    assert "Not published yet. One thing is to be finished first." in page.content.decode()
    workflow = Workflow.objects.get()
    again = typed | {"step-s1-account_code": "090", "stamp": "1.0"}
    as_member.post(f"/northwind/workflows/{workflow.pk}/edit/", again)
    workflow.refresh_from_db()
    assert workflow.state == "published"


def test_questions_do_not_grow_with_the_lines(
    harbour: Connection, django_assert_num_queries: Any
) -> None:
    lines = [{"description": "a", "account_code": "200", "item_code": "Widget"} for _ in range(30)]
    with django_assert_num_queries(3):
        said(Step("bill", "xero/create-invoice", {"lines": lines}), harbour)


def test_every_named_field_is_one_of_its_form() -> None:
    for action in registry.actions.values():
        assert set(getattr(action, "names", {})) <= set(action.form.base_fields)
