"""The ledger's lists, on rows made here: tabs, filters, orders, totals, search, files, and the
number of queries.
"""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connections import organisation_time
from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from xero.ledger import list_results, listing
from xero.models import Ledger
from xero.sync import schedule as sync_schedule
from xero.sync import upsert

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    found = make_connection(workspace, name="Harbour & Vine")
    sync_schedule.start_reading(found)
    Ledger.objects.filter(pk=found.pk).update(
        base_currency="NZD", first_finished_at=NOW, finished_at=NOW
    )
    return found


def invoice(number: str = "INV-0001", **fields: Any) -> dict[str, Any]:
    """As Xero sends one; amounts of 115.00, of which nothing is paid."""
    values = {
        "InvoiceID": str(uuid4()),
        "Type": "ACCREC",
        "Status": "AUTHORISED",
        "InvoiceNumber": number,
        "Reference": "",
        "Contact": {"ContactID": str(uuid4()), "Name": "Ridgeway University"},
        "DateString": "2026-11-01T00:00:00",
        "DueDateString": "2026-11-15T00:00:00",
        "CurrencyCode": "NZD",
        "SubTotal": Decimal("100.00"),
        "TotalTax": Decimal("15.00"),
        "Total": Decimal("115.00"),
        "AmountDue": Decimal("115.00"),
        "AmountPaid": Decimal("0.00"),
        "LineItems": [],
        "UpdatedDateUTC": f"/Date({int(NOW.timestamp() * 1000)}+0000)/",
    }
    return values | fields


def numbers(client: Client, query: str = "", noun: str = "invoices") -> list[str]:
    """The documents' numbers as listed; those of the page, in its order."""
    answer = client.get(f"/northwind/harbour-cafe/{noun}/?{query}")
    assert answer.status_code == 200
    return [row.number for row in answer.context["listing"].window.rows]


def test_list_starts_with_the_newest(as_client_user: Client, connection: Connection) -> None:
    days = {"A": "2026-11-01", "B": "2026-11-03", "C": "2026-11-02"}
    bodies = [invoice(number, DateString=f"{day}T00:00:00") for number, day in days.items()]
    upsert.store_records(connection, "invoices", bodies)
    assert numbers(as_client_user) == ["B", "C", "A"]


def test_awaiting_payment_starts_with_what_was_due_first(
    as_client_user: Client, connection: Connection
) -> None:
    days = {"A": "2026-11-09", "B": "2026-11-03", "C": "2026-11-05"}
    bodies = [invoice(number, DueDateString=f"{day}T00:00:00") for number, day in days.items()]
    upsert.store_records(connection, "invoices", [*bodies, invoice("D", Status="DRAFT")])
    assert numbers(as_client_user, "tab=authorised") == ["B", "C", "A"]


def test_tabs_count_and_voided_are_only_under_all(
    as_client_user: Client, connection: Connection
) -> None:
    statuses = ["DRAFT", "DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"]
    upsert.store_records(
        connection, "invoices", [invoice(f"N{i}", Status=s) for i, s in enumerate(statuses)]
    )
    upsert.store_records(connection, "invoices", [invoice("a bill", Type="ACCPAY")])
    answer = as_client_user.get("/northwind/harbour-cafe/invoices/")
    listing_ = answer.context["listing"]
    assert listing_.tabs == {"": 7, "draft": 2, "submitted": 1, "authorised": 1, "paid": 1}
    assert [(t.currency, t.documents, t.total) for t in listing_.totals] == [
        ("NZD", 7, Decimal("575.0000"))
    ]
    assert numbers(as_client_user, noun="bills") == ["a bill"]


