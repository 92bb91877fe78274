"""The preview of totals, held against the sandbox's own arithmetic and Xero's published example."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xero.sandbox.accounting import amounts as xero_amounts
from xero.totals import compute_line_amount, compute_totals

RATES = {
    "OUTPUT2": Decimal(15),
    "RROUTPUT": Decimal(5),
    "ZERORATED": Decimal(0),
    "ODD": Decimal("12.375"),
}


def number(places: int, largest: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(-largest, largest, places=places, allow_nan=False, allow_infinity=False)


LINES = st.lists(
    st.fixed_dictionaries(
        {
            "quantity": st.none() | number(4, 10_000),
            "unit_amount": st.none() | number(4, 1_000_000),
            "discount_rate": st.none() | st.decimals(0, 100, places=2),
            "tax_type": st.sampled_from(sorted(RATES)),
        }
    ),
    max_size=8,
)


@given(lines=LINES, amounts_are=st.sampled_from(["Exclusive", "Inclusive", "NoTax"]))
def test_totals_are_those_of_the_sandbox(
    lines: list[dict[str, Decimal | str | None]], amounts_are: str
) -> None:
    expected = []
    for line in lines:
        quantity, price, rate = line["quantity"], line["unit_amount"], line["discount_rate"]
        assert not isinstance(quantity, str)
        assert not isinstance(price, str)
        assert not isinstance(rate, str)
        found = xero_amounts.complete_line(
            quantity=quantity, unit_amount=price, line_amount=None, discount_rate=rate, unitdp=4
        )
        tax = xero_amounts.tax_on(found.line_amount, RATES[str(line["tax_type"])], amounts_are)
        expected.append((found.line_amount, tax, found.discount))
    theirs = xero_amounts.totals(expected, amounts_are)
    ours = compute_totals(lines, RATES, amounts_are)
    assert (ours.sub_total, ours.total) == (theirs.sub_total, theirs.total)
    assert sum(ours.taxes.values(), Decimal(0)) == theirs.total_tax


def test_tax_is_rounded_per_line_as_in_xeros_rounding_guide() -> None:
    lines = [
        {"unit_amount": Decimal(price), "tax_type": "OUTPUT2"}
        for price in ("25.06", "25.61", "25.63")
    ]
    found = compute_totals(lines, RATES, "Exclusive")
    assert (found.sub_total, found.taxes, found.total) == (
        Decimal("76.30"),
        {"OUTPUT2": Decimal("11.44")},
        Decimal("87.74"),
    )


@pytest.mark.parametrize(
    ("quantity", "price", "discount", "amount"),
    [
        ("1", "0.005", None, "0.01"),
        ("1", "-0.005", None, "-0.01"),
        ("3", "33.335", None, "100.01"),
        ("2", "1000.1234", "10", "1800.22"),
        (None, "12.5", None, "12.50"),
        ("5", None, None, "0.00"),
        ("1", "99.99", "100", "0.00"),
    ],
)
def test_line_is_rounded_half_up_to_cents(
    quantity: str | None, price: str | None, discount: str | None, amount: str
) -> None:
    values = {"quantity": quantity, "unit_amount": price, "discount_rate": discount}
    line = {name: None if value is None else Decimal(value) for name, value in values.items()}
    assert compute_line_amount(line) == Decimal(amount)


def test_unknown_rate_is_said_and_not_guessed() -> None:
    found = compute_totals(
        [{"unit_amount": Decimal(10), "tax_type": "NEW"}, None], RATES, "Exclusive"
    )
    assert (found.complete, found.total, found.lines[1]) == (False, Decimal("10.00"), None)
