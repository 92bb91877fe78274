"""Odd answers of Xero as a person and a step meet them: refused inside, warned, not made at all, of
another record.
"""

from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from connections.models import Call, CallState, Connection, Sending
from tests.factories import make_activation, make_workflow
from tests.sandbox_process import SandboxProcess
from tests.xero.documents.test_documents import NEW, NEW_BILL, contact_of, filled
from workflows.engine import lanes, runner
from workflows.models import Activation
from xero.models import Account, Invoice

pytestmark = pytest.mark.django_db
PLACE = "/northwind/harbour-cafe"
WARNING = "The account code of a line is not known and was taken off."


def odd(sandbox: SandboxProcess, kind: str, method: str = "PUT", **more: Any) -> None:
    sandbox.api("POST", "faults", {"kind": kind, "method": method, **more})


def run_step(connection: Connection, action: str, values: dict[str, Any]) -> Activation:
    """A workflow of one step, run by the lane."""
    steps = [{"name": "write", "action": action, "input": values}]
    activation = make_activation(
        make_workflow(connection.agency, connection, steps=steps), connection
    )
    with transaction.atomic():
        lanes.wake_lanes([connection.pk])
    runner.run_lane(connection.pk)
    activation.refresh_from_db()
    return activation


def invoice_step(connection: Connection, **more: Any) -> dict[str, Any]:
    lines = [{"description": "Work", "quantity": 1, "unit_amount": "80", "account_code": "200"}]
    contact = str(contact_of(connection).xero_id)
    return {
        "contact_id": contact,
        "due_date": "+30",
        "number": f"S-{uuid4().hex[:8]}",
        "lines": lines,
    } | more


