from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.xero.sandbox.accounting.api import Api, invoice, line
from xero.sandbox.accounting.amounts import LineTotalDiffers, cents, complete_line, tax_on, totals

D = Decimal
amounts = st.decimals(D("-100000"), D("100000"), places=2)
prices = st.decimals(D(0), D("100000"), places=2)
quantities = st.decimals(D(0), D("1000"), places=4)
rates = st.sampled_from([D(0), D(5), D(10), D(15), D(20), D("12.5")])


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("2.675", "2.68"),
        ("2.665", "2.67"),
        ("-2.675", "-2.68"),
        ("0.005", "0.01"),
        ("1.004", "1.00"),
    ],
)
def test_cents_rounds_half_away_from_zero(amount: str, rounded: str) -> None:
    assert str(cents(D(amount))) == rounded


def test_tax_is_rounded_per_line_and_then_summed(api: Api) -> None:
    """The worked example of Xero's rounding guide: 11.44, where the document's sum would give
    11.45.
    """
    lines = [line(UnitAmount=amount) for amount in (25.06, 25.61, 25.63)]
    made = api.write("PUT", "/Invoices", invoice(LineItems=lines))
    assert [one["TaxAmount"] for one in made["LineItems"]] == [D("3.76"), D("3.84"), D("3.84")]
    assert (made["SubTotal"], made["TotalTax"], made["Total"]) == (
        D("76.30"),
        D("11.44"),
        D("87.74"),
    )


def test_inclusive_amounts_contain_their_tax(api: Api) -> None:
    made = api.write(
        "PUT", "/Invoices", invoice(LineAmountTypes="Inclusive", LineItems=[line(UnitAmount=115)])
    )
    assert (made["SubTotal"], made["TotalTax"], made["Total"]) == (
        D("100.00"),
        D("15.00"),
        D("115.00"),
    )


def test_no_tax_documents_have_none(api: Api) -> None:
    made = api.write(
        "PUT", "/Invoices", invoice(LineAmountTypes="NoTax", LineItems=[line(TaxType="OUTPUT2")])
    )
    assert (made["TotalTax"], made["Total"]) == (D("0.00"), D("100.00"))
    assert made["LineItems"][0]["TaxType"] == "NONE"


def test_discount_rate_and_amount_are_taken_off_sales(api: Api) -> None:
    lines = [line(DiscountRate=10), line(DiscountAmount=5.55, TaxType="NONE")]
    made = api.write("PUT", "/Invoices", invoice(LineItems=lines))
    assert [one["LineAmount"] for one in made["LineItems"]] == [D("90.00"), D("94.45")]
    assert (made["TotalDiscount"], made["IsDiscounted"], made["Total"]) == (
        D("15.55"),
        True,
        D("197.95"),
    )


@pytest.mark.parametrize(
    ("given_", "quantity", "unit", "amount"),
    [
        ({"quantity": D(3), "line_amount": D(100)}, "3.0000", "33.33", "100.00"),
        ({"unit_amount": D(8), "line_amount": D(100)}, "12.5000", "8.00", "100.00"),
        ({"line_amount": D(100)}, "1.0000", "100.00", "100.00"),
        ({"unit_amount": D("20")}, "1.0000", "20.00", "20.00"),
        ({"quantity": D(2)}, "2.0000", "0.00", "0.00"),
    ],
)
def test_line_derives_what_is_absent(
    given_: dict[str, Decimal], quantity: str, unit: str, amount: str
) -> None:
    found = complete_line(
        quantity=given_.get("quantity"),
        unit_amount=given_.get("unit_amount"),
        line_amount=given_.get("line_amount"),
    )
    assert (str(found.quantity), str(found.unit_amount), str(found.line_amount)) == (
        quantity,
        unit,
        amount,
    )


def test_line_that_disagrees_with_its_total_is_refused(api: Api) -> None:
    answer = api.call(
        "PUT", "/Invoices", invoice(LineItems=[line(Quantity=5, UnitAmount=10, LineAmount=40)])
    )
    assert answer.status == 400
    assert answer.messages == ["The line total 40.00 does not match the expected line total 50.00"]


def test_unit_amounts_keep_four_places_only_when_asked(api: Api) -> None:
    body = invoice(LineItems=[line(Quantity=1000, UnitAmount=0.1234)])
    two = api.write("PUT", "/Invoices", body)
    four = api.write("PUT", "/Invoices", body, unitdp="4")
    assert (two["LineItems"][0]["UnitAmount"], two["SubTotal"]) == (D("0.12"), D("120.00"))
    assert (four["LineItems"][0]["UnitAmount"], four["SubTotal"]) == (D("0.1234"), D("123.40"))
    assert api.one(f"/Invoices/{four['InvoiceID']}")["LineItems"][0]["UnitAmount"] == D("0.12")
    assert api.one(f"/Invoices/{four['InvoiceID']}", unitdp="4")["LineItems"][0]["UnitAmount"] == D(
        "0.1234"
    )


def test_tax_amount_can_be_overridden(api: Api) -> None:
    made = api.write("PUT", "/Invoices", invoice(LineItems=[line(TaxAmount=14.99)]))
    assert (made["TotalTax"], made["Total"]) == (D("14.99"), D("114.99"))


@given(quantities, prices, st.one_of(st.none(), st.decimals(D(0), D(100), places=2)))
def test_line_amount_is_the_product_less_discount(
    quantity: Decimal, unit: Decimal, rate: Decimal | None
) -> None:
    found = complete_line(quantity=quantity, unit_amount=unit, line_amount=None, discount_rate=rate)
    exact = quantity * unit * (100 - (rate or 0)) / 100
    assert abs(found.line_amount - exact) <= D("0.005")
    assert found.line_amount + found.discount == cents(quantity * unit)
    again = complete_line(
        quantity=quantity, unit_amount=unit, line_amount=found.line_amount, discount_rate=rate
    )
    assert again == found


@given(quantities, prices, st.decimals(D("0.01"), D("10"), places=2))
def test_line_amount_off_by_a_cent_is_refused(
    quantity: Decimal, unit: Decimal, off: Decimal
) -> None:
    right = complete_line(quantity=quantity, unit_amount=unit, line_amount=None).line_amount
    with pytest.raises(LineTotalDiffers):
        complete_line(quantity=quantity, unit_amount=unit, line_amount=right + off)


@given(amounts, rates)
def test_tax_inclusive_and_exclusive_agree_within_a_cent(net: Decimal, rate: Decimal) -> None:
    tax = tax_on(net, rate, "Exclusive")
    assert abs(tax - net * rate / 100) <= D("0.005")
    assert abs(tax_on(net + tax, rate, "Inclusive") - tax) <= D("0.01")
    assert tax_on(-net, rate, "Exclusive") == -tax


@given(
    st.lists(st.tuples(amounts, rates), min_size=1, max_size=12),
    st.sampled_from(["Exclusive", "Inclusive", "NoTax"]),
)
def test_totals_are_the_sums_of_their_rounded_lines(
    lines: list[tuple[Decimal, Decimal]], types: str
) -> None:
    found = [(amount, tax_on(amount, rate, types), D("0.00")) for amount, rate in lines]
    sums = totals(found, types)
    assert sums.sub_total + sums.total_tax == sums.total
    assert sums.total_tax == sum(tax for _, tax, _ in found)
    assert sums.total == sum(amount for amount, _, _ in found) + (
        sums.total_tax if types == "Exclusive" else 0
    )
    assert sums.total.as_tuple().exponent == -2
