"""The edits by the buttons of an invoice's table to its rows: add, remove, fill from an item.

Nothing is sent to Xero.
"""

from collections.abc import Sequence
from typing import Any

from taskjuice.form_sizes import MOST_LINES
from xero.documents.rows import FIRST_ROWS, LineChoices
from xero.line_forms import is_blank

Rows = list[dict[str, Any]]
ADDED = {"add1": 1, "add5": 5}


def edit_rows(rows: Rows, do: str, line_choices: LineChoices) -> Rows:
    """Return the rows after a button was pressed.

    `do` is the value of the button: add1, add5, remove-3, item-3. Any other value fills blank
    fields from the items.
    """
    verb, _, digits = do.partition("-")
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 5 else -1
    if do in ADDED:
        return (rows + [{} for _ in range(ADDED[do])])[: max(MOST_LINES, len(rows))]
    if verb == "remove" and number < len(rows):
        remaining = [row for index, row in enumerate(rows) if index != number]
        return remaining or [{}]
    if verb == "item":
        return [
            _fill_from_item(row, line_choices, overwrite=index == number)
            for index, row in enumerate(rows)
        ]
    return [_fill_from_item(row, line_choices, overwrite=False) for row in rows] or [
        {} for _ in range(FIRST_ROWS)
    ]


def _fill_from_item(
    row: dict[str, Any], line_choices: LineChoices, *, overwrite: bool
) -> dict[str, Any]:
    """Fill the blank fields of a row from its item, with `overwrite` all that the item has."""
    item = line_choices.find_item(str(row.get("item_code") or "")) or {}
    values = {name: str(value) for name, value in item.items() if overwrite or not row.get(name)}
    return {**row, **values}


def find_first_new_row(before: Sequence[Any], after: Sequence[dict[str, Any]]) -> int | None:
    """Return the index of the row to focus after rows were added."""
    return len(before) if len(after) > len(before) and is_blank(after[-1]) else None
