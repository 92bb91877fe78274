"""Receivables and payables: ages, currencies kept apart, days gone by, and whose books they are."""

import itertools
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connections.models import Connection, ConnectionState
from taskjuice.workspaces.models import Agency, Workspace
from tests.factories import make_connection, make_workspace
from xero.models import Invoice, Ledger, Payment

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 23)
numbers = itertools.count(1)
ALL, HERE = "/northwind/receivables/", "/northwind/harbour-cafe/receivables/"
RIDGEWAY, BAYSIDE = UUID(int=1), UUID(int=2)
AGES: dict[str, Any] = {"on": TODAY.isoformat()}


@pytest.fixture
def books(workspace: Workspace) -> Connection:
    return make_books(workspace)


def make_books(workspace: Workspace, **fields: Any) -> Connection:
    link = make_connection(workspace, **fields)
    now = timezone.now()
    Ledger.objects.create(
        connection=link, workspace=workspace, base_currency="NZD", finished_at=now
    )
    return link


def make_invoice(
    link: Connection, due: str | Decimal = "100", late: int = 0, **fields: Any
) -> Invoice:
    """A sale of which `due` is open, due `late` days before today and issued thirty days before
    that.
    """
    due_date = TODAY - timedelta(days=late)
    values = {
        "type": "ACCREC",
        "status": "AUTHORISED",
        "number": f"INV-{next(numbers):04}",
        "contact_xero_id": RIDGEWAY,
        "contact_name": "Ridgeway University",
        "date": due_date - timedelta(days=30),
        "due_date": due_date,
        "currency": "NZD",
        "amount_due": Decimal(due),
        "total": Decimal(due),
        **dict.fromkeys(("sub_total", "total_tax", "amount_paid", "amount_credited"), Decimal(0)),
    }
    return Invoice.objects.create(**_record(link), **values | fields)


def make_payment(invoice: Invoice, amount: str, on: date, **fields: Any) -> Payment:
    values = {
        "type": "ACCRECPAYMENT",
        "status": "AUTHORISED",
        "date": on,
        "amount": Decimal(amount),
    }
    named = {"invoice_xero_id": invoice.xero_id, "currency": invoice.currency}
    return Payment.objects.create(**_record(invoice.connection), **values | named | fields)


def _record(link: Connection) -> dict[str, Any]:
    now = timezone.now()
    return {
        "connection": link,
        "workspace": link.workspace,
        "xero_id": uuid4(),
        "updated_utc": now,
        "first_updated_utc": now,
        "body": {},
    }


def shown(client: Client, path: str = ALL, **query: Any) -> list[tuple[str, list[int]]]:
    """Names and ages of the table's rows."""
    context = client.get(path, AGES | query).context
    name = "client" if context["ageing"].by == "client" else "contact"
    return [
        (
            row.organisation.client if name == "client" else row.contact_name,
            [int(amount) for amount in row.amounts],
        )
        for row, _ in context.get("rows", [])
    ]


@pytest.mark.parametrize(
    ("late", "place"),
    [(-5, 0), (0, 0), (1, 1), (30, 1), (31, 2), (60, 2), (61, 3), (90, 3), (91, 4), (1000, 4)],
)
def test_days_overdue_decide_the_age(
    as_member: Client, books: Connection, late: int, place: int
) -> None:
    make_invoice(books, late=late)
    assert shown(as_member) == [("Harbour Café", [100 if at == place else 0 for at in range(5)])]


def test_only_what_is_approved_and_open_counts(as_member: Client, books: Connection) -> None:
    for status in ("DRAFT", "SUBMITTED", "VOIDED", "DELETED"):
        make_invoice(books, status=status)
    make_invoice(books, "0", status="PAID", total=Decimal(80))
    make_invoice(books, "7", type="ACCPAY")
    make_invoice(books, "40", total=Decimal(100))
    assert shown(as_member) == [("Harbour Café", [40, 0, 0, 0, 0])]
    assert shown(as_member, side="bills") == [("Harbour Café", [7, 0, 0, 0, 0])]


def test_currencies_are_never_added(as_member: Client, books: Connection) -> None:
    make_invoice(books, "100")
    make_invoice(books, "50")
    make_invoice(books, "30", currency="USD")
    totals = as_member.get(ALL, AGES).context["totals"]
    assert [(one.currency, one.total) for one in totals] == [("NZD", 150), ("USD", 30)]
    assert shown(as_member) == [("Harbour Café", [150, 0, 0, 0, 0])]
    assert shown(as_member, currency="USD") == [("Harbour Café", [30, 0, 0, 0, 0])]
    assert shown(as_member, currency="nonsense") == [("Harbour Café", [150, 0, 0, 0, 0])]
    assert shown(as_member, currency="USD", by="contact") == [
        ("Ridgeway University", [30, 0, 0, 0, 0])
    ]