# -- why it was refused
# -------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_xml", [False, True])
def test_reason_inside_a_line_is_shown_at_its_row(
    as_xml: bool, as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    odd(sandbox, "answer_reasons_inside")
    if as_xml:
        odd(sandbox, "answer_xml", method="POST")
    rows = {
        "lines__1__description": "Freight", "lines__1__unit_amount": "5", "lines__1__account_code": "400",
        "lines__0__discount_rate": "", "lines__0__account_code": "400",
        "lines__2__description": "", "lines__3__description": "Gone", "lines__3__unit_amount": "7",
        "lines__3__account_code": "498",
    }  # fmt: skip
    answer = as_member.post(NEW_BILL, filled(connection, **rows))
    words = "Account code '498' has been archived, or has been deleted. Each line item must reference a valid account."
    assert answer.status_code == 422
    assert answer.context["refused"] == [f"Line 4: {words}"]
    assert {row.number: dict(row.errors) for row, _ in answer.context["rows"] if row.errors} == {
        3: {"account_code": [words]}
    }
    assert answer.context["form"].errors == {"lines": [f"Line 4: {words}"]}
    page = as_member.get(f"{PLACE}/calls/{Call.objects.get().pk}/").content.decode()
    assert "Line 3: Account code" in page  # as it was sent, without the blank row


def test_reason_inside_the_contact_is_shown_at_the_contact(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    odd(sandbox, "answer_reasons_inside")
    gone = connection_contact(connection, "ARCHIVED")
    answer = as_member.post(NEW, filled(connection, contact_name=gone))
    words = f"The contact {gone} has been archived and cannot be used on this document."
    assert answer.context["form"].errors == {"contact_name": [f"Contact: {words}"]}


def connection_contact(connection: Connection, status: str) -> str:
    from xero.models import Contact

    return Contact.objects.filter(connection=connection, status=status)[0].name


def test_reason_inside_an_address_is_shown_at_its_field(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    odd(sandbox, "answer_reasons_inside")
    data = {
        "form_key": str(uuid4()),
        "organisation": str(connection.pk),
        "name": "Kea 9 Ltd",
        "country": "Area 51",
    }
    answer = as_member.post(f"{PLACE}/contacts/new/", data)
    assert answer.context["form"].errors == {
        "country": ["Address 1: The field Country may hold letters only."]
    }


def test_reason_inside_the_account_is_shown_at_the_account(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    odd(sandbox, "answer_reasons_inside")
    invoice = Invoice.objects.filter(connection=connection, status="AUTHORISED", amount_due__gt=0)[
        0
    ]
    account = Account.objects.filter(connection=connection, takes_payments=False)[0]
    data = {
        "form_key": str(uuid4()), "invoice": str(invoice.xero_id), "account_id": str(account.xero_id),
        "amount": "1.00", "date": timezone.now().date().isoformat(),
    }  # fmt: skip
    answer = as_member.post(f"{PLACE}/payments/new/", data)
    assert answer.context["form"].errors == {
        "account_id": ["Account: Account type is invalid for making payments"]
    }


def test_step_says_which_line_was_refused_and_why(
    connection: Connection, sandbox: SandboxProcess
) -> None:
    odd(sandbox, "answer_reasons_inside")
    good = {"description": "Work", "quantity": 1, "unit_amount": "80", "account_code": "200"}
    values = invoice_step(
        connection, lines=[good, good | {"account_code": "nope"}, good | {"tax_type": "NOPE"}]
    )
    activation = run_step(connection, "xero/create-invoice", values)
    assert (activation.state, activation.error) == (
        "failed",
        (
            "write: Line 2: Account code 'nope' is not a valid code for this document."
            " Line 3: The TaxType code NOPE does not exist or cannot be used for this type of transaction."
            " Line 3: The TaxType code 'NOPE' cannot be used with account code '200'."
        ),
    )


# -- written, with a warning
# --------------------------------------------------------------------------------


def test_warning_is_shown_on_the_page_that_follows_the_call_and_the_history(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    odd(sandbox, "answer_warned")
    answer = as_member.post(NEW, filled(connection))
    page = as_member.get(answer["Location"]).content.decode()
    assert page.count(f"Xero warns: {WARNING}") == 2  # as a message, and in the history
    call = Call.objects.get()
    assert (call.state, call.messages, call.error) == (CallState.CONFIRMED, [WARNING], "")
    page = as_member.get(f"{PLACE}/calls/{call.pk}/").content.decode()
    assert f"<p>Xero warns:</p><ul><li>{WARNING}</li></ul>" in page
    assert "Xero warns:" in as_member.get(f"{PLACE}/calls/").content.decode()
    again = as_member.get(answer["Location"]).content.decode()
    assert again.count(f"Xero warns: {WARNING}") == 1


def test_warning_of_a_step_is_in_its_output_and_on_its_activation(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    odd(sandbox, "answer_warned")
    activation = run_step(connection, "xero/create-invoice", invoice_step(connection))
    assert activation.state == "succeeded"
    run = activation.step_runs.get()
    assert run.output["Warnings"] == [{"Message": WARNING}]
    page = as_member.get(f"{PLACE}/activations/{activation.pk}/").content.decode()
    assert f"Warning: {WARNING}" in page


# -- not made, or not what was asked
# ------------------------------------------------------------------------


def test_element_without_an_id_is_not_made(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    odd(sandbox, "answer_unmade")
    answer = as_member.post(NEW, filled(connection))
    assert (answer.status_code, answer.context["refused"]) == (
        422,
        ["Xero refused this without saying why."],
    )
    odd(sandbox, "answer_unmade")
    activation = run_step(connection, "xero/create-invoice", invoice_step(connection))
    assert (activation.state, activation.error) == (
        "failed",
        "write: Xero refused this without saying why.",
    )
    assert set(Call.objects.values_list("state", flat=True)) == {CallState.FAILED}


@pytest.mark.parametrize("kind", ["answer_mixed_up", "answer_unlisted", "answer_xml"])
def test_answer_about_something_else_is_looked_up(
    kind: str, as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    odd(sandbox, kind)
    answer = as_member.post(NEW, filled(connection, reference=(mark := str(uuid4()))))
    invoice = Invoice.objects.get(reference=mark)
    assert answer["Location"] == f"{PLACE}/invoices/{invoice.xero_id}/"
    assert Call.objects.get().record_id == invoice.xero_id


def test_change_of_status_is_believed_when_the_answer_shows_it(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    draft = Invoice.objects.filter(connection=connection, status="DRAFT")[0]
    odd(sandbox, "answer_mixed_up", method="POST")
    as_member.post(f"{PLACE}/invoices/{draft.xero_id}/approve/")
    draft.refresh_from_db()
    assert (draft.status, Call.objects.get().record_id) == ("AUTHORISED", draft.xero_id)
    odd(sandbox, "answer_unmade", method="POST")
    other = Invoice.objects.filter(connection=connection, status="DRAFT")[0]
    as_member.post(f"{PLACE}/invoices/{other.xero_id}/approve/")
    other.refresh_from_db()
    assert other.status == "DRAFT"
    assert Call.objects.latest("created_at").state == CallState.FAILED


def test_look_up_that_lists_nothing_does_not_say_that_it_is_not_there(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    as_member.post(NEW, filled(connection, "update"))  # the tax rates are known
    odd(sandbox, "reset_after")
    odd(sandbox, "answer_unlisted", method="GET")
    answer = as_member.post(NEW, filled(connection, reference=(mark := str(uuid4()))))
    call = Call.objects.get()
    assert answer["Location"] == f"{PLACE}/calls/{call.pk}/"
    assert call.state == CallState.SENT
    found = sandbox.xero("GET", str(connection.tenant_id), f"Invoices?searchTerm={mark}&page=1")[
        "Invoices"
    ]
    assert (len(found), Sending.objects.get().times) == (1, 1)
