"""What the forms of Xero's actions take and refuse, from pages and from steps (reliability table
C3).
"""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from xero import days
from xero.fields import ExactAmountField, RelativeDayField, TextField, TrackingField, WordsField
from xero.forms import CreateContactForm, CreateInvoiceForm, CreatePaymentForm
from xero.line_forms import LineForm

ID = "d3b1c1f4-6d0e-4a53-9f0c-2f7d5f1b2a10"
LINE = {"description": "Consulting", "quantity": "1", "unit_amount": "10"}


@pytest.mark.parametrize(
    ("given_", "amount"),
    [
        ("1234.5", "1234.5"),
        ("1,234.50", "1234.50"),
        ("1,000,000", "1000000"),
        (" 5 ", "5"),
        (".5", "0.5"),
        ("-0", "0"),
        ("-3.10", "-3.10"),
        (7, "7"),
        (Decimal("0.10"), "0.10"),
    ],
)
def test_amount_is_exact(given_: Any, amount: str) -> None:
    found = ExactAmountField().clean(given_)
    assert isinstance(found, Decimal)
    assert found == Decimal(amount)
    assert not found.is_signed() or found < 0


@pytest.mark.parametrize(
    "given_",
    [
        "1.000,00",
        "1,00",
        "1e3",
        "NaN",
        "Infinity",
        "0.005",
        "0.1+0.2",
        "٥",
        "1" * 30,
        "1.234",
        "$5",
        ".",
        "-",
        "12 000",
        0.1,
        True,
        [1],
        {"a": 1},
        Decimal("NaN"),
        "5\x00",
    ],
)
def test_amount_is_refused(given_: Any) -> None:
    form = CreatePaymentForm({"invoice_id": ID, "account_id": ID, "amount": given_})
    assert list(form.errors) == ["amount"]


@given(st.text(max_size=20))
def test_amount_never_breaks(text: str) -> None:
    form = CreatePaymentForm({"invoice_id": ID, "account_id": ID, "amount": text})
    if form.is_valid() and text.strip():
        assert 0 < form.cleaned_data["amount"] < 10**10


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-02-29", date(2024, 2, 29)),
        ("29/2/2024", date(2024, 2, 29)),
        ("+30", date(2026, 12, 15)),
        ("-1", date(2026, 11, 14)),
        ("+2w", date(2026, 11, 29)),
        ("+1m", date(2026, 12, 15)),
        ("eom", date(2026, 11, 30)),
        ("+1m eom", date(2026, 12, 31)),
        ("EOM", date(2026, 11, 30)),
        ("today", date(2026, 11, 15)),
    ],
)
def test_day_counts_from_another(text: str, day: date) -> None:
    found = RelativeDayField().clean(text)
    assert isinstance(found, days.Day)
    assert found.on(date(2026, 11, 15)) == day


@pytest.mark.parametrize(
    "text",
    ["31/11/2026", "2026-02-30", "0000-01-01", "9999-12-31", "soon", "+", "20261123", "\x00"],
)
def test_day_is_refused(text: str) -> None:
    form = CreatePaymentForm({"invoice_id": ID, "account_id": ID, "date": text})
    assert list(form.errors) == ["date"]


@given(st.text(max_size=12))
def test_day_never_breaks(text: str) -> None:
    CreatePaymentForm({"invoice_id": ID, "account_id": ID, "date": text}).is_valid()


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "a\x1bb"])
def test_text_that_cannot_be_stored_is_refused(text: str) -> None:
    assert list(CreateContactForm({"name": text}).errors) == ["name"]


def test_lines_come_as_rows_of_a_page_or_as_json() -> None:
    posted = QueryDict(mutable=True)
    posted.update({"contact_id": ID, "lines-3-description": "Second", "lines-3-unit_amount": "2"})
    posted.update(
        {"lines-0-description": "First", "lines-0-quantity": "1", "lines-1-quantity": "1"}
    )
    page = CreateInvoiceForm(posted)
    assert page.is_valid(), page.errors
    assert [line["description"] for line in page.cleaned_data["lines"]] == ["First", "Second"]
    step = CreateInvoiceForm(
        {"contact_id": ID, "lines": '[{"description": "First", "unit_amount": 0.1}]'}
    )
    assert step.is_valid(), step.errors
    assert step.cleaned_data["lines"][0]["unit_amount"] == Decimal("0.1")


