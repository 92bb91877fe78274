"""A form field that is a list of rows, each with fields of its own: the lines of an invoice."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from taskjuice import exact_json

Row = Mapping[str, Any]


class RowsField(forms.Field):
    """A field that takes a list of mappings, or the same as JSON.

    Cleaned: the `cleaned_data` of `row_form` for each row that is not blank.
    """

    row_form: ClassVar[type[forms.Form]]
    word: ClassVar[str] = "line"  # what people call a row
    most: ClassVar[int] = 200

    def to_python(self, value: Any) -> list[dict[str, Any]]:
        rows = self.rows(value)
        if sum(not self.is_blank(row) for row in rows) > self.most:
            raise ValidationError(f"Give at most {self.most} {self.word}s.")
        cleaned, problems = self._judged(rows, lambda typed: False)
        if problems:
            raise ValidationError(problems)
        return cleaned

    def problems(self, value: Any, is_open: Callable[[Any], bool]) -> list[str]:
        """Return what is wrong whatever those values will be for which `is_open` is true."""
        try:
            return self._judged(self.rows(value), is_open)[1]
        except ValidationError as error:
            return error.messages

    def rows(self, value: Any) -> list[Row]:
        """Return the rows as they were given, blank ones too."""
        if value in self.empty_values:
            return []
        if isinstance(value, str):
            try:
                value = exact_json.loads(value)
            except ValueError as error:
                raise ValidationError(f"Give the {self.word}s as a JSON list.") from error
        if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
            raise ValidationError(
                f"Give a list of {self.word}s,"
                ' each such as {"description": "Consulting", "quantity": 1}.'
            )
        return value

    def is_blank(self, row: Row) -> bool:
        return not any(str(value or "").strip() for value in row.values())

    def _judged(
        self, rows: list[Row], is_open: Callable[[Any], bool]
    ) -> tuple[list[dict[str, Any]], list[str]]:
        cleaned: list[dict[str, Any]] = []
        problems: list[str] = []
        for number, row in enumerate(rows, 1):
            if self.is_blank(row):
                continue
            form = self.row_form(dict(row))
            if form.is_valid():
                cleaned.append(form.cleaned_data)
            for name, errors in form.errors.items():
                if name in row and is_open(row[name]):
                    continue
                label = form.fields[name].label if name in form.fields else ""
                where = f"{self.word.capitalize()} {number}{f', {label}' if label else ''}"
                problems += [f"{where}: {error}" for error in errors]
        return cleaned, problems
