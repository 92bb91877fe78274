"""Form fields for rows of conditions, values and headers: JSON documents, read exactly."""

from typing import Any

from django import forms

from taskjuice import exact_json
from workflows.definition import conditions
from workflows.definition.drafts import named_values

CONDITION_SHAPE = (
    'Give {"match": "all" or "any", "rows": [{"field": …, "operator": …, "value": …}]}.'
)


class ExactJsonField(forms.JSONField):
    """A JSON field that reads exact numbers and reports every unreadable text as invalid.

    Django's own raises on documents that are nested too deeply or hold a number of 5,000 digits.
    """

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str) or value in self.empty_values:
            return super().to_python(value)
        try:
            return exact_json.loads(value)
        except ValueError as error:
            raise forms.ValidationError("This is not JSON.", code="invalid") from error


class ConditionField(ExactJsonField):
    """A condition as the builder saves it; fields and values are evaluated when the step runs."""

    def to_python(self, value: Any) -> Any:
        condition = super().to_python(value)
        if condition in self.empty_values:
            return condition
        if not isinstance(condition, dict) or condition.get("match") not in ("all", "any"):
            raise forms.ValidationError(CONDITION_SHAPE)
        rows = condition.get("rows")
        if not isinstance(rows, list) or not 1 <= len(rows) <= 20:
            raise forms.ValidationError("Give between 1 and 20 conditions.")
        for row in rows:
            self._check_row(row)
        return condition

    def _check_row(self, row: Any) -> None:
        if not isinstance(row, dict) or not str(row.get("field", "")).strip():
            raise forms.ValidationError("Each condition needs a field to look at.")
        if row.get("operator") not in list(conditions.OPERATORS):
            raise forms.ValidationError("Choose one of the operators.")
        if (
            row["operator"] not in conditions.WITHOUT_VALUE
            and not str(row.get("value", "")).strip()
        ):
            raise forms.ValidationError("Each condition needs a value to compare with.")


class ValuesField(ExactJsonField):
    """Rows {"name", "value"}, cleaned to a mapping in their order.

    Earlier releases stored a mapping.
    """

    def to_python(self, value: Any) -> Any:
        parsed = super().to_python(value)
        if parsed in self.empty_values:
            return parsed
        values = named_values(parsed)
        if not 1 <= len(values) <= 50:
            raise forms.ValidationError("Give between 1 and 50 names with their values.")
        if isinstance(parsed, list) and len(parsed) != len(values):
            raise forms.ValidationError("A name is given twice.")
        if not all(name.isidentifier() and len(name) <= 60 for name in values):
            raise forms.ValidationError(
                "A name is letters, digits and underscores, and does not begin with a digit."
            )
        return values