def test_most_overdue_stand_first_and_columns_sort(
    as_member: Client, books: Connection, other_workspace: Workspace
) -> None:
    make_invoice(books, "500", late=-1)
    make_invoice(make_books(other_workspace), "20", late=40)
    assert [name for name, _ in shown(as_member)] == ["Kauri Builders", "Harbour Café"]
    assert [name for name, _ in shown(as_member, sort="-total")] == [
        "Harbour Café",
        "Kauri Builders",
    ]
    assert [name for name, _ in shown(as_member, sort="client")] == [
        "Harbour Café",
        "Kauri Builders",
    ]
    assert [name for name, _ in shown(as_member, sort="-age2")] == [
        "Kauri Builders",
        "Harbour Café",
    ]
    assert [name for name, _ in shown(as_member, sort="amount_due;--")] == [
        "Kauri Builders",
        "Harbour Café",
    ]


def test_drill_down_leads_from_client_to_contact_to_invoice(
    as_member: Client, books: Connection
) -> None:
    make_invoice(books, "100", late=10)
    oldest = make_invoice(books, "50", late=70)
    make_invoice(books, "30", contact_xero_id=BAYSIDE, contact_name="Bayside Club")
    assert shown(as_member) == [("Harbour Café", [30, 100, 0, 50, 0])]
    assert shown(as_member, HERE) == [
        ("Ridgeway University", [0, 100, 0, 50, 0]),
        ("Bayside Club", [30, 0, 0, 0, 0]),
    ]
    answer = as_member.get(HERE, AGES | {"contact": RIDGEWAY, "organisation": books.pk})
    rows = answer.context["rows"]
    assert [(aged.total, aged.late_days) for aged, _ in rows] == [(50, 70), (100, 10)]
    assert f"/northwind/harbour-cafe/invoices/{oldest.xero_id}/" in answer.content.decode()


def test_contacts_of_two_organisations_are_two_rows(
    as_member: Client, workspace: Workspace
) -> None:
    for link in (make_books(workspace), make_books(workspace)):
        make_invoice(link, "10")
    assert shown(as_member, by="contact") == [("Ridgeway University", [10, 0, 0, 0, 0])] * 2


def test_documents_of_no_contact_are_a_row_too(as_member: Client, books: Connection) -> None:
    for late in (0, 40):
        make_invoice(books, "100", late=late, contact_xero_id=None, contact_name="")
    make_invoice(books, "30")
    rows = [("", [100, 0, 100, 0, 0]), ("Ridgeway University", [30, 0, 0, 0, 0])]
    assert shown(as_member, by="contact") == rows
    assert shown(as_member, by="contact", sort="contact") == rows


def test_approved_document_with_nothing_due_is_not_open(
    as_member: Client, books: Connection
) -> None:
    credited = make_invoice(books, "0", total=Decimal(80), date=TODAY)
    assert shown(as_member, by="invoice") == []
    make_payment(credited, "50", TODAY + timedelta(days=1))
    assert shown(as_member, by="invoice") == [("Ridgeway University", [50, 0, 0, 0, 0])]


def test_past_day_undoes_later_payments_and_leaves_out_later_invoices(
    as_member: Client, books: Connection
) -> None:
    month_ago = TODAY - timedelta(days=30)
    paid = make_invoice(books, "0", late=50, status="PAID", total=Decimal(100))
    make_payment(paid, "60", TODAY - timedelta(days=3))
    make_payment(paid, "40", TODAY - timedelta(days=40))
    part = make_invoice(books, "70", late=20, total=Decimal(100))
    make_payment(part, "30", TODAY - timedelta(days=29))
    make_payment(part, "500", TODAY, status="DELETED")
    make_invoice(books, "9", date=TODAY - timedelta(days=29))
    assert shown(as_member, on=month_ago.isoformat()) == [("Harbour Café", [100, 60, 0, 0, 0])]
    assert shown(as_member) == [("Harbour Café", [9, 70, 0, 0, 0])]


def test_payment_dated_tomorrow_is_not_made_yet(as_member: Client, books: Connection) -> None:
    paid = make_invoice(books, "0", status="PAID", total=Decimal(100))
    make_payment(paid, "100", TODAY + timedelta(days=1))
    assert shown(as_member) == [("Harbour Café", [100, 0, 0, 0, 0])]


def test_coming_day_makes_older_and_adds_nothing(as_member: Client, books: Connection) -> None:
    make_invoice(books, "100", late=-20)
    later = (TODAY + timedelta(days=60)).isoformat()
    assert shown(as_member, on=later) == [("Harbour Café", [0, 0, 100, 0, 0])]


@pytest.mark.parametrize("day", ["1999-12-31", "2030-01-01", "soon", "2026-02-30"])
def test_wrong_day_is_said_and_today_shown(as_member: Client, books: Connection, day: str) -> None:
    answer = as_member.get(ALL, {"on": day})
    assert answer.context["ageing"].form.errors.keys() == {"on"}
    assert answer.context["ageing"].on == timezone.localdate()
    assert f'value="{day}"' in answer.content.decode()


