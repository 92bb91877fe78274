"""Refunds of overpayments, prepayments and credit notes: whose they are, in which currency, and
which way they went.
"""

import csv
import importlib
import io
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection as database
from django.test import Client

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from tests.xero.ledger.test_records import HERE, page
from xero.models import Ledger, Payment, Tally
from xero.sync import schedule as sync_schedule
from xero.sync import upsert

pytestmark = pytest.mark.django_db

CHANGED = "/Date(1795167600000+0000)/"
CUSTOMER = {"ContactID": str(uuid4()), "Name": "Ridgeway University"}


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    found = make_connection(workspace, name="Harbour & Vine")
    sync_schedule.start_reading(found)
    Ledger.objects.update(base_currency="NZD")
    return found


def paid(type: str, amount: int, **document: Any) -> dict[str, Any]:
    return {
        "PaymentID": str(uuid4()),
        "PaymentType": type,
        "Status": "AUTHORISED",
        "Date": "/Date(1794268800000+0000)/",
        "Amount": Decimal(amount),
        "CurrencyRate": Decimal("1.4"),
        "UpdatedDateUTC": CHANGED,
    } | document


def overpayment(**fields: Any) -> dict[str, Any]:
    """As Xero lists it: under `Invoice`, with a type of its own."""
    nested = {
        "Type": "AROVERPAYMENT",
        "InvoiceID": str(uuid4()),
        "InvoiceNumber": "",
        "Contact": CUSTOMER,
    }
    return paid("AROVERPAYMENTPAYMENT", 70, Invoice=nested | {"CurrencyCode": "NZD"} | fields)


def prepayment() -> dict[str, Any]:
    nested = {"PrepaymentID": str(uuid4()), "CurrencyCode": "USD", "Contact": CUSTOMER}
    return paid("ARPREPAYMENTPAYMENT", 80, Prepayment=nested)


def credit_note() -> dict[str, Any]:
    nested = {"CreditNoteID": str(uuid4()), "CreditNoteNumber": "CN-0031", "CurrencyCode": "NZD"}
    return paid("APCREDITPAYMENT", 90, CreditNote=nested | {"Contact": CUSTOMER})


def sale(amount: int) -> dict[str, Any]:
    nested = {
        "Type": "ACCREC",
        "InvoiceID": str(uuid4()),
        "InvoiceNumber": "INV-3",
        "CurrencyCode": "NZD",
    }
    return paid("ACCRECPAYMENT", amount, Invoice=nested | {"Contact": CUSTOMER})


def test_refunds_have_contact_currency_and_number_and_no_invoice(connection: Connection) -> None:
    upsert.store_records(connection, "payments", [overpayment(), prepayment(), credit_note()])
    rows = Payment.objects.order_by("amount").values_list(
        "currency", "contact_name", "invoice_number", "invoice_xero_id"
    )
    name = CUSTOMER["Name"]
    assert list(rows) == [
        ("NZD", name, "", None),
        ("USD", name, "", None),
        ("NZD", name, "CN-0031", None),
    ]
    assert [row.kind.direction for row in Payment.objects.order_by("amount")] == [
        "paid",
        "paid",
        "received",
    ]


@pytest.mark.parametrize("query", ["", "least=1", "q=Ridgeway"])
def test_money_received_and_money_paid_are_never_one_total(
    as_member: Client, connection: Connection, query: str
) -> None:
    """The total of a whole tab, of a filter, and of a search are reckoned in three places."""
    contact = CUSTOMER | {"UpdatedDateUTC": CHANGED}
    upsert.store_records(connection, "contacts", [contact])
    upsert.store_records(
        connection, "payments", [sale(100), sale(11), overpayment(), prepayment(), credit_note()]
    )
    listing = as_member.get(f"{HERE}/payments/?{query}").context["listing"]
    found = [(one.currency, one.direction, one.documents, one.total) for one in listing.totals]
    assert found == [
        ("NZD", "received", 3, Decimal(201)),
        ("NZD", "paid", 1, Decimal(70)),
        ("USD", "paid", 1, Decimal(80)),
    ]


def test_refunds_have_a_tab_and_say_in_words_what_they_are(
    as_member: Client, connection: Connection
) -> None:
    upsert.store_records(connection, "payments", [sale(100), overpayment(), credit_note()])
    text = page(as_member, "payments/?tab=refunds")
    assert "Refund of an overpayment" in text
    assert "Refund of a supplier’s credit note" in text
    assert "INV-3" not in text
    assert "AROVERPAYMENTPAYMENT" not in text.replace("direction", "").upper()


def test_page_of_a_refund_links_to_no_invoice(as_member: Client, connection: Connection) -> None:
    body = overpayment()
    upsert.store_records(connection, "payments", [body])
    text = page(as_member, f"payments/{body['PaymentID']}/")
    assert body["Invoice"]["InvoiceID"] not in text
    assert "Refund of an overpayment" in text


def test_file_says_direction_and_document(as_member: Client, connection: Connection) -> None:
    upsert.store_records(connection, "payments", [credit_note()])
    answer = as_member.get(f"{HERE}/payments/export/")
    text = answer.getvalue().decode()
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert (row["direction"], row["document"], row["invoice"]) == (
        "received",
        "credit-note",
        "CN-0031",
    )


def test_payment_in_an_unnamed_currency_is_not_counted_as_the_base_currency(
    as_member: Client, connection: Connection
) -> None:
    upsert.store_records(
        connection, "payments", [sale(5), paid("ARCREDITPAYMENT", 6, CreditNoteNumber="CN-1")]
    )
    text = page(as_member, "payments/")
    assert "Paid: 1 payment in a currency that Xero did not name" in text
    assert "Received: 1 payment in NZD" in text


def test_refunds_stored_before_are_filled_in_from_their_bodies(connection: Connection) -> None:
    """As rows stood: the overpayment linked as an invoice, the others without anything."""
    upsert.store_records(
        connection, "payments", [overpayment(), prepayment(), credit_note(), sale(40)]
    )
    names = ("currency", "contact_xero_id", "contact_name", "invoice_number")
    columns = (*names, "invoice_number_key", "invoice_number_tail", "invoice_xero_id")
    right = list(Payment.objects.order_by("amount").values(*columns))
    refunds = Payment.objects.exclude(type="ACCRECPAYMENT")
    refunds.update(currency="", contact_xero_id=None, contact_name="", invoice_number="")
    refunds.update(invoice_number_key="", invoice_number_tail="", invoice_xero_id=uuid4())
    fill_in = importlib.import_module("xero.migrations.0009_documents_of_refunds").FILL_IN
    with database.cursor() as cursor:
        cursor.execute(fill_in)
    assert list(Payment.objects.order_by("amount").values(*columns)) == right
    kept = {(one.type, one.currency) for one in Tally.objects.exclude(documents=0)}
    assert ("ARPREPAYMENTPAYMENT", "USD") in kept
    assert ("ARPREPAYMENTPAYMENT", "") not in kept
