"""Records from which Xero left something out, or sent an amount as text: their pages show what
there is.
"""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from connections.models import Connection
from taskjuice.workspaces.models import Workspace
from tests.factories import make_connection
from tests.xero.ledger.test_records import HERE, page
from xero.documents import choices
from xero.models import Account, Invoice, Item, Ledger
from xero.records import wire
from xero.records.documents import parse_invoice, parse_line, parse_paid_document
from xero.records.master_data import parse_item, parse_organisation
from xero.sync import schedule as sync_schedule
from xero.sync import upsert

pytestmark = pytest.mark.django_db

CHANGED = "/Date(1795167600000+0000)/"


@pytest.fixture
def connection(workspace: Workspace) -> Connection:
    found = make_connection(workspace, name="Harbour & Vine")
    sync_schedule.start_reading(found)
    Ledger.objects.update(base_currency="NZD", short_code="!ab1Cd")
    return found


def draft(*lines: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A draft as Xero sends it: without what is empty."""
    return {
        "Type": "ACCREC",
        "InvoiceID": str(uuid4()),
        "InvoiceNumber": "INV-7001",
        "Status": "DRAFT",
        "LineItems": list(lines),
        "UpdatedDateUTC": CHANGED,
    } | fields


def test_page_of_a_draft_whose_lines_have_neither_account_nor_amounts(
    as_member: Client, connection: Connection
) -> None:
    body = draft(
        {"Description": "Only words", "Tracking": []}, {"Description": "Twice", "Quantity": "2.0"}
    )
    upsert.store_records(connection, "invoices", [body])
    text = page(as_member, f"invoices/{body['InvoiceID']}/")
    assert "Only words" in text
    assert "Twice" in text


def test_page_of_a_document_whose_amounts_are_texts_or_empty(
    as_member: Client, connection: Connection
) -> None:
    line = {
        "Description": "Consulting",
        "Quantity": "1.5000",
        "UnitAmount": "80.1234",
        "DiscountRate": "",
        "TaxType": "OUTPUT2",
        "TaxAmount": "18.03",
        "LineAmount": "",
        "AccountCode": "200",
    }
    amounts = {"Total": "138.22", "SubTotal": "", "AmountDue": "138.22", "CurrencyRate": "0.61"}
    body = draft(line, Status="AUTHORISED", CurrencyCode="USD", **amounts)
    upsert.store_records(connection, "invoices", [body])
    text = page(as_member, f"invoices/{body['InvoiceID']}/")
    assert [part for part in ("80.1234", "18.03", "138.22", "at 0.61") if part not in text] == []
    assert Invoice.objects.get().sub_total == 0


def test_line_without_an_account_shows_none_even_where_an_account_has_no_code(
    as_member: Client, connection: Connection
) -> None:
    bank = {
        "AccountID": str(uuid4()),
        "Name": "Savings without a code",
        "Type": "BANK",
        "Status": "ACTIVE",
    }
    upsert.store_records(connection, "accounts", [bank])
    body = draft({"Description": "Not coded", "LineAmount": Decimal(80), "AccountCode": ""})
    upsert.store_records(connection, "invoices", [body])
    assert "Savings without a code" not in page(as_member, f"invoices/{body['InvoiceID']}/")
    item = {"ItemID": str(uuid4()), "Code": "BARE", "IsSold": True, "IsPurchased": True}
    upsert.store_records(connection, "items", [item])
    assert "Savings without a code" not in page(as_member, f"items/{item['ItemID']}/")


def test_page_of_a_tracked_item_names_the_account_of_its_cost(
    as_member: Client, connection: Connection
) -> None:
    cost = {
        "AccountID": str(uuid4()),
        "Code": "310",
        "Name": "Cost of goods sold",
        "Type": "DIRECTCOSTS",
    }
    upsert.store_records(connection, "accounts", [cost])
    tracked = {
        "ItemID": str(uuid4()),
        "Code": "WIDGET",
        "IsTrackedAsInventory": True,
        "IsPurchased": True,
        "IsSold": True,
        "QuantityOnHand": "12.5",
        "PurchaseDetails": {"UnitPrice": "25.00", "COGSAccountCode": "310"},
    }
    upsert.store_records(connection, "items", [tracked])
    text = page(as_member, f"items/{tracked['ItemID']}/")
    assert "<dd>310 Cost of goods sold</dd>" in text
    assert "12.50" in text
    assert Item.objects.get().purchase_price == 25


@pytest.mark.parametrize("details", [{}, None, "", [], {"UnitPrice": ""}, {"UnitPrice": "9.5"}])
def test_item_page_and_form_stand_whatever_its_details_hold(
    as_member: Client, connection: Connection, details: Any
) -> None:
    item = {"ItemID": str(uuid4()), "Code": "EMPTY", "IsSold": True, "IsPurchased": True}
    upsert.store_records(
        connection, "items", [item | {"SalesDetails": details, "PurchaseDetails": details}]
    )
    page(as_member, f"items/{item['ItemID']}/")
    offered = choices.read_item_fields(connection, "EMPTY", "ACCREC")
    assert offered is not None
    assert offered.get("unit_amount") == (
        Decimal("9.50") if details == {"UnitPrice": "9.5"} else None
    )


def test_line_reads_what_is_absent_as_none() -> None:
    line = parse_line({"Tracking": None, "Quantity": True, "UnitAmount": "NaN", "LineAmount": [1]})
    assert (line.quantity, line.unit_amount, line.line_amount, line.tax_amount) == (
        None,
        None,
        None,
        None,
    )
    assert (line.account_code, line.tracking) == ("", ())


def test_amounts_beyond_any_money_are_none() -> None:
    huge = parse_invoice(
        {"Total": Decimal("1E+999999"), "AmountDue": "9" * 5000, "SubTotal": "Infinity"}
    )
    assert (huge.total, huge.amount_due, huge.sub_total) == (None, None, None)
    assert parse_invoice({"Total": Decimal("1E-999999")}).total == 0


@pytest.mark.parametrize(
    "odd", ["1e-999999", "1e-20000", "-0e-20000", "1e131072", "1e999999", "0." + "1" * 20000]
)
def test_number_that_no_column_holds_stops_no_other_record(
    as_member: Client, connection: Connection, odd: str
) -> None:
    """As text in the body, which readers of amounts take; a total beyond all money makes no row."""
    rate, price, plain = (draft({"Description": "Tea", "UnitAmount": 0}) for _ in range(3))
    answer = wire.encode(
        [rate | {"CurrencyRate": "odd"}, price | {"LineItems": [{"UnitAmount": "odd"}]}, plain]
    )
    bodies = wire.decode(answer.replace(b'"odd"', odd.encode()))
    assert upsert.store_records(connection, "invoices", bodies).skipped == 0
    for body in bodies:
        page(as_member, f"invoices/{body['InvoiceID']}/")
    total = wire.decode(wire.encode([draft(Total="odd"), draft()]).replace(b'"odd"', odd.encode()))
    assert upsert.store_records(connection, "invoices", total).skipped == (Decimal(odd) > 1)
    assert Invoice.objects.filter(total=0).count() == (
        4 if Decimal(odd) > 1 or odd.startswith("0.") else 5
    )


def test_instants_and_days_at_the_ends_of_the_calendar_are_shown(
    as_member: Client, connection: Connection
) -> None:
    ends = ("0001-01-01T00:00:00", "9999-12-31T00:00:00", "9999-12-31T23:59:59-12:00")
    for end in ends:
        body = draft(Status="AUTHORISED", AmountDue=5, Date=end, DueDate=end, FullyPaidOnDate=end)
        upsert.store_records(connection, "invoices", [body])
        page(as_member, f"invoices/{body['InvoiceID']}/")
        page(as_member, f"payments/new/?invoice={body['InvoiceID']}")
    upsert.store_records(connection, "invoices", [draft(UpdatedDateUTC=end) for end in ends])
    page(as_member, "invoices/")


def test_text_whose_small_letters_are_more_than_its_capitals_fits(connection: Connection) -> None:
    body = draft(InvoiceNumber="İ" * 255, Reference="İ" * 300)
    assert upsert.store_records(connection, "invoices", [body]).skipped == 0
    assert Invoice.objects.get().number_key == ("İ" * 255).lower()[:255]


def test_lists_of_anything_but_objects_are_empty() -> None:
    odd = parse_invoice(
        {"LineItems": "none", "Payments": [None, 1], "Contact": [], "CreditNotes": {}}
    )
    assert (odd.lines, odd.payments, odd.contact.name, odd.credits) == ((), (), "", ())


def test_item_without_details_has_empty_prices() -> None:
    item = parse_item({"Code": "BARE"})
    assert (item.sales.unit_price, item.sales.account_code, item.cost) == (None, "", None)


@pytest.mark.parametrize(
    ("terms", "days"),
    [
        ({"Day": 20, "Type": "DAYSAFTERBILLDATE"}, 20),
        ({"Day": "20", "Type": "DAYSAFTERBILLDATE"}, 20),
        ({"Day": 20, "Type": "OFFOLLOWINGMONTH"}, None),
        ({"Day": "", "Type": "DAYSAFTERBILLDATE"}, None),
        ({"Day": -3, "Type": "DAYSAFTERBILLDATE"}, None),
        ({"Day": Decimal("1.5"), "Type": "DAYSAFTERBILLDATE"}, None),
        ([], None),
    ],
)
def test_terms_of_payment_are_days_or_nothing(terms: Any, days: int | None) -> None:
    assert parse_organisation({"PaymentTerms": {"Sales": terms}}).sale_days == days


@pytest.mark.parametrize("system", [{"odd": 1}, ["DEBTORS"], 7, None, "DEBTORS", "GST"])
def test_account_is_offered_for_lines_unless_it_is_xeros_own(
    connection: Connection, system: Any
) -> None:
    body = {"AccountID": str(uuid4()), "Code": "610", "Name": "Any", "SystemAccount": system}
    upsert.store_records(connection, "accounts", [body])
    offered = [] if system == "DEBTORS" else [("Other", [("610", "610 Any")])]
    assert choices.list_line_accounts(connection, "ACCREC") == offered


def test_what_a_payment_is_for_is_found_wherever_xero_puts_it() -> None:
    zero = "00000000-0000-0000-0000-000000000000"
    nested = parse_paid_document({"Invoice": {"Type": "APOVERPAYMENT", "InvoiceID": zero}})
    assert (nested.kind, nested.xero_id) == ("overpayment", None)
    assert parse_paid_document({"CreditNoteNumber": "CN-7"}).number == "CN-7"
    assert parse_paid_document({"Invoice": {"Type": "ACCPAY"}}).kind == "invoice"
    assert parse_paid_document({}).kind == ""


def test_accounts_page_of_an_account_that_says_nothing(
    as_member: Client, connection: Connection
) -> None:
    body = {"AccountID": str(uuid4()), "Description": {"odd": 1}}
    upsert.store_records(connection, "accounts", [body])
    assert as_member.get(f"{HERE}/accounts/{body['AccountID']}/").status_code == 200
    assert Account.objects.get().status == "ACTIVE"