def test_others_books_stay_out(
    as_member: Client,
    as_client_user: Client,
    agency: Agency,
    books: Connection,
    other_workspace: Workspace,
    foreign_workspace: Workspace,
) -> None:
    archived = make_workspace(agency, "Gone", archived_at=timezone.now())
    make_invoice(books, "1")
    make_invoice(make_books(foreign_workspace), "1000")
    make_invoice(make_books(archived), "1000")
    make_invoice(make_books(other_workspace, state=ConnectionState.REVOKED), "1000")
    other = make_books(other_workspace)
    make_invoice(other, "2")
    assert shown(as_member) == [
        ("Kauri Builders", [2, 0, 0, 0, 0]),
        ("Harbour Café", [1, 0, 0, 0, 0]),
    ]
    assert shown(as_client_user, HERE) == [("Ridgeway University", [1, 0, 0, 0, 0])]
    assert shown(as_client_user, HERE, organisation=other.pk) == [
        ("Ridgeway University", [1, 0, 0, 0, 0])
    ]
    assert as_client_user.get(ALL).status_code == 404


def test_figures_that_are_not_fresh_are_named(as_member: Client, books: Connection) -> None:
    Ledger.objects.update(finished_at=timezone.now() - timedelta(hours=3))
    assert "last read" in as_member.get(ALL).content.decode()
    Ledger.objects.update(finished_at=None)
    assert "are not read yet" in as_member.get(ALL).content.decode()


def test_files_hold_every_currency_and_are_safe(as_member: Client, books: Connection) -> None:
    make_invoice(books, "100.5", late=3, contact_name="=cmd()", number="@1", reference="PO 7")
    make_invoice(books, "30", currency="USD", contact_xero_id=BAYSIDE, contact_name="Bayside Club")
    lines = export(as_member, ALL)
    assert lines == [
        "as_of,client,currency,not_due,1_to_30,31_to_60,61_to_90,over_90,overdue,total",
        "2026-11-23,Harbour Café,NZD,0.00,100.50,0.00,0.00,0.00,100.50,100.50",
        "2026-11-23,Harbour Café,USD,30.00,0.00,0.00,0.00,0.00,0.00,30.00",
    ]
    invoice = export(as_member, HERE, by="invoice", contact=RIDGEWAY)[1].split(",")
    assert invoice[:2] + invoice[3:9] == [
        "2026-11-23",
        "Harbour Café",
        "'=cmd()",
        "'@1",
        "PO 7",
        "2026-10-21",
        "2026-11-20",
        "3",
    ]


def export(client: Client, path: str, **query: Any) -> list[str]:
    answer = client.get(f"{path}export/", AGES | query)
    return answer.getvalue().decode().removeprefix("\ufeff").splitlines()


def test_pages_do_not_overlap(as_member: Client, books: Connection) -> None:
    for number in range(120):
        contact = UUID(int=number)
        make_invoice(
            books, "10", late=number % 3, contact_xero_id=contact, contact_name=f"C{number % 7}"
        )
    seen = [
        row.contact_id
        for page in (1, 2, 3)
        for row, _ in as_member.get(HERE, AGES | {"page": page}).context["rows"]
    ]
    assert sorted(seen) == [UUID(int=number) for number in range(120)]
    beyond = as_member.get(HERE, AGES | {"page": 99})
    assert (beyond.context["listing"]["window"].number, len(beyond.context["rows"])) == (1, 50)


@pytest.mark.parametrize("by", ["client", "contact", "invoice"])
def test_same_number_of_queries_for_1_row_and_for_30(
    as_member: Client, agency: Agency, books: Connection, by: str
) -> None:
    def asked() -> int:
        with CaptureQueriesContext(database) as caught:
            assert as_member.get(ALL, AGES | {"by": by}).status_code == 200
        return len(caught)

    make_invoice(books)
    asked()
    few = asked()
    for _ in range(29):
        make_invoice(make_books(make_workspace(agency)))
    assert asked() == few


def test_chart_has_the_figures_as_text(as_member: Client, books: Connection) -> None:
    make_invoice(books, "75")
    make_invoice(books, "25", late=100)
    text = as_member.get(ALL, AGES).content.decode()
    assert '<rect class="age-0" x="0.00" width="75.00"' in text
    assert '<rect class="age-4" x="75.00" width="25.00"' in text
    assert "Over 90 days" in text
    assert 'style="' not in text


def test_home_shows_what_is_owed_and_who_is_most_overdue(
    as_owner: Client, as_client_user: Client, books: Connection, other_workspace: Workspace
) -> None:
    late = timezone.localdate() - timedelta(days=12)
    make_invoice(books, "100", due_date=late, date=late)
    make_invoice(
        make_books(other_workspace),
        "40",
        due_date=timezone.localdate() + timedelta(days=9),
        date=late,
    )
    make_invoice(books, "5", currency="USD", date=late)
    owed = as_owner.get("/northwind/").context["cards"].owed
    assert (owed.aged.currency, owed.aged.total, owed.aged.overdue) == ("NZD", 140, 100)
    assert [(row.organisation.client, row.overdue) for row in owed.worst] == [("Harbour Café", 100)]
    assert [one.currency for one in owed.others] == ["USD"]
    inside = as_client_user.get("/northwind/harbour-cafe/").context["cards"].owed
    assert [(row.contact_name, row.overdue) for row in inside.worst] == [
        ("Ridgeway University", 100)
    ]
