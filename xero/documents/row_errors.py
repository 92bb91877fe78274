"""What Xero says of an invoice's lines, shown at the rows of its form."""

from collections.abc import Mapping, Sequence
from typing import Any

from xero.api.answers import renumber_line, split_place
from xero.documents.forms import RowForm
from xero.forms import is_blank

LINE = "line"
# (what a message about a line holds, in lower case; the field it belongs to), first match wins
SPEAKS_OF = (
    ("account", "account_code"),
    ("tax", "tax_type"),
    ("item", "item_code"),
    ("tracking", "tracking"),
    ("discount", "discount_rate"),
    ("quantity", "quantity"),
    ("unit", "unit_amount"),
    ("amount", "unit_amount"),
)
# A message without a place names a line's code instead.
CODES = {"account_code": "account code", "tax_type": "taxtype", "item_code": "item code"}


def as_shown(rows: Sequence[Mapping[str, Any]], refused: Sequence[str]) -> list[str]:
    """Number the lines as the page does: blank rows count there, and are not sent to Xero."""
    shown = [number for number, row in enumerate(rows, 1) if not is_blank(row)]
    found = []
    for message in refused:
        about, number, _ = split_place(message)
        is_line = about == LINE and 0 < number <= len(shown)
        found.append(renumber_line(message, shown[number - 1]) if is_line else message)
    return found


def show(rows: Sequence[RowForm], refused: Sequence[str]) -> None:
    """Add each message to the row and field that it is about."""
    sent = [row for row in rows if not row.blank and row.is_valid()]
    for message in refused:
        about, number, words = split_place(message)
        for row in sent:
            if about == LINE and row.number != number - 1:
                continue
            field = _field_of(words) if about == LINE else _named_field(row.cleaned_data, message)
            if field:
                row.add_error(field, words)


def _field_of(words: str) -> str:
    lower = words.lower()
    return next((field for part, field in SPEAKS_OF if part in lower), "description")


def _named_field(line: Mapping[str, Any], message: str) -> str:
    for field, spoken in CODES.items():
        code = line.get(field)
        if code and message.lower().startswith((spoken, f"the {spoken}")) and _names(message, code):
            return field
    return ""


def _names(message: str, code: str) -> bool:
    return f"'{code}'" in message or f" {code} " in message
