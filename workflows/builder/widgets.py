"""Widgets for rows of fields in the builder, each read back into one JSON value.

A row is dropped when it is empty, or by the button `do=drop:<name>-<number>`; one blank row always
follows.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from taskjuice import exact_json
from taskjuice.row_fields import RowsField
from workflows.builder.choices import BuilderChoices, Colleague, SecretChoice
from workflows.definition.conditions import OPERATORS, WITHOUT_VALUE
from workflows.definition.fields import ConditionField, ValuesField
from workflows.steps.http.fields import HeadersField, PairsField
from workflows.steps.send_email import AddressesField

# A comma inside an expression separates nothing; one that is left open reaches to the end.
ADDRESS = re.compile(r"(?:\{\{.*?(?:\}\}|\Z)|[^,])+", re.DOTALL)


def read_text(data: Mapping[str, Any], name: str) -> str:
    """Return the text as typed, without surrounding spaces and the NUL that PostgreSQL refuses."""
    return str(data.get(name) or "").replace("\x00", "").strip()


class _Rows(forms.Widget):
    columns: tuple[str, ...]
    most = 60

    def rows_of(self, data: Mapping[str, Any], name: str) -> list[dict[str, str]]:
        rows = []
        for number in range(self.most):
            if f"{name}-{number}-{self.columns[0]}" not in data:
                break
            row = {column: read_text(data, f"{name}-{number}-{column}") for column in self.columns}
            is_typed = any(row[column] for column in self.columns if column != "operator")
            if is_typed and data.get("do") != f"drop:{name}-{number}":
                rows.append(row)
        return rows

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}-0-{self.columns[0]}" not in data

    def id_for_label(self, id_: str) -> str:
        return f"{id_}-0-{self.columns[0]}" if id_ else ""


def _as_mapping(value: Any) -> dict[str, Any]:
    parsed = exact_json.loads(value) if isinstance(value, str) and value else value
    return parsed if isinstance(parsed, dict) else {}


def _as_rows(value: Any) -> list[dict[str, Any]]:
    """Return the rows; earlier releases stored named values as a mapping."""
    parsed = exact_json.loads(value) if isinstance(value, str) and value else value
    if isinstance(parsed, dict):
        return [{"name": name, "value": text} for name, text in parsed.items()]
    return [row for row in parsed if isinstance(row, dict)] if isinstance(parsed, list) else []


class ConditionRows(_Rows):
    """Rows of a condition: `<name>-match` all or any; `<name>-<n>-field`, `-operator`, `-value`."""

    template_name = "workflows/widgets/condition_rows.html"
    columns = ("field", "operator", "value")
    use_fieldset = True

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        match = "any" if data.get(f"{name}-match") == "any" else "all"
        return {"match": match, "rows": self.rows_of(data, name)}

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        condition = _as_mapping(value)
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
    """Rows of named values, `<name>-<n>-name` and `-value`, as a list that keeps their order."""

    template_name = "workflows/widgets/value_rows.html"
    columns: tuple[str, ...] = ("name", "value")
    use_fieldset = True

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return self.rows_of(data, name)

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        rows = [{column: row.get(column, "") for column in self.columns} for row in _as_rows(value)]
        context["widget"]["rows"] = [*rows, dict.fromkeys(self.columns, "")]
        return context


class HeaderRows(ValueRows):
    """Rows of headers: as ValueRows, and `-secret`, the name of one of the agency's secret
    values.
    """

    template_name = "workflows/widgets/header_rows.html"
    columns = ("name", "value", "secret")

    def __init__(self, secrets: Sequence[SecretChoice]) -> None:
        super().__init__()
        self.secrets = secrets

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        names = {secret.name for secret in self.secrets}
        context["widget"] |= {"secrets": self.secrets, "known": names}
        return context


class FormRows(_Rows):
    """Rows of a form, `<name>-<n>-<field of the row's form>`, stored without empty values.

    Rows that are given as one text (an expression that gives them all, JSON) are edited as that
    text, under the field's own name, until it is emptied.
    """

    template_name = "workflows/widgets/form_rows.html"
    use_fieldset = True

    def __init__(self, field: RowsField) -> None:
        super().__init__()
        self.fields, self.word, self.most = field.row_form.base_fields, field.word, field.most
        self.columns = tuple(self.fields)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        if whole := read_text(data, name):
            return whole
        rows = self.rows_of(data, name)
        return [{column: typed for column, typed in row.items() if typed} for row in rows]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in data and super().value_omitted_from_data(data, files, name)

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        whole = value if isinstance(value, str) else ""
        rows = [] if whole else [*_as_rows(value), {}]
        context["widget"] |= {
            "whole": whole,
            "word": self.word,
            "rows": [self._cells(row) for row in rows],
        }
        return context

    def _cells(self, row: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
        """Return (field, label, value) of each field."""
        return [(name, str(field.label), row.get(name, "")) for name, field in self.fields.items()]


class AddressesInput(forms.TextInput):
    """Addresses: `<name>-pick`, repeated, for ticked colleagues; `<name>` for others or
    expressions.

    `only_colleagues` has no input for others, and shows those that are stored so that they can be
    removed.
    """

    template_name = "workflows/widgets/addresses.html"

    def __init__(self, colleagues: Sequence[Colleague], *, only_colleagues: bool) -> None:
        super().__init__(attrs={"spellcheck": "false", "autocomplete": "off"})
        self.colleagues, self.use_fieldset = colleagues, only_colleagues

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        picked = data.getlist(f"{name}-pick") if hasattr(data, "getlist") else []
        if name not in data and not picked:
            return None
        return ", ".join(
            [
                *dict.fromkeys(address.lower() for address in picked),
                *_split_addresses(data.get(name)),
            ]
        )

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        colleague_addresses = {colleague.address for colleague in self.colleagues}
        addresses = _split_addresses(value)
        others = [address for address in addresses if address.lower() not in colleague_addresses]
        context = super().get_context(name, ", ".join(others), attrs)
        picked = {address.lower() for address in addresses}
        rows = [(colleague, colleague.address in picked) for colleague in self.colleagues]
        context["widget"] |= {
            "colleagues": rows,
            "has_others": bool(others) or not self.use_fieldset,
        }
        return context


def _split_addresses(value: Any) -> list[str]:
    return [part.strip() for part in ADDRESS.findall(str(value or "")) if part.strip()]


def editor_widget(field: forms.Field, choices: BuilderChoices) -> forms.Widget:
    """Return the widget that edits a field in the builder, where texts may have expressions."""
    match field:
        case ConditionField():
            return ConditionRows()
        case HeadersField():  # before the rows that it extends
            return HeaderRows(choices.secrets)
        case ValuesField() | PairsField():
            return ValueRows()
        case RowsField():
            return FormRows(field)
        case AddressesField():
            return AddressesInput(choices.colleagues, only_colleagues=field.only_colleagues)
    kept = forms.Select | forms.CheckboxInput | forms.Textarea
    if isinstance(field.widget, kept):
        return field.widget
    return forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"})
