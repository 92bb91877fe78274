"""Xero's messages about the lines of an invoice, assigned to the rows of the form."""

from collections.abc import Mapping, Sequence
from typing import Any

from xero.api.answers import renumber_line, split_position
from xero.documents.rows import RowForm
from xero.line_forms import is_blank

LINE = "line"
# (part of a message about a line, in lower case; the field it is about): the first match wins
FIELDS_BY_WORD = (
    ("account", "account_code"),
    ("tax", "tax_type"),
    ("item", "item_code"),
    ("tracking", "tracking"),
    ("discount", "discount_rate"),
    ("quantity", "quantity"),
    ("unit", "unit_amount"),
    ("amount", "unit_amount"),
)
# A message without a line number names the code of a line instead.
CODES = {"account_code": "account code", "tax_type": "taxtype", "item_code": "item code"}


def renumber_messages(rows: Sequence[Mapping[str, Any]], messages: Sequence[str]) -> list[str]:
    """Number the lines as the page does, where blank rows count too; Xero never got those."""
    shown = [number for number, row in enumerate(rows, 1) if not is_blank(row)]
    renumbered = []
    for message in messages:
        about, number, _ = split_position(message)
        is_line = about == LINE and 0 < number <= len(shown)
        renumbered.append(renumber_line(message, shown[number - 1]) if is_line else message)
    return renumbered


def add_row_errors(rows: Sequence[RowForm], messages: Sequence[str]) -> None:
    """Add each message to the row and field that it is about."""
    sent = [row for row in rows if not row.blank and row.is_valid()]
    for message in messages:
        about, number, words = split_position(message)
        for row in sent:
            if about == LINE and row.number != number - 1:
                continue
            field = (
                _find_field(words)
                if about == LINE
                else _find_field_by_code(row.cleaned_data, message)
            )
            if field:
                row.add_error(field, words)


def _find_field(words: str) -> str:
    lower = words.lower()
    return next((field for part, field in FIELDS_BY_WORD if part in lower), "description")


def _find_field_by_code(line: Mapping[str, Any], message: str) -> str:
    for field, spoken in CODES.items():
        code = line.get(field)
        if code and message.lower().startswith((spoken, f"the {spoken}")) and _names(message, code):
            return field
    return ""


def _names(message: str, code: str) -> bool:
    return f"'{code}'" in message or f" {code} " in message
