"""The rows of an invoice's form: their choices, their forms, and the preview of the totals."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.safestring import SafeString

from connections.models import Connection
from taskjuice.form_sizes import MOST_LINES
from xero.documents import choices
from xero.documents.tax_rates import TaxRate
from xero.fields import TrackingField
from xero.line_forms import LineForm, LinesField, LinesWidget, is_blank
from xero.totals import InvoiceTotals, compute_totals

LINE_FIELDS = (
    "item_code",
    "description",
    "quantity",
    "unit_amount",
    "discount_rate",
    "account_code",
    "tax_type",
)
FIRST_ROWS = 3
MOST_SHOWN = 2 * MOST_LINES  # a page of many times more rows would be slow to render


class LineChoices:
    """The choices of an organisation for the lines of a document, read once per request."""

    def __init__(self, connection: Connection, type: str, rates: Mapping[str, TaxRate]) -> None:
        self.connection, self.type, self.rates = connection, type, rates
        self._items: dict[str, dict[str, Any] | None] = {}

    @cached_property
    def accounts(self) -> list[tuple[str, list[choices.Choice]]]:
        return choices.list_line_accounts(self.connection, self.type)

    @cached_property
    def taxes(self) -> list[choices.Choice]:
        usable = [rate for rate in self.rates.values() if rate.is_for(self.type)]
        return [(rate.type, rate.name) for rate in sorted(usable, key=lambda rate: rate.name)]

    @cached_property
    def tracking(self) -> list[tuple[str, list[str]]]:
        return choices.list_tracking(self.connection)

    @cached_property
    def account_codes(self) -> set[str]:
        return choices.list_account_codes(self.connection)

    @cached_property
    def account_taxes(self) -> dict[str, str]:
        return choices.map_account_taxes(self.connection)

    def find_item(self, code: str) -> dict[str, Any] | None:
        """Return the values that the item of this code fills into a line."""
        if code not in self._items:
            self._items[code] = choices.read_item_fields(self.connection, code, self.type)
        return self._items[code]


class RowForm(LineForm):
    """One row of the table. With `quiet` it shows no errors, while it is being filled in."""

    def __init__(
        self,
        line_choices: LineChoices,
        number: int,
        values: Mapping[str, Any],
        *,
        quiet: bool = False,
    ) -> None:
        prefix = f"lines-{number}"
        blank = is_blank(values)
        data = (
            None
            if blank or quiet
            else {f"{prefix}-{name}": value for name, value in values.items()}
        )
        super().__init__(data, prefix=prefix, initial=dict(values) or {"quantity": "1"})
        self.line_choices, self.number, self.blank = line_choices, number, blank
        self._set_widgets()

    def _set_widgets(self) -> None:
        of_line = f"of line {self.number + 1}"
        for name in LINE_FIELDS:
            self.fields[name].widget.attrs["aria-label"] = f"{self.fields[name].label} {of_line}"
        area = {"rows": 1, "aria-label": f"Description {of_line}"}
        self.fields["description"].widget = forms.Textarea(attrs=area)
        self.fields["item_code"].widget.attrs |= {"list": "items", "autocomplete": "off"}
        self._set_select("account_code", self.line_choices.accounts, of_line)
        self._set_select("tax_type", self.line_choices.taxes, of_line)

    def _set_select(self, name: str, options: Sequence[Any], of_line: str) -> None:
        """Turn a field into a select, in which a value that is no choice stays visible."""
        value = str(self[name].value() or "")
        flat = {code for _, group in options if isinstance(group, list) for code, _ in group}
        flat |= {code for code, label in options if isinstance(label, str)}
        extra = [(value, value)] if value and value not in flat else []
        label = self.fields[name].label
        widget = forms.Select(
            attrs={"aria-label": f"{label} {of_line}"}, choices=[("", "–"), *extra, *options]
        )
        self.fields[name].widget = widget

    @cached_property
    def tracking_selects(self) -> list[SafeString]:
        """One select per category, all of one name; unknown options in the data stay visible."""
        try:
            selected = {
                pair["name"]: pair["option"]
                for pair in TrackingField(required=False).clean(self["tracking"].value())
            }
        except ValidationError:  # nothing that a select could show
            selected = {}
        offered = dict(self.line_choices.tracking)
        names = [*offered, *(name for name in selected if name not in offered)]
        return [
            self._tracking_select(name, offered.get(name, []), selected.get(name, ""))
            for name in names
        ]

    def _tracking_select(self, name: str, options: Sequence[str], selected: str) -> SafeString:
        shown = [*options, *([selected] if selected and selected not in options else [])]
        pairs = [(TrackingField.pair(name, option), option) for option in shown]
        label = f"{name} of line {self.number + 1}"
        widget = forms.Select(choices=[("", f"{name} –"), *pairs], attrs={"aria-label": label})
        return widget.render(
            f"{self.prefix}-tracking", TrackingField.pair(name, selected) if selected else ""
        )

    def clean_tracking(self) -> list[dict[str, str]]:
        pairs: list[dict[str, str]] = self.cleaned_data["tracking"]
        offered = {
            (name, option) for name, options in self.line_choices.tracking for option in options
        }
        if any((pair["name"], pair["option"]) not in offered for pair in pairs):
            raise ValidationError("No such tracking option.")
        return pairs

    def clean_item_code(self) -> str:
        code: str = self.cleaned_data["item_code"].strip()
        if not code:
            return ""
        item = self.line_choices.find_item(code)
        if item is None:
            raise ValidationError("No such item.")
        return str(item["item_code"])

    def clean_account_code(self) -> str:
        code: str = self.cleaned_data["account_code"]
        if code and code not in self.line_choices.account_codes:
            raise ValidationError("No such account.")
        return code

    def clean_tax_type(self) -> str:
        type: str = self.cleaned_data["tax_type"]
        if type and self.line_choices.rates and type not in self.line_choices.rates:
            raise ValidationError("No such tax rate.")
        return type

    @property
    def is_unreadable(self) -> bool:
        """Return True if one of its numbers cannot be read."""
        return bool(self.errors.keys() & {"quantity", "unit_amount", "discount_rate"})

    def read_preview_values(self) -> dict[str, Any] | None:
        """Return the values, completed as Xero does it: from the item, then from the account.

        Return None for a blank row, or one whose numbers cannot be read.
        """
        if self.blank or self.is_unreadable:
            return None
        item = self.line_choices.find_item(self.cleaned_data.get("item_code", "")) or {}
        line = {name: self.cleaned_data.get(name) for name in LINE_FIELDS}
        line |= {name: item.get(name) for name, value in line.items() if value in (None, "")}
        line["unit_amount"] = None if line["unit_amount"] is None else Decimal(line["unit_amount"])
        line["tax_type"] = line["tax_type"] or self.line_choices.account_taxes.get(
            line["account_code"] or "", ""
        )
        return line


class DocumentRowsField(LinesField):
    """The lines of a document, checked against the choices of its organisation.

    The rows show their errors themselves; here they are listed at the top.
    """

    def __init__(self, line_choices: LineChoices) -> None:
        super().__init__(label="Lines", error_messages={"required": "Fill in at least one line."})
        self.line_choices = line_choices

    def clean(self, value: Any) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = super().clean(value)
        rows = [
            RowForm(self.line_choices, number, row) for number, row in enumerate(self.rows(value))
        ]
        problems = [
            f"Line {row.number + 1}, {row.fields[name].label}: {error}"
            for row in rows
            for name, errors in row.errors.items()
            for error in errors
        ]
        if problems:
            raise ValidationError(problems)
        return lines


def read_posted_rows(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows as typed, at most MOST_SHOWN of them."""
    return list(LinesWidget().value_from_datadict(data, {}, "lines") or [])[:MOST_SHOWN]


def build_row_forms(
    line_choices: LineChoices, values: Sequence[Mapping[str, Any]], *, quiet: bool = False
) -> list[RowForm]:
    return [RowForm(line_choices, number, row, quiet=quiet) for number, row in enumerate(values)]


def preview_totals(
    line_choices: LineChoices, rows: Sequence[RowForm], line_amount_types: str
) -> InvoiceTotals:
    """Return the totals that Xero will work out. The rows must not be `quiet`."""
    rates = {type: rate.rate for type, rate in line_choices.rates.items()}
    return compute_totals([row.read_preview_values() for row in rows], rates, line_amount_types)
