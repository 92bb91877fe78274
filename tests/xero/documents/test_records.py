"""Contacts, payments, approving and voiding from pages, against the sandbox."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from connections.models import Call, CallState, Connection
from taskjuice.workspaces.models import AuditEntry, Workspace
from tests.factories import make_connection, make_ledger
from tests.sandbox_process import SandboxProcess
from tests.xero.books import read_all
from tests.xero.linked import link
from tests.xero.sandbox.openapi import check_request
from xero.models import Account, Contact, Invoice, Payment
from xero.records import wire
from xero.sync import schedule as sync_schedule

pytestmark = pytest.mark.django_db

HERE = "/northwind/harbour-cafe"
NEW_CONTACT, NEW_PAYMENT = f"{HERE}/contacts/new/", f"{HERE}/payments/new/"
LOCKED_ORGANISATION = 1  # the second of the sandbox has a lock date


def check_sent() -> None:
    for call in Call.objects.select_related("sending"):
        check_request(
            "accounting.yaml",
            call.sending.method,
            call.sending.path,
            wire.decode(bytes(call.sending.body)),
        )


# -- contacts --


def test_contact_is_made_once_and_shown(as_member: Client, connection: Connection) -> None:
    name = f"Kōwhai & Sons {uuid4()}"
    data = {
        "form_key": str(uuid4()),
        "name": f"  {name} ",
        "email": "hello@kowhai.example",
        "city": "Nelson",
    }
    first, second = as_member.post(NEW_CONTACT, data), as_member.post(NEW_CONTACT, data)
    contact = Contact.objects.get(name=name)
    assert first["Location"] == second["Location"] == f"{HERE}/contacts/{contact.xero_id}/"
    assert (contact.email, Call.objects.count()) == ("hello@kowhai.example", 1)
    check_sent()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "This field is required."),
        ("name", "a <b> c", "A name cannot hold angle brackets."),
        ("name", "a\0b", "characters that Xero cannot store"),
        ("name", "n" * 1_000_000, "at most 255 characters"),
        ("email", "nobody", "Enter a valid email address."),
        ("sales_terms_day", "20", "Give both the number of days"),
    ],
)
def test_wrong_contact_is_explained(
    field: str, value: str, message: str, as_member: Client, connection: Connection
) -> None:
    data = {"form_key": str(uuid4()), "name": "Kōwhai & Sons", field: value}
    answer = as_member.post(NEW_CONTACT, data)
    assert answer.status_code == 422
    assert [message in error for error in answer.context["form"].errors[field]] == [True]
    assert Call.objects.count() == 0


def test_known_name_is_refused_before_anything_is_sent(
    as_member: Client, connection: Connection
) -> None:
    known = Contact.objects.filter(connection=connection, status="ACTIVE").earliest("name")
    answer = as_member.post(NEW_CONTACT, {"form_key": str(uuid4()), "name": known.name.upper()})
    assert answer.context["form"].errors == {"name": ["There is a contact of this name already."]}
    assert f"contacts/{known.xero_id}/" in answer.content.decode()


def test_name_that_only_xero_knows_is_refused_in_its_words(
    as_member: Client, connection: Connection
) -> None:
    known = Contact.objects.filter(connection=connection, status="ACTIVE").earliest("name")
    Contact.objects.filter(connection=connection).delete()
    answer = as_member.post(NEW_CONTACT, {"form_key": str(uuid4()), "name": known.name})
    (message,) = answer.context["refused"]
    assert message.startswith(
        f"The contact name {known.name} is already assigned to another contact."
    )
    assert answer.context["form"].errors == {"name": [message]}


# -- payments --


def to_pay(connection: Connection, type: str = "ACCREC") -> Invoice:
    found = Invoice.objects.filter(
        connection=connection,
        status="AUTHORISED",
        amount_due__gt=100,
        amount_paid=0,
        type=type,
        currency="NZD",
    )
    return found.latest("date")


def bank(connection: Connection) -> Account:
    return Account.objects.filter(
        connection=connection, type="BANK", status="ACTIVE", currency="NZD"
    )[0]


def payment(invoice: Invoice, account: Account | None = None, **more: Any) -> dict[str, str]:
    values = {
        "form_key": str(uuid4()),
        "invoice": str(invoice.xero_id),
        "account_id": str((account or bank(invoice.connection)).xero_id),
        "amount": "60.50",
        "date": "2026-11-20",
        "reference": "from the bank",
    }
    return values | more


def test_payment_starts_with_what_is_due(as_member: Client, connection: Connection) -> None:
    invoice = to_pay(connection)
    form = as_member.get(f"{NEW_PAYMENT}?invoice={invoice.xero_id}").context["form"]
    assert form["amount"].value() == f"{invoice.amount_due:.2f}"
    offered = {value for value, _ in form.fields["account_id"].widget.choices} - {""}
    usable = Account.objects.filter(connection=connection, status="ACTIVE", takes_payments=True)
    assert offered == {str(id) for id in usable.values_list("xero_id", flat=True)}


def test_payment_is_recorded_once_and_shown(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    invoice = to_pay(connection)
    data = payment(invoice)
    first, second = as_member.post(NEW_PAYMENT, data), as_member.post(NEW_PAYMENT, data)
    assert first["Location"] == second["Location"] == f"{HERE}/invoices/{invoice.xero_id}/"
    recorded = Payment.objects.get(invoice_xero_id=invoice.xero_id)
    assert (recorded.amount, recorded.reference) == (Decimal("60.50"), "from the bank")
    due = invoice.amount_due
    invoice.refresh_from_db()
    assert (due - invoice.amount_due, Call.objects.count()) == (Decimal("60.50"), 1)
    check_sent()


def test_bill_is_paid_in_full(as_member: Client, connection: Connection) -> None:
    bill = to_pay(connection, "ACCPAY")
    answer = as_member.post(NEW_PAYMENT, payment(bill, amount=f"{bill.amount_due:,.2f}"))
    assert answer["Location"] == f"{HERE}/bills/{bill.xero_id}/"
    bill.refresh_from_db()
    assert (bill.status, bill.amount_due) == ("PAID", Decimal(0))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("amount", "", "This field is required."),
        ("amount", "0", "Give an amount above zero."),
        ("amount", "-0", "Give an amount above zero."),
        ("amount", "0.005", "Give at most 2 decimal places."),
        ("amount", "1.000,00", "Give a number, such as 1234.50."),
        ("amount", "1e3", "Give a number, such as 1234.50."),
        ("amount", "NaN", "Give a number, such as 1234.50."),
        ("amount", "٥", "Give a number, such as 1234.50."),
        ("amount", "9" * 30, "This number is too large."),
        ("amount", "999,999.00", "is due."),
        ("date", "2026-02-29", "Give a date such as 2026-11-30"),
        ("account_id", "", "Choose the account that the money went through."),
        ("account_id", "BANK", "This is no Xero ID."),
        ("account_id", "7fb9d929-2786-4db0-ada4-aae8255c9367", "has no such account."),
        ("form_key", "", "This field is required."),
        ("reference", "r" * 256, "at most 255 characters"),
    ],
)
def test_wrong_payment_is_explained(
    field: str, value: str, message: str, as_member: Client, connection: Connection
) -> None:
    answer = as_member.post(NEW_PAYMENT, payment(to_pay(connection)) | {field: value})
    assert answer.status_code == 422
    assert [message in error for error in answer.context["form"].errors[field]] == [True]
    assert Call.objects.count() == 0


def test_over_payment_that_only_xero_knows_of_is_refused_at_the_amount(
    as_member: Client, connection: Connection
) -> None:
    invoice = to_pay(connection)
    Invoice.objects.filter(pk=invoice.pk).update(amount_due=invoice.amount_due + 500)
    answer = as_member.post(NEW_PAYMENT, payment(invoice, amount=str(invoice.amount_due + 1)))
    assert answer.context["form"].errors == {"amount": answer.context["refused"]}
    assert len(answer.context["refused"]) == 1
    assert Payment.objects.filter(invoice_xero_id=invoice.xero_id).count() == 0


def test_account_that_takes_no_payments_is_refused_in_xeros_words(
    as_member: Client, connection: Connection
) -> None:
    sales = Account.objects.get(connection=connection, code="200")
    answer = as_member.post(NEW_PAYMENT, payment(to_pay(connection), account_id=str(sales.xero_id)))
    words = ["Account type is invalid for making payments"]
    assert answer.context["form"].errors == {"account_id": words}


def test_payment_in_a_locked_period_is_refused_at_the_date(
    as_member: Client, workspace: Workspace, sandbox: SandboxProcess
) -> None:
    locked = link(sandbox, workspace, LOCKED_ORGANISATION)
    sync_schedule.start_reading(locked)
    read_all(locked)
    invoice = Invoice.objects.filter(connection=locked, status="AUTHORISED", amount_due__gt=100)[0]
    account = Account.objects.filter(
        connection=locked, status="ACTIVE", type="BANK", currency=invoice.currency
    )[0]
    page = as_member.get(f"{NEW_PAYMENT}?invoice={invoice.xero_id}").content.decode()
    assert "The books are locked up to" in page
    answer = as_member.post(NEW_PAYMENT, payment(invoice, account, date="2024-01-31"))
    assert answer.context["form"].errors == {"date": answer.context["refused"]}


def test_document_to_pay_is_found_by_number_and_contact(
    as_member: Client, connection: Connection
) -> None:
    invoice = to_pay(connection)
    for term in (invoice.number, invoice.number.lower()):
        found = as_member.get(NEW_PAYMENT, {"q": term}).context["documents"]
        assert invoice.pk in [one.pk for one in found]
    found = as_member.get(NEW_PAYMENT, {"q": invoice.contact_name}).context["documents"]
    assert {one.contact_name for one in found} == {invoice.contact_name}
    assert list(as_member.get(NEW_PAYMENT, {"q": "no\0thing"}).context["documents"]) == []


def test_records_of_other_clients_are_not_found(
    as_member: Client,
    connection: Connection,
    foreign_workspace: Workspace,
    other_workspace: Workspace,
) -> None:
    own = to_pay(connection)
    for place in (foreign_workspace, other_workspace):
        ids = make_ledger(make_connection(place))
        document = ids["document"]
        assert as_member.get(f"{NEW_PAYMENT}?invoice={document}").status_code == 404
        assert as_member.post(NEW_PAYMENT, payment(own) | {"invoice": document}).status_code == 404
        assert as_member.post(f"{HERE}/invoices/{document}/approve/").status_code == 404
        assert as_member.post(f"{HERE}/invoices/{document}/void/").status_code == 404
        answer = as_member.post(NEW_PAYMENT, payment(own, account_id=ids["account"]))
        assert answer.context["form"].errors == {
            "account_id": [f"{connection.name} has no such account."]
        }
    assert Call.objects.count() == 0


# -- approving and voiding --


def of_status(connection: Connection, status: str) -> Invoice:
    found = Invoice.objects.filter(
        connection=connection, status=status, type="ACCREC", amount_paid=0
    )
    return found.latest("date")


def test_draft_is_approved_and_nothing_else_of_it_changes(
    as_member: Client, connection: Connection
) -> None:
    draft = of_status(connection, "DRAFT")
    before = draft.body["LineItems"]
    answer = as_member.post(f"{HERE}/invoices/{draft.xero_id}/approve/")
    assert answer["Location"] == f"{HERE}/invoices/{draft.xero_id}/"
    draft.refresh_from_db()
    assert (draft.status, draft.body["LineItems"]) == ("AUTHORISED", before)
    call = Call.objects.get()
    assert call.body == {"InvoiceID": str(draft.xero_id), "Status": "AUTHORISED"}
    assert AuditEntry.objects.filter(verb="invoice approved", subject=draft.number).count() == 1
    check_sent()


def test_approved_in_xero_meanwhile_is_said_and_shown(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    draft = of_status(connection, "DRAFT")
    tenant = str(connection.tenant_id)
    sandbox.xero("POST", tenant, f"Invoices/{draft.xero_id}", {"Status": "AUTHORISED"})
    answer = as_member.post(f"{HERE}/invoices/{draft.xero_id}/approve/", follow=True)
    assert "A document that is authorised cannot be approved." in answer.content.decode()
    draft.refresh_from_db()
    assert (draft.status, Call.objects.count()) == ("AUTHORISED", 0)


def test_answer_to_an_approval_that_got_lost_is_found_by_the_status(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    draft = of_status(connection, "SUBMITTED")
    sandbox.api("POST", "faults", {"kind": "reset_after", "remaining": 1, "method": "POST"})
    as_member.post(f"{HERE}/invoices/{draft.xero_id}/approve/")
    draft.refresh_from_db()
    assert (draft.status, Call.objects.get().state) == ("AUTHORISED", CallState.CONFIRMED)


def test_voiding_needs_the_typed_number(as_member: Client, connection: Connection) -> None:
    invoice = of_status(connection, "AUTHORISED")
    url = f"{HERE}/invoices/{invoice.xero_id}/void/"
    assert f"Type {invoice.number} to confirm" in as_member.get(url).content.decode()
    assert as_member.post(url, {"typed": "yes"}).status_code == 422
    assert Call.objects.count() == 0
    as_member.post(url, {"typed": f" {invoice.number.lower()} "})
    invoice.refresh_from_db()
    assert (invoice.status, Call.objects.get().state) == ("VOIDED", CallState.CONFIRMED)


def test_draft_is_deleted(as_member: Client, connection: Connection) -> None:
    draft = of_status(connection, "DRAFT")
    as_member.post(f"{HERE}/invoices/{draft.xero_id}/void/", {"typed": draft.number})
    draft.refresh_from_db()
    assert draft.status == "DELETED"


def test_paid_invoice_is_not_voided_and_xero_says_why(
    as_member: Client, connection: Connection
) -> None:
    paid = Invoice.objects.filter(connection=connection, status="AUTHORISED", amount_paid__gt=0)[0]
    url = f"{HERE}/invoices/{paid.xero_id}/void/"
    answer = as_member.post(url, {"typed": paid.number or paid.contact_name}, follow=True)
    assert (
        "This document cannot be edited as it has a payment or credit note"
        in answer.content.decode()
    )
    paid.refresh_from_db()
    assert (paid.status, Call.objects.get().state) == ("AUTHORISED", CallState.FAILED)


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("DRAFT", ["approve/", "void/"]),
        ("SUBMITTED", ["approve/", "void/"]),
        ("AUTHORISED", ["payments/new/", "void/"]),
        ("PAID", []),
    ],
)
def test_document_offers_what_its_status_allows(
    status: str,
    offered: list[str],
    as_member: Client,
    as_client_user: Client,
    connection: Connection,
) -> None:
    found = Invoice.objects.filter(connection=connection, status=status, type="ACCREC")
    invoice = (found.filter(amount_paid=0) if status != "PAID" else found)[0]
    url = f"{HERE}/invoices/{invoice.xero_id}/"
    known = ["approve/", "payments/new/", "void/"]
    page, reader = as_member.get(url).content.decode(), as_client_user.get(url).content.decode()
    assert [word for word in known if word in page] == offered
    assert [word for word in known if word in reader] == []
