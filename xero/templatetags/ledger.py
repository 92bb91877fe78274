"""Tags and filters of the ledger's templates: `{% load ledger %}`."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils import formats
from django.utils.safestring import SafeString

from xero.models import Invoice

register = template.Library()

ACCOUNT_CLASSES = {
    "ASSET": "Assets",
    "EQUITY": "Equity",
    "EXPENSE": "Expenses",
    "LIABILITY": "Liabilities",
    "REVENUE": "Revenue",
}
ACCOUNT_TYPES = {
    "BANK": "Bank",
    "CURRENT": "Current asset",
    "CURRLIAB": "Current liability",
    "DEPRECIATN": "Depreciation",
    "DIRECTCOSTS": "Direct costs",
    "EQUITY": "Equity",
    "EXPENSE": "Expense",
    "FIXED": "Fixed asset",
    "INVENTORY": "Inventory",
    "LIABILITY": "Liability",
    "NONCURRENT": "Non-current asset",
    "OTHERINCOME": "Other income",
    "OVERHEADS": "Overhead",
    "PREPAYMENT": "Prepayment",
    "REVENUE": "Revenue",
    "SALES": "Sales",
    "TERMLIAB": "Non-current liability",
}


@register.simple_tag
def document_status(status: str) -> SafeString:
    """Return the pill of an invoice's, bill's, payment's, contact's or account's status at Xero."""
    return _status_pill(status)


@lru_cache(maxsize=64)  # a list has it in every row
def _status_pill(status: str) -> SafeString:
    return render_to_string("xero/_status.html", {"status": status})


@register.filter
def days_overdue(document: Invoice, today: date) -> int:
    """Return how many days the due date is past while money is due; 0 when nothing is overdue."""
    open_ = (
        document.status == "AUTHORISED"
        and document.amount_due > 0
        and document.due_date is not None
    )
    return max(0, (today - document.due_date).days) if open_ and document.due_date else 0


@register.filter
def of(mapping: Mapping[str, Any], key: Any) -> Any:
    """Return the value under a key that is itself a variable: `{{ names|of:code }}`; empty without
    one.
    """
    return mapping.get(str(key), "")


@register.filter
def account_type(code: str) -> str:
    """Return the name of an account's type; Xero's own code where it is new."""
    return ACCOUNT_TYPES.get(code, code)


@register.filter
def account_class(code: str) -> str:
    return ACCOUNT_CLASSES.get(code, code or "Other")


@register.filter
def figure(number: Decimal | int | None) -> str:
    """Format a quantity, rate or unit price without needless zeros, with two decimals where it has
    any.
    """
    if number is None or number == "":
        return ""
    places = -int(Decimal(number).normalize().as_tuple().exponent)
    return formats.number_format(
        number, decimal_pos=max(places, 2) if places > 0 else 0, force_grouping=True
    )


@register.filter
def price(number: Decimal | int | None) -> str:
    """Format a unit price with two to four decimals."""
    if number is None or number == "":
        return ""
    places = -int(Decimal(number).normalize().as_tuple().exponent)
    return formats.number_format(number, decimal_pos=min(max(places, 2), 4), force_grouping=True)
