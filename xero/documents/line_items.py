"""What the buttons of an invoice's table do to its rows: add, remove, fill from an item. Nothing is
sent.
"""

from collections.abc import Sequence
from typing import Any

from taskjuice.form_sizes import MOST_LINES
from xero.documents.forms import FIRST_ROWS, Offer
from xero.forms import is_blank

Rows = list[dict[str, Any]]
ADDED = {"add1": 1, "add5": 5}


def edited(rows: Rows, do: str, offer: Offer) -> Rows:
    """`do` is a button's value: add1, add5, remove-3, item-3; anything else fills blanks from the
    items.
    """
    word, _, place = do.partition("-")
    number = int(place) if place.isascii() and place.isdigit() and len(place) < 5 else -1
    if do in ADDED:
        return (rows + [{} for _ in range(ADDED[do])])[: max(MOST_LINES, len(rows))]
    if word == "remove" and number < len(rows):
        left = [row for index, row in enumerate(rows) if index != number]
        return left or [{}]
    if word == "item":
        return [_filled(row, offer, anew=index == number) for index, row in enumerate(rows)]
    return [_filled(row, offer, anew=False) for row in rows] or [{} for _ in range(FIRST_ROWS)]


def _filled(row: dict[str, Any], offer: Offer, *, anew: bool) -> dict[str, Any]:
    """With what its item brings; `anew` also where something else was."""
    item = offer.item(str(row.get("item_code") or "")) or {}
    brought = {name: str(value) for name, value in item.items() if anew or not row.get(name)}
    return {**row, **brought}


def first_new(before: Sequence[Any], after: Sequence[dict[str, Any]]) -> int | None:
    """The row to go on in when some were added."""
    return len(before) if len(after) > len(before) and is_blank(after[-1]) else None
