"""Lock dates and over-payments: one check for pages and steps, before anything is sent."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from connections.models import Call, Connection
from taskjuice.workspaces.models import Workspace
from tests.sandbox_process import SandboxProcess
from tests.xero.books import read_all
from tests.xero.documents.test_answers import invoice_step, run_step
from tests.xero.documents.test_documents import LOCKED_ORGANISATION, NEW, NEW_BILL, filled
from tests.xero.linked import link
from xero.models import Account, Invoice, Ledger
from xero.sync import schedule as sync_schedule

pytestmark = pytest.mark.django_db
PLACE = "/northwind/harbour-cafe"


@pytest.fixture
def locked(workspace: Workspace, sandbox: SandboxProcess) -> Connection:
    found = link(sandbox, workspace, LOCKED_ORGANISATION)
    sync_schedule.start_reading(found)
    read_all(found)
    sandbox.api("DELETE", "counters")
    return found


def lock_of(connection: Connection) -> date:
    day = Ledger.objects.get(pk=connection.pk).period_lock_date
    assert day is not None
    return day


def words_of(day: date) -> str:
    return f"The document date cannot be before the period lock date, currently set at {day.day} {day:%B %Y}."


def writes(sandbox: SandboxProcess) -> int:
    return sum(one["count"] for one in sandbox.api("GET", "counters") if one["method"] != "GET")


def paid(connection: Connection, **more: Any) -> dict[str, str]:
    base = Ledger.objects.get(pk=connection.pk).base_currency
    invoice = Invoice.objects.filter(
        connection=connection, status="AUTHORISED", amount_due__gt=1, currency=base
    ).earliest("pk")
    account = Account.objects.filter(connection=connection, takes_payments=True).earliest("code")
    return {
        "invoice_id": str(invoice.xero_id),
        "account_id": str(account.xero_id),
        "amount": "1.00",
    } | more


def post_payment(client: Client, values: dict[str, str]) -> Any:
    data = values | {"form_key": str(uuid4()), "invoice": values["invoice_id"]}
    return client.post(f"{PLACE}/payments/new/", data)


def test_locked_day_is_refused_on_pages_and_in_steps_without_asking_xero(
    as_member: Client, locked: Connection, sandbox: SandboxProcess
) -> None:
    day = lock_of(locked)
    for page in (NEW, NEW_BILL):
        answer = as_member.post(page, filled(locked, date=day.isoformat(), reference=""))
        assert answer.context["form"].errors == {"date": [words_of(day)]}
    answer = post_payment(as_member, paid(locked, date=day.isoformat()))
    assert answer.context["form"].errors == {"date": [words_of(day)]}
    activation = run_step(locked, "xero/create-invoice", invoice_step(locked, date=day.isoformat()))
    assert (activation.state, activation.error) == ("failed", f"write: {words_of(day)}")
    activation = run_step(locked, "xero/create-payment", paid(locked, date=day.isoformat()))
    assert (activation.state, activation.error) == ("failed", f"write: {words_of(day)}")
    old = Invoice.objects.filter(
        connection=locked, status="AUTHORISED", date__lte=day, amount_paid=0
    ).first()
    assert old is not None
    refused = as_member.post(
        f"{PLACE}/invoices/{old.xero_id}/void/", {"typed": old.number or old.contact_name}
    )
    assert words_of(day) in as_member.get(refused["Location"]).content.decode()
    assert (writes(sandbox), Call.objects.count()) == (0, 0)
    answer = as_member.post(NEW, filled(locked, date=(day + timedelta(days=1)).isoformat()))
    assert answer.status_code == 302


def test_end_of_year_lock_holds_too_and_what_was_opened_again_is_asked_for(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    Ledger.objects.filter(pk=connection.pk).update(year_end_lock_date=date(2099, 12, 31))
    assert (
        as_member.post(NEW, filled(connection)).status_code == 302
    )  # Xero says now that nothing is locked
    assert Ledger.objects.get(pk=connection.pk).year_end_lock_date is None


def test_more_than_is_due_is_refused_on_the_page_and_in_a_step(
    as_member: Client, connection: Connection, sandbox: SandboxProcess
) -> None:
    sandbox.api("DELETE", "counters")
    values = paid(connection, amount="99999999.00")
    due = Invoice.objects.get(xero_id=values["invoice_id"]).amount_due
    words = f"Only {due:,.2f} is due."
    answer = post_payment(as_member, values | {"date": "2026-11-20"})
    assert answer.context["form"].errors == {"amount": [words]}
    activation = run_step(connection, "xero/create-payment", values)
    assert (activation.state, activation.error) == ("failed", f"write: {words}")
    assert (writes(sandbox), Call.objects.count()) == (0, 0)
