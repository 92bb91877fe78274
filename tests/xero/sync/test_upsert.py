"""Records into rows: never back in time, the same twice, exact, counted by the database."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connections, transaction
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from tests.xero.ledger.test_queries import invoice
from xero.models import Account, Contact, Invoice, Payment, Stale, Tally
from xero.sync import mapping, upsert

pytestmark = pytest.mark.django_db

EARLIER = "/Date(1700000000000+0000)/"
LATER = "/Date(1700000001000+0000)/"


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    return make_connection(workspace)


def test_later_replaces_earlier_and_not_the_other_way_round(connection: Connection) -> None:
    body = invoice("A", UpdatedDateUTC=LATER, Status="PAID")
    first = upsert.store_records(
        connection, "invoices", [body | {"UpdatedDateUTC": EARLIER, "Status": "DRAFT"}]
    )
    second = upsert.store_records(connection, "invoices", [body])
    third = upsert.store_records(
        connection, "invoices", [body | {"UpdatedDateUTC": EARLIER, "Status": "DRAFT"}]
    )
    assert [len(taken.changed) for taken in (first, second, third)] == [1, 1, 0]
    row = Invoice.objects.get()
    assert (row.status, row.body["Status"]) == ("PAID", "PAID")
    assert row.first_updated_utc < row.updated_utc


def test_same_answer_twice_changes_nothing(connection: Connection) -> None:
    bodies = [invoice(f"N{i}") for i in range(5)]
    upsert.store_records(connection, "invoices", bodies)
    assert upsert.store_records(connection, "invoices", bodies).changed == []
    assert Invoice.objects.count() == 5


def test_thousand_records_take_one_statement(connection: Connection) -> None:
    bodies = [invoice(f"N{i}") for i in range(1000)]
    with CaptureQueriesContext(database) as queries:
        upsert.store_records(connection, "invoices", bodies)
    assert len(queries) == 1
    assert Invoice.objects.count() == 1000


def test_record_named_twice_in_an_answer_is_taken_once(connection: Connection) -> None:
    body = invoice("A", UpdatedDateUTC=EARLIER)
    upsert.store_records(
        connection, "invoices", [body | {"UpdatedDateUTC": LATER, "Status": "PAID"}, body]
    )
    assert Invoice.objects.get().status == "PAID"


def test_amounts_stay_exact(connection: Connection) -> None:
    upsert.store_records(
        connection, "invoices", [invoice("A", Total=Decimal("1234567890.1"), AmountDue=0)]
    )
    row = Invoice.objects.get()
    assert (row.total, row.amount_due, row.body["Total"]) == (
        Decimal("1234567890.1000"),
        Decimal(0),
        Decimal("1234567890.1"),
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"InvoiceID": "no id"},
        {"InvoiceID": None},
        {"UpdatedDateUTC": "yesterday"},
        {"UpdatedDateUTC": None},
        {"Total": "12,50"},
        {"Total": "NaN"},
        {"Total": Decimal("1E+30")},
    ],
)
def test_record_without_sense_is_left_out_and_the_others_come(
    fields: dict[str, Any], connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    taken = upsert.store_records(
        connection, "invoices", [invoice("bad", **fields), invoice("good")]
    )
    assert (len(taken.changed), taken.skipped) == (1, 1)
    assert Invoice.objects.get().number == "good"
    assert "left out one of invoices" in caplog.text


def test_strange_but_possible_records_are_taken(connection: Connection) -> None:
    strange = {
        "Status": "A-NEW-STATUS-OF-XEROS",
        "InvoiceNumber": "nul \x00 and half \ud800 a pair",
        "Contact": None,
        "DateString": "soon",
        "Date": "/Date(-80006400000+0000)/",
        "DueDateString": None,
        "Unknown": {"deep": [None, "\x00"]},
        "Reference": "x" * 400,
    }
    upsert.store_records(connection, "invoices", [invoice(**strange)])  # type: ignore[arg-type]
    row = Invoice.objects.get()
    assert (row.number, row.contact_name, row.due_date) == (
        "nul \ufffd and half \ufffd a pair",
        "",
        None,
    )
    assert (str(row.date), len(row.reference)) == ("1967-06-20", 255)


def test_tallies_follow_every_change(connection: Connection) -> None:
    bodies = [invoice(f"N{i}", Status="DRAFT", UpdatedDateUTC=EARLIER) for i in range(4)]
    upsert.store_records(connection, "invoices", bodies)
    upsert.store_records(
        connection, "invoices", [bodies[0] | {"Status": "PAID", "UpdatedDateUTC": LATER}]
    )
    upsert.store_records(
        connection, "invoices", [bodies[1] | {"CurrencyCode": "USD", "UpdatedDateUTC": LATER}]
    )
    Invoice.objects.filter(number="N3").delete()
    found = {
        (t.status, t.currency): (t.documents, t.total) for t in Tally.objects.exclude(documents=0)
    }
    assert found == {
        ("DRAFT", "NZD"): (1, Decimal("115.0000")),
        ("DRAFT", "USD"): (1, Decimal("115.0000")),
        ("PAID", "NZD"): (1, Decimal("115.0000")),
    }


def test_renamed_contact_is_renamed_in_its_documents(connection: Connection) -> None:
    id = str(uuid4())
    contact = {"ContactID": id, "Name": "Old name", "UpdatedDateUTC": EARLIER}
    upsert.store_records(connection, "contacts", [contact])
    upsert.store_records(
        connection, "invoices", [invoice("A", Contact={"ContactID": id, "Name": "Old name"})]
    )
    upsert.store_records(
        connection, "contacts", [contact | {"Name": "New name", "UpdatedDateUTC": LATER}]
    )
    assert Invoice.objects.get().contact_name == "New name"


def test_account_that_comes_no_longer_is_deleted_and_may_come_back(connection: Connection) -> None:
    sales, fees = (
        {"AccountID": str(uuid4()), "Code": code, "Name": code} for code in ("200", "404")
    )
    upsert.store_records(connection, "accounts", [sales, fees])
    upsert.mark_deleted(connection, "accounts", [UUID(sales["AccountID"])])
    assert dict(Account.objects.values_list("code", "status")) == {
        "200": "ACTIVE",
        "404": "DELETED",
    }
    upsert.store_records(connection, "accounts", [sales, fees])
    assert dict(Account.objects.values_list("code", "status")) == {"200": "ACTIVE", "404": "ACTIVE"}


def test_row_of_one_workspace_cannot_point_into_another(
    connection: Connection, other_workspace: Workspace
) -> None:
    upsert.store_records(connection, "invoices", [invoice("A")])
    with database.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError), transaction.atomic():
        Invoice.objects.update(workspace=other_workspace)


def test_marks_made_during_a_read_survive_it(connection: Connection) -> None:
    ids = [uuid4(), uuid4()]
    upsert.mark_stale([(connection.pk, "invoices", id) for id in ids])
    upsert.mark_stale([(connection.pk, "invoices", ids[0])])
    began = datetime.now(UTC) + timedelta(seconds=1)
    Stale.objects.filter(xero_id=ids[1]).update(at=began + timedelta(seconds=1))
    upsert.clear_stale(connection, "invoices", ids, before=began)
    assert [mark.xero_id for mark in Stale.objects.all()] == [ids[1]]


def test_payment_knows_its_invoice_and_contact(connection: Connection) -> None:
    body = {
        "PaymentID": str(uuid4()),
        "Date": "/Date(1763251200000+0000)/",
        "Amount": Decimal("50.5"),
        "PaymentType": "ACCRECPAYMENT",
        "Status": "AUTHORISED",
        "UpdatedDateUTC": LATER,
        "Invoice": invoice("INV-0042"),
        "Account": {"AccountID": str(uuid4()), "Code": "090"},
    }
    upsert.store_records(connection, "payments", [body])
    row = Payment.objects.get()
    assert (row.invoice_number, row.invoice_number_tail, row.contact_name) == (
        "INV-0042",
        "42",
        "Ridgeway University",
    )
    assert (str(row.date), row.amount, row.account_code) == (
        "2025-11-16",
        Decimal("50.5000"),
        "090",
    )


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ("INV-0042", "42"),
        ("SI-98/2231", "2231"),
        ("0000", ""),
        ("0042", "42"),
        ("Website Design", "design"),
        ("plain", ""),
        ("", ""),
        ("---", ""),
        ("Größe 10 €", "10"),
    ],
)
def test_tail_is_the_last_word_without_zeros(text: str, tail: str) -> None:
    assert mapping.last_word(text) == tail


@given(st.text(max_size=60))
def test_key_is_its_own_key(text: str) -> None:
    assert mapping.fold_text(mapping.fold_text(text)) == mapping.fold_text(text)


def test_contact_balances_are_read(connection: Connection) -> None:
    balances = {
        "AccountsReceivable": {"Outstanding": Decimal("10.5"), "Overdue": Decimal("3.25")},
        "AccountsPayable": {"Outstanding": Decimal(7), "Overdue": 0},
    }
    body = {"ContactID": str(uuid4()), "Name": "Tui", "UpdatedDateUTC": LATER, "Balances": balances}
    upsert.store_records(connection, "contacts", [body])
    row = Contact.objects.get()
    assert (row.receivable, row.overdue, row.payable) == (
        Decimal("10.5"),
        Decimal("3.25"),
        Decimal(7),
    )


@pytest.mark.django_db(transaction=True)
def test_marks_are_locked_in_one_order_by_whoever_marks_and_forgets(connection: Connection) -> None:
    """Two copies, both ways round: without the order PostgreSQL ends one of them as a deadlock."""
    ids = sorted(uuid4() for _ in range(300))
    marks = [(connection.pk, "invoices", id) for id in ids]
    upsert.mark_stale(marks)
    trouble: list[BaseException] = []

    def work(action: Callable[[], object]) -> None:
        try:
            for _ in range(20):
                action()
        except BaseException as error:  # noqa: BLE001 - said below
            trouble.append(error)
        finally:
            connections.close_all()

    def forget() -> None:
        upsert.clear_stale(
            connection, "invoices", ids[::-1], before=timezone.now() + timedelta(hours=1)
        )

    actions = (forget, lambda: upsert.mark_stale(marks)) * 2
    threads = [threading.Thread(target=work, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
