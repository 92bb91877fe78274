"""One record each: what its page says, and where its links lead."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connections.models import Connection
from taskjuice.workspaces.models import User, Workspace
from tests.factories import (
    make_activation,
    make_call,
    make_connection,
    make_delivery,
    make_event,
    make_workflow,
)
from tests.xero.ledger.test_queries import invoice
from xero.ledger import records, scope
from xero.models import Invoice, Ledger
from xero.sync import schedule as sync_schedule
from xero.sync import upsert

pytestmark = pytest.mark.django_db

HERE = "/northwind/harbour-cafe"
LATER = "/Date(1795167600000+0000)/"


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    found = make_connection(workspace, name="Harbour & Vine")
    sync_schedule.start_reading(found)
    Ledger.objects.update(base_currency="NZD", short_code="!ab1Cd")
    return found


def line(**fields: Any) -> dict[str, Any]:
    return {
        "Description": "Consulting <b>",
        "Quantity": Decimal("2.0000"),
        "UnitAmount": Decimal("12.3456"),
        "TaxType": "OUTPUT2",
        "TaxAmount": Decimal("3.70"),
        "LineAmount": Decimal("24.69"),
        "AccountCode": "200",
        "Tracking": [{"Name": "Region", "Option": "North"}],
    } | fields


def page(client: Client, path: str) -> str:
    answer = client.get(f"{HERE}/{path}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_invoice_shows_lines_tax_and_totals_as_xero_has_them(
    as_client_user: Client, connection: Connection
) -> None:
    account = {"AccountID": str(uuid4()), "Code": "200", "Name": "Sales"}
    upsert.store_records(connection, "accounts", [account])
    lines = [
        line(),
        line(TaxType="ZERO", TaxAmount=0, DiscountRate=Decimal(10)),
        line(TaxAmount=Decimal("0.01")),
    ]
    body = invoice("INV-7", LineItems=lines, CurrencyCode="USD", CurrencyRate=Decimal("0.612300"))
    upsert.store_records(connection, "invoices", [body])
    text = page(as_client_user, f"invoices/{body['InvoiceID']}/")
    shown = [
        "Consulting &lt;b&gt;",
        "12.3456",
        "Region: North",
        "Sales",
        "10 %",
        "at 0.6123",
        "Tax OUTPUT2",
    ]
    assert [part for part in shown if part not in text] == []
    assert records.sum_taxes(Invoice.objects.get()) == [
        ("OUTPUT2", Decimal("3.71")),
        ("ZERO", Decimal(0)),
    ]


def test_invoice_lists_its_payments_and_history(
    as_client_user: Client, connection: Connection
) -> None:
    body = invoice("INV-7")
    paid = {
        "PaymentID": str(uuid4()),
        "Amount": Decimal("40.25"),
        "Status": "AUTHORISED",
        "PaymentType": "ACCRECPAYMENT",
        "UpdatedDateUTC": LATER,
        "Date": "/Date(1763251200000+0000)/",
        "Invoice": body,
    }
    upsert.store_records(connection, "invoices", [body])
    upsert.store_records(
        connection, "payments", [paid, paid | {"PaymentID": str(uuid4()), "Status": "DELETED"}]
    )
    make_event(connection, resource_id=body["InvoiceID"], type="CREATE", recovered=True)
    text = page(as_client_user, f"invoices/{body['InvoiceID']}/")
    assert text.count("/payments/") == 1 + text.count('href="/northwind/harbour-cafe/payments/"')
    assert "40.25" in text
    assert "Created in Xero" in text
    assert "Recovered" in text


def test_history_has_events_activations_and_calls_newest_first(
    as_member: Client, connection: Connection, member: User
) -> None:
    body = invoice("INV-7")
    upsert.store_records(connection, "invoices", [body])
    workflow = make_workflow(connection.agency, connection, name="Thank the payer")
    delivery = make_delivery()
    came = make_event(connection, resource_id=body["InvoiceID"], type="CREATE", delivery=delivery)
    run = make_activation(workflow, connection, event=came, state="failed", error="Out of paper.")
    make_activation(workflow, connection)  # of another invoice
    made = make_call(connection, record_id=body["InvoiceID"], user=member)
    by_step = make_activation(workflow, connection, workflow_name="Pay it")
    paid = make_call(
        connection,
        subject="Payment of 5.00 on INV-7",
        target=body["InvoiceID"],
        form_key=None,
        activation_id=by_step.pk,
    )
    make_call(connection, subject="Another invoice")
    path = f"{HERE}/invoices/{body['InvoiceID']}/"
    found = [
        entry.event or entry.call or entry.run.workflow
        for entry in as_member.get(path).context["history"]
    ]
    assert found == [paid, "Pay it", made, "Thank the payer", came]
    text = page(as_member, f"invoices/{body['InvoiceID']}/")
    links = [
        f"deliveries/{delivery.pk}/",
        f"activations/{run.pk}/",
        f"calls/{made.pk}/",
        f"calls/{paid.pk}/",
    ]
    assert [link for link in links if f'href="{HERE}/{link}"' not in text] == []
    assert "Out of paper." in text
    assert member.email in text


def test_client_users_see_the_history_without_links_to_deliveries(
    as_client_user: Client, connection: Connection
) -> None:
    body = invoice("INV-7")
    upsert.store_records(connection, "invoices", [body])
    make_event(connection, resource_id=body["InvoiceID"], delivery=make_delivery())
    text = page(as_client_user, f"invoices/{body['InvoiceID']}/")
    assert "webhook came" in text
    assert "/deliveries/" not in text


def test_history_asks_as_often_for_many_entries_as_for_one(
    as_member: Client, connection: Connection
) -> None:
    body = invoice("INV-7")
    upsert.store_records(connection, "invoices", [body])
    workflow = make_workflow(connection.agency, connection)

    def more(count: int) -> None:
        for _ in range(count):
            came = make_event(connection, resource_id=body["InvoiceID"], delivery=make_delivery())
            run = make_activation(workflow, connection, event=came)
            make_call(connection, record_id=body["InvoiceID"], form_key=None, activation_id=run.pk)

    def asked() -> int:
        with CaptureQueriesContext(database) as queries:
            page(as_member, f"invoices/{body['InvoiceID']}/")
        return len(queries)

    more(1)
    asked()  # signs the session in
    few = asked()
    more(20)
    assert asked() == few


def test_payment_shows_the_call_that_made_it(as_member: Client, connection: Connection) -> None:
    payment = {
        "PaymentID": str(uuid4()),
        "Amount": 1500,
        "Status": "AUTHORISED",
        "PaymentType": "ACCRECPAYMENT",
        "UpdatedDateUTC": LATER,
        "Invoice": invoice("INV-7", CurrencyCode="JPY"),
    }
    upsert.store_records(connection, "payments", [payment])
    call = make_call(connection, record_id=payment["PaymentID"], action="xero/create-payment")
    text = page(as_member, f"payments/{payment['PaymentID']}/")
    assert f"/calls/{call.pk}/" in text
    assert ("1,500<" in text, "1,500.00" in text) == (True, False)  # yen have no decimals


def test_open_in_xero_leads_into_this_organisation(connection: Connection) -> None:
    found = Connection.objects.select_related("ledger").get()
    id = uuid4()
    assert scope.build_xero_url(found, scope.build_document_path("ACCPAY", id)) == (
        "https://go.xero.com/organisationlogin/default.aspx?shortcode=%21ab1Cd"
        f"&redirecturl=/AccountsPayable/View.aspx%3FInvoiceID%3D{id}"
    )


def test_bill_asked_for_as_an_invoice_leads_to_the_bill(
    as_client_user: Client, connection: Connection
) -> None:
    body = invoice("B-1", Type="ACCPAY")
    upsert.store_records(connection, "invoices", [body])
    answer = as_client_user.get(f"{HERE}/invoices/{body['InvoiceID']}/")
    assert answer["Location"] == f"{HERE}/bills/{body['InvoiceID']}/"


def test_contact_shows_its_documents(as_client_user: Client, connection: Connection) -> None:
    contact = {
        "ContactID": str(uuid4()),
        "Name": "Tui & Co",
        "UpdatedDateUTC": LATER,
        "IsCustomer": True,
    }
    upsert.store_records(connection, "contacts", [contact])
    upsert.store_records(
        connection, "invoices", [invoice("INV-1", Contact=contact), invoice("INV-2")]
    )
    text = page(as_client_user, f"contacts/{contact['ContactID']}/")
    assert "Tui &amp; Co" in text
    assert ("INV-1" in text, "INV-2" in text) == (True, False)


@pytest.mark.parametrize("status", ["A-NEW-STATUS", ""])
def test_unknown_status_is_shown_as_xero_spells_it(
    status: str, as_client_user: Client, connection: Connection
) -> None:
    body = invoice("INV-7", Status=status, LineItems=None, Contact=None)
    upsert.store_records(connection, "invoices", [body])
    assert (status or "INV-7").capitalize()[0] in page(
        as_client_user, f"invoices/{body['InvoiceID']}/"
    )