def test_totals_are_per_currency_and_never_added_across(
    as_client_user: Client, connection: Connection
) -> None:
    bodies = [
        invoice("A"),
        invoice("B"),
        invoice("C", CurrencyCode="USD", AmountDue=Decimal("0.05")),
    ]
    upsert.store_records(connection, "invoices", bodies)
    for query in ("", "q=ridge", "since=2026-10-01"):
        upsert.store_records(connection, "contacts", [])
        found = (
            as_client_user.get(f"/northwind/harbour-cafe/invoices/?{query}")
            .context["listing"]
            .totals
        )
        if query == "q=ridge":  # no contact is known by that name here: nothing is found
            assert found == []
            continue
        assert [(t.currency, t.documents, t.due) for t in found] == [
            ("NZD", 2, Decimal("230.0000")),
            ("USD", 1, Decimal("0.0500")),
        ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=inv-0042", ["INV-0042"]),
        ("q=INV", ["INV-0420", "INV-0042"]),
        ("q=42", ["INV-0420", "INV-0042"]),
        ("q=00042", ["INV-0042"]),
        ("q=v-0", ["INV-0420", "INV-0042"]),
        ("q=0042", ["INV-0042"]),
        ("q=20", ["INV-0420"]),
        ("q=o 7", ["S-9"]),
        ("q=PO 77", ["S-9"]),
        ("q=77", ["S-9"]),
        ("q=caf%C3%A9", ["S-9"]),
        ("q=1,150.5", ["S-9"]),
        ("q=nothing", []),
        ("q=%25", []),
        ("since=2026-11-02", ["S-9"]),
        ("until=2026-11-01", ["INV-0420", "INV-0042"]),
        ("on=due&since=2026-12-01", ["S-9"]),
        ("least=1000", ["S-9"]),
        ("most=115", ["INV-0420", "INV-0042"]),
        ("least=200&most=100", []),
        ("since=2026-11-02&q=inv", []),
        ("tab=draft", ["S-9"]),
        ("sort=number", ["INV-0042", "INV-0420", "S-9"]),
        ("sort=-contact", ["INV-0420", "INV-0042", "S-9"]),
        ("sort=nonsense", ["S-9", "INV-0420", "INV-0042"]),
        ("since=2026-13-45", ["S-9", "INV-0420", "INV-0042"]),
        ("least=NaN&page=-3&contact=x&tab=y", ["S-9", "INV-0420", "INV-0042"]),
        ("page=99", ["S-9", "INV-0420", "INV-0042"]),
    ],
)
def test_filters_find(
    query: str, found: list[str], as_client_user: Client, connection: Connection
) -> None:
    cafe = str(uuid4())
    contacts = [
        {
            "ContactID": cafe,
            "Name": "Café du Port",
            "ContactStatus": "ACTIVE",
            "UpdatedDateUTC": "/Date(0)/",
        }
    ]
    upsert.store_records(connection, "contacts", contacts)
    other = invoice(
        "S-9",
        Status="DRAFT",
        Reference="PO 77",
        Total=Decimal("1150.50"),
        Contact={"ContactID": cafe, "Name": "Café du Port"},
        DateString="2026-11-05T00:00:00",
        DueDateString="2026-12-05T00:00:00",
    )
    zoo = {"ContactID": str(uuid4()), "Name": "Ridgeway Zoo"}
    sales = [
        invoice("INV-0042", DateString="2026-10-31T00:00:00"),
        invoice("INV-0420", Contact=zoo),
    ]
    upsert.store_records(connection, "invoices", [*sales, other])
    assert numbers(as_client_user, query) == found


def test_filter_shows_the_error_of_a_wrong_field(
    as_client_user: Client, connection: Connection
) -> None:
    page = as_client_user.get("/northwind/harbour-cafe/invoices/?since=2026-02-30").content.decode()
    assert "Enter a valid date." in page


