"""What an invoice will come to, as Xero computes it: each line's amount and tax rounded half up to
cents, then summed.

A preview only; what counts is Xero's answer. `None` stands for what cannot be known yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
HUNDRED = Decimal(100)
INCLUSIVE, NO_TAX = "Inclusive", "NoTax"


@dataclass(frozen=True, slots=True)
class LineAmounts:
    """`tax` None: the rate of its tax type is not known here."""

    amount: Decimal
    tax_type: str
    tax: Decimal | None


@dataclass(frozen=True, slots=True)
class Totals:
    """`taxes` per tax type, in order of appearance. `complete`: every line's tax is known."""

    sub_total: Decimal
    taxes: Mapping[str, Decimal]
    total: Decimal
    complete: bool = True
    lines: Sequence[LineAmounts | None] = field(default_factory=tuple)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def line_amount(line: Mapping[str, Any]) -> Decimal:
    """Quantity (1 where there is none) times price, less the discount in per cent."""
    quantity, price = line.get("quantity"), line.get("unit_amount")
    if price is None:
        return ZERO
    gross = (Decimal(1) if quantity is None else quantity) * price
    return cents(gross * (HUNDRED - (line.get("discount_rate") or ZERO)) / HUNDRED)


def tax_on(amount: Decimal, rate: Decimal, amounts_are: str) -> Decimal:
    """`rate` in per cent; in `Inclusive` amounts the tax is inside."""
    if amounts_are == NO_TAX or not rate:
        return ZERO
    base = HUNDRED + rate if amounts_are == INCLUSIVE else HUNDRED
    return cents(amount * rate / base)


def totals(
    lines: Sequence[Mapping[str, Any] | None], rates: Mapping[str, Decimal | None], amounts_are: str
) -> Totals:
    """Of cleaned lines with `tax_type` filled in; None for rows that nobody filled in."""
    found = [None if line is None else _amounts(line, rates, amounts_are) for line in lines]
    there = [line for line in found if line is not None]
    taxes: dict[str, Decimal] = {}
    for line in there:
        if line.tax_type and line.tax is not None and amounts_are != NO_TAX:
            taxes[line.tax_type] = taxes.get(line.tax_type, ZERO) + line.tax
    amount, tax = sum((line.amount for line in there), ZERO), sum(taxes.values(), ZERO)
    sub_total = amount - tax if amounts_are == INCLUSIVE else amount
    complete = all(line.tax is not None for line in there)
    return Totals(sub_total, taxes, sub_total + tax, complete, tuple(found))


def _amounts(
    line: Mapping[str, Any], rates: Mapping[str, Decimal | None], amounts_are: str
) -> LineAmounts:
    amount, type = line_amount(line), line.get("tax_type") or ""
    if amounts_are == NO_TAX or not type:
        return LineAmounts(amount, type, ZERO)
    rate = rates.get(type)
    return LineAmounts(amount, type, None if rate is None else tax_on(amount, rate, amounts_are))
