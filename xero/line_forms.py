"""The lines of a document as forms: rows that a page posts, or JSON that a step gives.

A page posts `lines-0-description` and so on; a step gives `lines` as JSON: [{"description": …,
"quantity": …, "unit_amount": …, "account_code": …}].
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from taskjuice.form_sizes import MOST_LINES
from taskjuice.row_fields import RowsField
from xero.fields import ExactAmountField, TextField, TrackingField
from xero.records.line_names import as_form_row


class LineForm(forms.Form):
    """A line of an invoice or bill."""

    item_code = TextField(label="Item", required=False, max_length=30)
    description = TextField(label="Description", required=False, max_length=4000, strip=False)
    quantity = ExactAmountField(label="Quantity", required=False, places=4)
    unit_amount = ExactAmountField(label="Unit price", required=False, places=4)
    discount_rate = ExactAmountField(label="Discount %", required=False, places=4, least=Decimal(0))
    account_code = TextField(label="Account", required=False, max_length=10)
    tax_type = TextField(label="Tax rate", required=False, max_length=50)
    tracking = TrackingField(label="Tracking", required=False)

    def clean_discount_rate(self) -> Decimal | None:
        rate: Decimal | None = self.cleaned_data["discount_rate"]
        if rate is not None and rate > 100:
            raise ValidationError("A discount is at most 100 %.")
        return rate

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if not self.errors and not (cleaned.get("description") or cleaned.get("item_code")):
            self.add_error("description", "A line needs a description or an item.")
        return cleaned


class LinesWidget(forms.Widget):
    """A widget for rows posted as `lines-0-description`, or all together under the field's own
    name.
    """

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Any:
        if name in data:
            return data.get(name)
        rows: dict[int, dict[str, Any]] = {}
        for key in data:
            match = re.fullmatch(rf"{re.escape(name)}-(\d{{1,4}})-(\w+)", str(key), re.ASCII)
            if match and match[2] in LineForm.base_fields:
                rows.setdefault(int(match[1]), {})[match[2]] = _read_posted(data, key)
        return [rows[number] for number in sorted(rows)] or None


def _read_posted(data: Mapping[str, Any], key: str) -> Any:
    """Return a row's value; a list without empty ones where the page has several fields of one
    name.
    """
    if not isinstance(data, QueryDict) or len(data.getlist(key)) < 2:
        return data.get(key)
    return [value for value in data.getlist(key) if value]


class LinesField(RowsField):
    widget = LinesWidget
    row_form = LineForm
    most = MOST_LINES

    def rows(self, value: Any) -> list[Mapping[str, Any]]:
        """Return the rows, also where they are lines as Xero's own records hold them."""
        return [as_form_row(row) for row in super().rows(value)]

    def is_blank(self, row: Mapping[str, Any]) -> bool:
        return is_blank(row)


def list_line_rows(value: Any) -> list[Mapping[str, Any]]:
    """Return the rows of a step's lines as typed; none where they cannot be rows."""
    try:
        return LinesField().rows(value)
    except ValidationError:
        return []


def is_blank(row: Mapping[str, Any]) -> bool:
    """Return whether a row was left empty, ignoring the quantity, which the page suggests."""
    return not any(str(value or "").strip() for name, value in row.items() if name != "quantity")