def test_overdue_says_how_many_days(
    as_client_user: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(organisation_time, "today_in", lambda connection: date(2026, 11, 27))
    late = {"A": "2026-11-15", "B": "2026-11-26", "C": "2026-11-27"}
    bodies = [invoice(number, DueDateString=f"{day}T00:00:00") for number, day in late.items()]
    upsert.store_records(
        connection, "invoices", [*bodies, invoice("D", Status="PAID", AmountDue=Decimal(0))]
    )
    page = as_client_user.get("/northwind/harbour-cafe/invoices/").content.decode()
    assert [text in page for text in ("12 days overdue", "1 day overdue", "0 day")] == [
        True,
        True,
        False,
    ]
    assert page.count("overdue</span>") == 2


@pytest.mark.parametrize("path", ["invoices", "bills", "contacts", "payments", "accounts", "items"])
def test_lists_ask_as_often_for_thirty_rows_as_for_one(
    path: str, as_client_user: Client, connection: Connection
) -> None:
    def fill(count: int) -> None:
        changed = f"/Date({int(NOW.timestamp() * 1000)}+0000)/"
        sales = [invoice(f"S{i}", CurrencyCode="NZD" if i % 2 else "USD") for i in range(count)]
        upsert.store_records(
            connection, "invoices", sales + [invoice(f"B{i}", Type="ACCPAY") for i in range(count)]
        )
        ids = [{"UpdatedDateUTC": changed, "Name": f"N{i}", "Code": f"C{i}"} for i in range(count)]
        for kind, field in (
            ("contacts", "ContactID"),
            ("accounts", "AccountID"),
            ("items", "ItemID"),
        ):
            upsert.store_records(connection, kind, [each | {field: str(uuid4())} for each in ids])
        paid = {"Status": "AUTHORISED", "PaymentType": "ACCRECPAYMENT", "Amount": Decimal(5)}
        upsert.store_records(
            connection, "payments", [each | paid | {"PaymentID": str(uuid4())} for each in ids]
        )

    def asked(query: str) -> int:
        with CaptureQueriesContext(database) as queries:
            assert as_client_user.get(f"/northwind/harbour-cafe/{path}/?{query}").status_code == 200
        return len(queries)

    fill(1)
    asked("")  # signs the session in
    few = [asked(query) for query in ("", "q=n", "least=1")]
    fill(30)
    assert [asked(query) for query in ("", "q=n", "least=1")] == few


def test_pages_are_cut_and_bounded(
    as_client_user: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LAST_PAGE", 2)
    upsert.store_records(connection, "invoices", [invoice(f"N{i:03}") for i in range(130)])
    first = numbers(as_client_user, "sort=number")
    second = numbers(as_client_user, "sort=number&page=2")
    assert first + second == [f"N{i:03}" for i in range(100)]
    assert numbers(as_client_user, "sort=number&page=9") == second
    page = as_client_user.get("/northwind/harbour-cafe/invoices/?page=2").content.decode()
    assert "51–100 of 130" in page
    assert "Paging ends here" in page


@pytest.mark.parametrize(
    ("query", "found", "part_ordered"),
    [
        ("sort=-number", ["N3", "N2", "N1", "N0"], False),
        ("tab=draft&sort=number", ["N2", "N3"], False),
        ("since=2026-01-01&sort=number", ["N2", "N3"], True),
        ("least=1&sort=-owed", ["N2", "N3"], True),
        ("since=2026-01-01&sort=date", ["N0", "N1", "N2", "N3"], False),
        ("least=1&on=due&sort=due", ["N0", "N1", "N2", "N3"], False),
        ("q=n&sort=number", ["N0", "N1", "N2", "N3"], False),
    ],
)
def test_order_that_no_index_has_is_that_of_the_newest(
    query: str,
    found: list[str],
    part_ordered: bool,
    as_client_user: Client,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (listing, list_results):
        monkeypatch.setattr(module, "COUNTED", 2)
    bodies = [
        invoice(
            f"N{day}",
            DateString=f"2026-11-0{day + 1}T00:00:00",
            DueDateString=f"2026-12-0{day + 1}T00:00:00",
            Status="DRAFT" if day > 1 else "AUTHORISED",
            AmountDue=Decimal(10 - day),
        )
        for day in (2, 0, 3, 1)
    ]
    upsert.store_records(connection, "invoices", bodies)
    assert numbers(as_client_user, query) == found
    page = as_client_user.get(f"/northwind/harbour-cafe/invoices/?{query}")
    assert page.context["listing"].part_ordered is part_ordered
    assert ("This is the order of the newest" in page.content.decode()) is part_ordered


def test_broad_searches_say_that_they_are_cut(
    as_client_user: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xero.ledger.search.SEARCHED", 10)
    upsert.store_records(connection, "invoices", [invoice(f"INV-{i}") for i in range(20)])
    answer = as_client_user.get("/northwind/harbour-cafe/invoices/?q=inv")
    assert answer.context["listing"].searched
    assert len(answer.context["listing"].window.rows) == 10
    assert "More than 1,000 documents match" in answer.content.decode()


@pytest.mark.parametrize("term", ["2024-0042", "42-a", "024", "a", "é42", "4-0042-A"])
def test_search_finds_the_inside_of_a_number(
    term: str, as_client_user: Client, connection: Connection
) -> None:
    upsert.store_records(connection, "invoices", [invoice("É42-2024-0042-A"), invoice("Z-1")])
    assert numbers(as_client_user, f"q={term}") == ["É42-2024-0042-A"]


def test_search_looks_into_this_ledger_only(
    as_client_user: Client, connection: Connection, workspace: Workspace
) -> None:
    other = make_connection(workspace, name="Zephyr")
    sync_schedule.start_reading(other)
    upsert.store_records(other, "invoices", [invoice("X-0042-X")])
    upsert.store_records(connection, "invoices", [invoice("Y-0042-Y")])
    assert numbers(as_client_user, "q=042") == ["Y-0042-Y"]


def test_search_puts_the_whole_number_before_its_parts(
    as_client_user: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xero.ledger.search.SEARCHED", 3)
    bodies = [invoice(f"INV-{number}") for number in ("1742", "4200", "0042", "0428", "7421")]
    upsert.store_records(connection, "invoices", bodies)
    assert "INV-0042" in numbers(as_client_user, "q=42")


def test_payments_are_found_by_the_inside_of_a_number(
    as_client_user: Client, connection: Connection
) -> None:
    paid = {"Status": "AUTHORISED", "PaymentType": "ACCRECPAYMENT", "Amount": Decimal(5)}
    changed = f"/Date({int(NOW.timestamp() * 1000)}+0000)/"
    for number in ("INV-2024-0042-A", "INV-2024-0043-A"):
        body = paid | {
            "PaymentID": str(uuid4()),
            "UpdatedDateUTC": changed,
            "Invoice": invoice(number),
        }
        upsert.store_records(connection, "payments", [body])
    answer = as_client_user.get("/northwind/harbour-cafe/payments/?q=-0042")
    assert [row.invoice_number for row in answer.context["listing"].window.rows] == [
        "INV-2024-0042-A"
    ]


def test_part_for_htmx_is_the_list_alone(as_client_user: Client, connection: Connection) -> None:
    answer = as_client_user.get(
        "/northwind/harbour-cafe/invoices/", headers={"HX-Request": "true", "HX-Target": "list"}
    ).content.decode()
    assert answer.strip().startswith('<div class="stack" id="list"')
    assert "<html" not in answer


def test_file_has_every_row_and_no_formulas(as_client_user: Client, connection: Connection) -> None:
    bodies = [invoice(f"N{i:03}") for i in range(120)] + [
        invoice("=1+1", Reference="@x", Total=Decimal("-5.1"))
    ]
    upsert.store_records(connection, "invoices", bodies)
    answer = as_client_user.get("/northwind/harbour-cafe/invoices/export/?sort=number")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    header, first, *rest = csv.reader(io.StringIO(text))
    assert header[:3] == ["number", "reference", "contact"]
    assert (first[0], first[1], first[9]) == ("'=1+1", "'@x", "-5.10")
    assert [row[0] for row in rest] == [f"N{i:03}" for i in range(120)]


def test_file_obeys_the_filter(as_client_user: Client, connection: Connection) -> None:
    upsert.store_records(connection, "invoices", [invoice("A"), invoice("B", Status="DRAFT")])
    answer = as_client_user.get("/northwind/harbour-cafe/invoices/export/?tab=draft")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))  # type: ignore[attr-defined]
    assert [row[0] for row in rows[1:]] == ["B"]


def test_workspace_with_two_organisations_shows_one_at_a_time(
    as_client_user: Client, workspace: Workspace, connection: Connection
) -> None:
    second = make_connection(workspace, name="Tui Studio")
    upsert.store_records(connection, "invoices", [invoice("A")])
    upsert.store_records(second, "invoices", [invoice("B")])
    assert numbers(as_client_user) == ["A"]
    assert numbers(as_client_user, f"organisation={second.pk}") == ["B"]
    assert numbers(as_client_user, "organisation=999999") == ["A"]


def test_other_workspaces_rows_are_not_there(
    as_client_user: Client,
    connection: Connection,
    other_workspace: Workspace,
    foreign_workspace: Workspace,
) -> None:
    for place in (other_workspace, foreign_workspace):
        foreign = make_connection(place)
        body = invoice("secret")
        upsert.store_records(foreign, "invoices", [body])
        assert numbers(as_client_user, f"organisation={foreign.pk}") == []
        answer = as_client_user.get(f"/northwind/harbour-cafe/invoices/{body['InvoiceID']}/")
        assert answer.status_code == 404


def test_refresh_is_for_staff_and_comes_back(
    as_member: Client, as_client_user: Client, connection: Connection
) -> None:
    address = f"/northwind/harbour-cafe/ledger/{connection.pk}/refresh/"
    assert as_client_user.post(address).status_code == 403
    answer = as_member.post(address, {"back": "/northwind/harbour-cafe/bills/?tab=draft"})
    assert answer["Location"] == "/northwind/harbour-cafe/bills/?tab=draft"
    assert Ledger.objects.get().asked_at is not None
    away = as_member.post(address, {"back": "https://evil.example/"})
    assert away["Location"] == "/northwind/harbour-cafe/invoices/"


def test_freshness_shows_progress_then_reloads(
    as_client_user: Client, connection: Connection
) -> None:
    address = f"/northwind/harbour-cafe/ledger/{connection.pk}/freshness/?kind=invoices"
    Ledger.objects.update(started_at=NOW)
    Ledger.objects.get().parts.create(kind="invoices", running=True, done=3000, total=10000)
    busy = as_client_user.get(address)
    assert "Reading invoices: 3,000 of 10,000" in busy.content.decode()
    assert "HX-Refresh" not in busy
    Ledger.objects.update(started_at=None, asked_at=None)
    assert as_client_user.get(address)["HX-Refresh"] == "true"


def test_list_of_a_broken_connection_says_that_it_is_not_read(
    as_client_user: Client, connection: Connection
) -> None:
    Connection.objects.update(state="error")
    page = as_client_user.get("/northwind/harbour-cafe/invoices/").content.decode()
    assert "Not read until the" in page
    assert "every 2s" not in page
