"""Lines of Xero's documents under the names of our form, so that a step can copy them from an
output.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError

from xero.records.documents import parse_line

# Any of these and a row is one of Xero's; our own names are written small.
XEROS = frozenset(
    "AccountCode Description DiscountAmount DiscountRate ItemCode LineAmount LineItemID Quantity"
    " TaxType Tracking UnitAmount".split()
)
AMOUNT_OFF = (
    "A line with a fixed amount off ({0}) cannot be copied:"
    " give the lines one by one, the discount in %."
)


def as_form_row(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return one of Xero's lines as a row of LineForm, and any other row as it is.

    Xero's own ids and the amounts that it computes (tax, line amounts) are left out. Raises
    ValidationError where the copy would have another amount.
    """
    if XEROS.isdisjoint(row):
        return row
    line = parse_line(row)
    if line.discount_amount and line.discount_rate is None:
        raise ValidationError(AMOUNT_OFF.format(line.discount_amount))
    quantity, unit_amount = line.quantity, line.unit_amount
    if unit_amount is None and line.line_amount is not None:
        quantity, unit_amount = Decimal(1), line.line_amount
    values = {
        "item_code": line.item_code,
        "description": line.description,
        "quantity": quantity,
        "unit_amount": unit_amount,
        "discount_rate": line.discount_rate,
        "account_code": line.account_code,
        "tax_type": line.tax_type,
        "tracking": [
            {"name": category.name, "option": category.option} for category in line.tracking
        ],
    }
    return {name: value for name, value in values.items() if value not in (None, "", [])}
