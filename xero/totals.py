"""The totals of an invoice as Xero computes them: each line's amount and tax rounded half up to
cents, then summed.

A preview only; Xero's answer counts. `None` stands for what cannot be known yet.
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
    """The amounts of a line. `tax` is None where the rate of its tax type is unknown."""

    amount: Decimal
    tax_type: str
    tax: Decimal | None


@dataclass(frozen=True, slots=True)
class InvoiceTotals:
    """The totals of an invoice.

    `taxes` per tax type, in order of appearance. `complete`: every line's tax is known.
    """

    sub_total: Decimal
    taxes: Mapping[str, Decimal]
    total: Decimal
    complete: bool = True
    lines: Sequence[LineAmounts | None] = field(default_factory=tuple)


def round_to_cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def compute_line_amount(line: Mapping[str, Any]) -> Decimal:
    """Return the quantity (1 where there is none) times the price, less the discount in per
    cent.
    """
    quantity, price = line.get("quantity"), line.get("unit_amount")
    if price is None:
        return ZERO
    gross = (Decimal(1) if quantity is None else quantity) * price
    return round_to_cents(gross * (HUNDRED - (line.get("discount_rate") or ZERO)) / HUNDRED)


def compute_tax(amount: Decimal, rate: Decimal, amounts_are: str) -> Decimal:
    """Return the tax on an amount, `rate` in per cent; `Inclusive` amounts contain it."""
    if amounts_are == NO_TAX or not rate:
        return ZERO
    base = HUNDRED + rate if amounts_are == INCLUSIVE else HUNDRED
    return round_to_cents(amount * rate / base)


def compute_totals(
    lines: Sequence[Mapping[str, Any] | None], rates: Mapping[str, Decimal | None], amounts_are: str
) -> InvoiceTotals:
    """Sum up cleaned lines with `tax_type` filled in; None stands for an empty row."""
    amounts = [None if line is None else _compute_line(line, rates, amounts_are) for line in lines]
    filled = [line for line in amounts if line is not None]
    taxes: dict[str, Decimal] = {}
    for line in filled:
        if line.tax_type and line.tax is not None and amounts_are != NO_TAX:
            taxes[line.tax_type] = taxes.get(line.tax_type, ZERO) + line.tax
    amount, tax = sum((line.amount for line in filled), ZERO), sum(taxes.values(), ZERO)
    sub_total = amount - tax if amounts_are == INCLUSIVE else amount
    complete = all(line.tax is not None for line in filled)
    return InvoiceTotals(sub_total, taxes, sub_total + tax, complete, tuple(amounts))


def _compute_line(
    line: Mapping[str, Any], rates: Mapping[str, Decimal | None], amounts_are: str
) -> LineAmounts:
    amount, type = compute_line_amount(line), line.get("tax_type") or ""
    if amounts_are == NO_TAX or not type:
        return LineAmounts(amount, type, ZERO)
    rate = rates.get(type)
    return LineAmounts(
        amount, type, None if rate is None else compute_tax(amount, rate, amounts_are)
    )
