"""How the builder edits what is more than one line of text: rows of fields, read back into one JSON value.

A row is dropped when nothing is typed in it, or by the button `do=drop:<name>-<number>`; one blank row always follows.
"""

from collections.abc import Mapping
from typing import Any

from django import forms

from connections import exact
from workflows.actions import ConditionField, ValuesField
from workflows.conditions import OPERATORS, WITHOUT_VALUE
from workflows.request_fields import HeadersField, PairsField

MAX_ROWS = 60


def text(data: Mapping[str, Any], name: str) -> str:
    """What was typed, without the NUL that PostgreSQL refuses and spaces around it."""
    return str(data.get(name) or "").replace("\x00", "").strip()


class _Rows(forms.Widget):
    columns: tuple[str, ...]

    def rows_of(self, data: Mapping[str, Any], name: str) -> list[dict[str, str]]:
        found = []
        for number in range(MAX_ROWS):
            if f"{name}-{number}-{self.columns[0]}" not in data:
                break
            row = {column: text(data, f"{name}-{number}-{column}") for column in self.columns}
            is_typed = any(row[column] for column in self.columns if column != "operator")
            if is_typed and data.get("do") != f"drop:{name}-{number}":
                found.append(row)
        return found

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}-0-{self.columns[0]}" not in data

    def id_for_label(self, id_: str) -> str:
        return f"{id_}-0-{self.columns[0]}" if id_ else ""


def _mapping(value: Any) -> dict[str, Any]:
    found = exact.loads(value) if isinstance(value, str) and value else value
    return found if isinstance(found, dict) else {}


def _list(value: Any) -> list[dict[str, Any]]:
    """Rows; from a mapping as older versions hold named values."""
    found = exact.loads(value) if isinstance(value, str) and value else value
    if isinstance(found, dict):
        return [{"name": name, "value": text} for name, text in found.items()]
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


class ConditionRows(_Rows):
    """`<name>-match` all or any; `<name>-<n>-field`, `-operator`, `-value`."""

    template_name = "workflows/widgets/condition_rows.html"
    columns = ("field", "operator", "value")
    use_fieldset = True

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        match = "any" if data.get(f"{name}-match") == "any" else "all"
        return {"match": match, "rows": self.rows_of(data, name)}

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        condition = _mapping(value)
        rows = [row for row in condition.get("rows") or [] if isinstance(row, dict)]
        own = {
            "match": condition.get("match", "all"),
            "rows": [*rows, {"operator": "equals"}],
            "operators": OPERATORS,
            "without_value": WITHOUT_VALUE,
        }
        context = super().get_context(name, value, attrs)
        context["widget"] |= own
        return context


class ValueRows(_Rows):
    """`<name>-<n>-name`, `-value`: a list, so that the rows keep their order."""

    template_name = "workflows/widgets/value_rows.html"
    columns: tuple[str, ...] = ("name", "value")
    use_fieldset = True

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return self.rows_of(data, name)

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        rows = [{column: row.get(column, "") for column in self.columns} for row in _list(value)]
        context["widget"]["rows"] = [*rows, dict.fromkeys(self.columns, "")]
        return context


class HeaderRows(ValueRows):
    """As above, and `-secret`: the name of a secret value that follows the value."""

    template_name = "workflows/widgets/header_rows.html"
    columns = ("name", "value", "secret")


def editor_widget(field: forms.Field) -> forms.Widget:
    """What the builder edits a field with: anything typed may be text with expressions."""
    match field:
        case ConditionField():
            return ConditionRows()
        case HeadersField():  # before the rows that it extends
            return HeaderRows()
        case ValuesField() | PairsField():
            return ValueRows()
    kept = forms.Select | forms.CheckboxInput | forms.Textarea
    if isinstance(field.widget, kept):
        return field.widget
    return forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"})
