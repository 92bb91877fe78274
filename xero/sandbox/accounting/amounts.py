"""Money as Xero computes it: Decimal only, rounded half up, tax per line to two places and then
summed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
FOUR_PLACES = Decimal("0.0001")
ZERO = Decimal("0.00")
ONE = Decimal("1.0000")
HUNDRED = Decimal(100)


def round_to(amount: Decimal, step: Decimal) -> Decimal:
    return amount.quantize(step, ROUND_HALF_UP)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def unit_step(unitdp: int) -> Decimal:
    return FOUR_PLACES if unitdp == 4 else CENT


@dataclass(frozen=True)
class Line:
    """The amounts of one line. `discount` is the money taken off Quantity times UnitAmount."""

    quantity: Decimal
    unit_amount: Decimal
    line_amount: Decimal
    discount: Decimal = ZERO


@dataclass(frozen=True)
class Totals:
    sub_total: Decimal
    total_tax: Decimal
    total: Decimal
    total_discount: Decimal


class LineTotalDiffers(Exception):
    def __init__(self, given: Decimal, expected: Decimal) -> None:
        super().__init__(
            f"The line total {given} does not match the expected line total {expected}"
        )


def expected_line(
    quantity: Decimal,
    unit_amount: Decimal,
    discount_rate: Decimal | None,
    discount_amount: Decimal | None,
) -> tuple[Decimal, Decimal]:
    """Return LineAmount and the discount in it. `discount_rate` is in per cent."""
    gross = quantity * unit_amount
    if discount_rate is not None:
        net = cents(gross * (HUNDRED - discount_rate) / HUNDRED)
    else:
        net = cents(gross - (discount_amount or ZERO))
    return net, cents(gross) - net


def complete_line(
    *,
    quantity: Decimal | None,
    unit_amount: Decimal | None,
    line_amount: Decimal | None,
    discount_rate: Decimal | None = None,
    discount_amount: Decimal | None = None,
    unitdp: int = 2,
) -> Line:
    """Fill in whichever of the three amounts is absent.

    Raises LineTotalDiffers if all three are given and disagree.
    """
    unit = None if unit_amount is None else round_to(unit_amount, unit_step(unitdp))
    if line_amount is not None and (quantity is None or unit is None):
        return _derive(quantity, unit, line_amount, unitdp)
    quantity = ONE if quantity is None else round_to(quantity, FOUR_PLACES)
    unit = unit if unit is not None else round_to(ZERO, unit_step(unitdp))
    expected, discount = expected_line(quantity, unit, discount_rate, discount_amount)
    if line_amount is not None and cents(line_amount) != expected:
        raise LineTotalDiffers(cents(line_amount), expected)
    return Line(quantity, unit, expected, discount)


def _derive(
    quantity: Decimal | None, unit: Decimal | None, line_amount: Decimal, unitdp: int
) -> Line:
    line_amount = cents(line_amount)
    if unit:
        return Line(round_to(line_amount / unit, FOUR_PLACES), unit, line_amount)
    quantity = round_to(quantity, FOUR_PLACES) if quantity else ONE
    return Line(quantity, round_to(line_amount / (quantity or ONE), unit_step(unitdp)), line_amount)


def tax_on(line_amount: Decimal, rate: Decimal, line_amount_types: str) -> Decimal:
    """Return the tax on one line.

    `rate` is in per cent, `line_amount_types` is Exclusive, Inclusive or NoTax.
    """
    if line_amount_types == "NoTax" or not rate:
        return ZERO
    if line_amount_types == "Inclusive":
        return cents(line_amount * rate / (HUNDRED + rate))
    return cents(line_amount * rate / HUNDRED)


def totals(lines: Sequence[tuple[Decimal, Decimal, Decimal]], line_amount_types: str) -> Totals:
    """Add up (line amount, tax, discount) triples."""
    amount = sum((line[0] for line in lines), ZERO)
    tax = sum((line[1] for line in lines), ZERO)
    discount = sum((line[2] for line in lines), ZERO)
    sub_total = amount - tax if line_amount_types == "Inclusive" else amount
    return Totals(sub_total, tax, sub_total + tax, discount)