def test_errors_of_lines_stand_at_their_rows() -> None:
    posted = QueryDict(mutable=True)
    posted.update(
        {
            "contact_id": ID,
            "lines-0-quantity": "1",
            "lines-1-description": "x",
            "lines-1-unit_amount": "much",
        }
    )
    form = CreateInvoiceForm(posted)
    assert form.errors["lines"] == ["Line 2, Unit price: Give a number, such as 1234.50."]
    assert [dict(row.errors) for row in form.line_forms] == [
        {},
        {"unit_amount": ["Give a number, such as 1234.50."]},
    ]


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "[]",
        "{}",
        "5",
        "[5]",
        "[[]]",
        "not json",
        "[" * 100_000,
        [{"description": ""}],
        [LINE] * 201,
    ],
)
def test_lines_that_are_none_are_refused(lines: Any) -> None:
    assert list(CreateInvoiceForm({"contact_id": ID, "lines": lines}).errors) == ["lines"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"status": "AUTHORISED"}, "due_date"),
        ({"type": "ACCPAY", "reference": "R"}, "reference"),
        ({"type": "ACCRECCREDIT"}, "type"),
        ({"currency": "EURO"}, "currency"),
        ({"currency": "E1R"}, "currency"),
        ({"contact_id": ""}, "contact_id"),
        ({"contact_id": "../x"}, "contact_id"),
        ({"number": "x" * 256}, "number"),
    ],
)
def test_invoice_is_refused(more: dict[str, Any], field: str) -> None:
    form = CreateInvoiceForm({"contact_id": ID, "lines": [LINE]} | more)
    assert list(form.errors) == [field]


def test_tracking_is_taken_as_text_and_as_list() -> None:
    for tracking in (
        "Region: North; Team: A",
        [{"name": "Region", "option": "North"}, {"name": "Team", "option": "A"}],
    ):
        form = LineForm(LINE | {"tracking": tracking})
        assert form.is_valid(), form.errors
        assert form.cleaned_data["tracking"] == [
            {"name": "Region", "option": "North"},
            {"name": "Team", "option": "A"},
        ]


@pytest.mark.parametrize(
    "tracking",
    [
        "A: 1; B: 2; C: 3",
        "A: 1; a: 2",
        "A",
        ": 1",
        ["A"],
        [7],
        7,
        [{"name": "A"}],
        [{"name": "A", "option": None}],
    ],
)
def test_tracking_is_refused(tracking: Any) -> None:
    assert list(LineForm(LINE | {"tracking": tracking}).errors) == ["tracking"]


def test_tracking_of_selects_may_hold_any_mark() -> None:
    pairs = [TrackingField.pair("Region: NZ", "North; far"), TrackingField.pair("Team", "A: first")]
    assert TrackingField().clean(pairs) == [
        {"name": "Region: NZ", "option": "North; far"},
        {"name": "Team", "option": "A: first"},
    ]
    assert TrackingField().clean(pairs[0]) == [{"name": "Region: NZ", "option": "North; far"}]


def test_words_are_split_checked_and_once() -> None:
    assert WordsField(choices=["PAID"]).clean("paid, PAID,") == ["PAID"]
    assert TextField(required=False).clean(None) == ""


def test_xeros_words_stand_at_their_fields() -> None:
    form = CreateInvoiceForm({"contact_id": ID, "lines": [LINE]})
    assert form.is_valid()
    form.add_refusal(
        ["Invoice # must be unique.", "Account code must be specified", "The moon is full."]
    )
    assert {name: list(errors) for name, errors in form.errors.items()} == {
        "number": ["Invoice # must be unique."],
        "lines": ["Account code must be specified"],
        "__all__": ["The moon is full."],
    }


def test_contact_needs_both_halves_of_its_terms() -> None:
    assert list(CreateContactForm({"name": "A", "sales_terms_day": "14"}).errors) == [
        "sales_terms_day"
    ]
    form = CreateContactForm(
        {"name": "  A   B ", "sales_terms_day": "0", "sales_terms": "OFCURRENTMONTH"}
    )
    assert form.is_valid(), form.errors
    assert form.cleaned_data["name"] == "A B"
